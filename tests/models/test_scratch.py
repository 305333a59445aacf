"""What a killed process was working in goes; what a living one works in stays, whoever sweeps."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from no_locks_kit import KNOWN
from station_kit import make_bundle

from models.bundle_store import active_bundle
from models.scratch import MAKING, UNPACKED, left_in, scratch_folder, size_bytes, sweep

_WORKS = """
import sys
from pathlib import Path
from models.scratch import UNPACKED, scratch_folder
with scratch_folder(Path(sys.argv[1]), UNPACKED) as own:
    (own / "deep").mkdir()
    (own / "deep" / "graph").write_bytes(b"x" * 1000)
    print(own, flush=True)
    sys.stdin.read()
"""


@contextmanager
def somebody_works_in(parent: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process with a folder of its own, and the folder."""
    words = [sys.executable, "-c", _WORKS, str(parent)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_what_a_process_works_in_stays_until_it_is_killed_and_goes_then(tmp_path: Path) -> None:
    with somebody_works_in(tmp_path) as (process, folder):
        assert left_in(tmp_path) == []
        assert sweep(tmp_path) == []
        assert (folder / "deep" / "graph").exists()
        process.kill()
        process.wait(10)
        assert left_in(tmp_path) == [folder]
        assert size_bytes(folder) == 1000
        assert sweep(tmp_path) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_an_orderly_end_leaves_nothing_and_what_was_renamed_stays(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, MAKING) as own:
        (own / "files").mkdir()
        (own / "files").rename(tmp_path / "v1")
    with scratch_folder(tmp_path, MAKING) as own:
        own.rename(tmp_path / "v2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1", "v2"]


def test_a_fault_within_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path, MAKING) as own:
        (own / "half").write_bytes(bytes(1 // len(list(own.iterdir()))))
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_touches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".unpacked-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".unpacked-file").write_bytes(b"")
    (tmp_path / ".notes").mkdir()
    before = sorted(tmp_path.iterdir())
    assert sweep(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before
    assert sweep(tmp_path / "nowhere") == []


def test_whoever_begins_while_others_sweep_has_a_folder_that_stays(tmp_path: Path) -> None:
    over = threading.Event()

    def sweeps() -> None:
        while not over.is_set():
            sweep(tmp_path)

    sweepers = [threading.Thread(target=sweeps) for _ in range(3)]
    for each in sweepers:
        each.start()
    try:
        for number in range(300):
            with scratch_folder(tmp_path, UNPACKED) as own:
                (own / "file").write_text(str(number))
                assert (own / "file").read_text() == str(number)
    finally:
        over.set()
        for each in sweepers:
            each.join(10)


_WITHOUT_LOCKS = """
import sys
from pathlib import Path
from no_locks_kit import have_no_locks
from models.bundle_store import activate, prune, rollback
from models.scratch import UNPACKED, scratch_folder, sweep
have_no_locks()
root = Path(sys.argv[1])
with scratch_folder(root, UNPACKED) as own:
    (own / "file").write_text("whole")
    assert sweep(root) == []
    assert (own / "file").read_text() == "whole"
assert activate(root, "cells", 1).name == "v1"
assert rollback(root, "cells").name == "v2"
assert prune(root, "cells", ()) == []
"""


@pytest.mark.skipif(not KNOWN, reason="which system call locks a file is not known of this processor")
def test_on_a_disk_that_has_no_locks_one_works_and_chooses_without(tmp_path: Path) -> None:
    for version in (1, 2):
        make_bundle(tmp_path, "cells", version)
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_LOCKS, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert active_bundle(tmp_path, "cells").name == "v2"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_of_another_user_keeps_nobody_from_the_rest(tmp_path: Path) -> None:
    make_bundle(tmp_path, "cells", 1)
    (tmp_path / "others").mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    lines = "import os; from pathlib import Path; from models.bundle_store import clear_unfinished, unfinished\n"
    lines += "os.setuid(65534); assert clear_unfinished(Path()) == unfinished(Path()) == []"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", lines]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
