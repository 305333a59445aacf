"""The process in which a training runs: it dies with its worker, and no two train one run."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from brokers import eventually

from cloud_sync.hub.retraining.child import Orders
from cloud_sync.hub.retraining.errors import RetrainingError
from cloud_sync.hub.retraining.training import Room, is_held, run_child

SAYS = "import os, sys; print('pid', os.getpid(), flush=True); "
WAITS = (sys.executable, "-c", SAYS + "sys.stdin.read(); import threading; threading.Event().wait()")
WORKER = """
import sys
from pathlib import Path
from cloud_sync.hub.retraining.training import Room, run_child
folder = Path(sys.argv[1])
run_child(sys.argv[2:], folder / "lock", folder / "log", Room(), lambda: None)
"""


def worker(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), *WAITS])


def trains(folder: Path) -> bool:
    return is_held(folder / "lock") and "pid" in (folder / "log").read_text()


def child_of(folder: Path) -> int:
    return int((folder / "log").read_text().split()[-1])


def lives(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_a_training_dies_with_its_worker(tmp_path: Path, how: signal.Signals) -> None:
    process = worker(tmp_path)
    eventually(lambda: trains(tmp_path), 60)
    child = child_of(tmp_path)
    assert lives(child)
    process.send_signal(how)
    process.wait(20)
    eventually(lambda: not lives(child))
    assert not is_held(tmp_path / "lock")


def test_a_child_whose_worker_died_before_it_asked_for_its_death_trains_nothing(tmp_path: Path) -> None:
    orders = Orders(parent=os.getpid() + 1, lock=str(tmp_path / "lock"))
    words = [sys.executable, "-m", "cloud_sync.hub.retraining.child", orders.as_json(), *WAITS]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 75
    assert "the worker is gone" in done.stderr
    assert not (tmp_path / "lock").exists()


def test_a_second_training_of_a_run_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    first = worker(tmp_path)
    eventually(lambda: trains(tmp_path), 60)
    ended = threading.Event()

    def second() -> None:
        run_child((sys.executable, "-c", "print('second')"), tmp_path / "lock", tmp_path / "log2", Room(), lambda: None)
        ended.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not ended.wait(1)
    first.kill()
    first.wait(20)
    thread.join(30)
    assert ended.is_set()
    assert (tmp_path / "log2").read_text() == "second\n"


def test_a_training_gives_way_to_all_else_and_keeps_to_its_cores(tmp_path: Path) -> None:
    asks = "import os; print(os.nice(0), os.sched_getscheduler(0), len(os.sched_getaffinity(0)))"
    run_child((sys.executable, "-c", asks), tmp_path / "lock", tmp_path / "log", Room(19, True, 1), lambda: None)
    assert (tmp_path / "log").read_text() == f"19 {os.SCHED_IDLE} 1\n"


def test_a_training_that_fails_says_its_last_line(tmp_path: Path) -> None:
    fails = (sys.executable, "-c", "import sys; print('reading'); sys.exit('cloud: 3 images are too few')")
    with pytest.raises(RetrainingError, match="exit code 1: cloud: 3 images are too few"):
        run_child(fails, tmp_path / "lock", tmp_path / "log", Room(), lambda: None)


def test_who_is_told_to_stop_leaves_no_training_behind(tmp_path: Path) -> None:
    def look() -> None:
        if trains(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_child(WAITS, tmp_path / "lock", tmp_path / "log", Room(), look)
    assert not lives(child_of(tmp_path))
