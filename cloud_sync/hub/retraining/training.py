"""Starts a training as a process of its own, waits for it, and never leaves one behind."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.hub.retraining.child import Orders
from cloud_sync.hub.retraining.errors import RetrainingError

_LOOK_S = 0.2
_END_S = 5.0
_TAIL_BYTES = 2000
# Of several threads that wait for each other by spinning, each on small matrices, one is late where others work here
# too: a probe's fit took 75 s beside ten busy processes on two cores, and 5 s so.
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
TRAIN = (sys.executable, "-m", "cloud_sync.hub.cli", "train")


@dataclass(frozen=True, slots=True)
class Room:
    """What a training may take of the machine; fields as in `Orders`."""

    nice: int = 19
    idle: bool = True
    threads: int = 0


def run_child(program: Sequence[str], lock: Path, log: Path, room: Room, look: Callable[[], None]) -> None:
    """Run a program to its end as a child that dies with us; what it says goes to `log`.

    Args:
        program: its absolute path and arguments.
        lock: held by it as long as it lives; another that holds it on this machine is waited for.
        log: grows by each try.
        room: how far it gives way.
        look: called several times a second; what it raises ends the child first.

    Raises:
        RetrainingError: it ended with an exit code other than 0; with the last that it said.
    """
    orders = Orders(os.getpid(), str(lock), room.nice, room.idle, room.threads)
    words = [sys.executable, "-m", "cloud_sync.hub.retraining.child", orders.as_json(), *program]
    with log.open("ab") as said:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**QUIET, **os.environ}
        )
        with _ended(process):
            code = _follow(process, look)
    if code != 0:
        raise RetrainingError(f"the training ended with exit code {code}: {_tail(log)}")


def is_held(lock: Path) -> bool:
    """Whether a training of this run lives on this machine. Raises OSError."""
    if not lock.exists():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _follow(process: "subprocess.Popen[bytes]", look: Callable[[], None]) -> int:
    while True:
        try:
            return process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            look()


@contextlib.contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else "it said nothing"
