"""Stands between the pages and a command that they start: it outlives them, and leaves the command's exit code.

    python -m edge.web.works.runner FOLDER LOCK HOW COMMAND...

LOCK is the number of an open file that is locked as long as the command, or this process, lives. With HOW `idle` the
command runs where nobody else wants the processor. SIGINT and SIGTERM go on to the command as SIGINT.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

PID, ANSWER, SAID, EXIT = "pid", "answer.json", "said.txt", "exit"
_NICEST = 19


def main() -> None:
    """Start the command in a process of its own, and return; that process waits for the command."""
    folder, lock, how, *command = sys.argv[1:]
    if os.fork():
        os._exit(0)  # who started us waits for this alone: the other one is nobody's child
    os.setsid()
    _write(Path(folder) / PID, os.getpid())
    if how == "idle":
        _give_way()
    _write(Path(folder) / EXIT, _run(Path(folder), int(lock), command))


def _run(folder: Path, lock: int, command: list[str]) -> int:
    asked: list[int] = []
    child: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        for each in child:
            each.send_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with (folder / ANSWER).open("wb") as answer, (folder / SAID).open("wb") as said:
        child.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=answer, stderr=said, pass_fds=(lock,)))
        if asked:
            child[0].send_signal(signal.SIGINT)
        return child[0].wait()


def _give_way() -> None:
    os.nice(_NICEST)
    with contextlib.suppress(OSError):  # where a sandbox forbids it, being nice has to do
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _write(path: Path, number: int) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(f"{number}\n", encoding="ascii")
    beside.replace(path)


if __name__ == "__main__":
    main()
