"""What a training runs in: it dies with its worker, holds the run's lock, and gives way to all else.

`python -m cloud_sync.hub.retraining.child JSON PROGRAM ARGUMENT...` becomes that program; the JSON is an `Orders`.

- The kernel kills it with the thread that started it (PR_SET_PDEATHSIG, which lives through exec); a worker that died
  before that was asked for is noticed by its number.
- The lock is an open file that the program inherits: it is held exactly as long as the training lives, so whoever
  takes the run over on this machine waits for the end of what was left, and two never train at once.
"""

import ctypes
import fcntl
import json
import os
import platform
import signal
import sys
from dataclasses import asdict, dataclass

_PR_SET_PDEATHSIG = 1
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_IDLE = 3 << 13
_ORPHANED = 75  # EX_TEMPFAIL


@dataclass(frozen=True, slots=True)
class Orders:
    """What the child is to be.

    Args:
        parent: the worker's process id.
        lock: the file that stands for the run's training on this machine; "" where nothing is to be held.
        nice: 0 to 19.
        idle: whether it only takes what nobody else wants.
        threads: cores that it may use; 0: all that are granted.
    """

    parent: int
    lock: str
    nice: int = 19
    idle: bool = True
    threads: int = 0

    def as_json(self) -> str:
        """As the child reads it."""
        return json.dumps(asdict(self))


def main(arguments: list[str]) -> None:
    """Become the program. Raises OSError."""
    orders = Orders(**json.loads(arguments[0]))
    _die_with(orders.parent)
    _give_way(orders)
    if orders.lock:
        _hold(orders.lock)
    os.execv(arguments[1], arguments[1:])  # noqa: S606 - our own program, by its arguments


def _die_with(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.stderr.write("the worker is gone: nothing is trained for it\n")
        raise SystemExit(_ORPHANED)


def _give_way(orders: Orders) -> None:
    os.nice(orders.nice)
    if orders.idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        call = _IOPRIO_SET.get(platform.machine())
        if call is not None:
            ctypes.CDLL(None).syscall(call, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)
    granted = sorted(os.sched_getaffinity(0))
    if 0 < orders.threads < len(granted):
        os.sched_setaffinity(0, granted[-orders.threads :])


def _hold(lock: str) -> None:
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    os.set_inheritable(handle, True)


if __name__ == "__main__":
    main(sys.argv[1:])
