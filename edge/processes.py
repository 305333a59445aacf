"""The product's own commands, run as processes: what the demo shows is what a station does."""

import json
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from edge.domain.errors import OutputError

_START_S = 60.0
_ASK_S = 900.0
_STOP_S = 15.0


def command(name: str) -> str:
    """The path of `edge` or `cloud` as installed beside this Python. Raises OutputError."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise OutputError(f"{path} is not there: install inspectd into this environment")
    return str(path)


def ask(arguments: Sequence[str], *, may_refuse: bool = False) -> str:
    """Run a command to its end, its messages going to our stderr; returns its stdout.

    Raises:
        OutputError: it ended with an exit code other than 0 (or 1, where it may refuse).
    """
    done = subprocess.run(
        [command(arguments[0]), *arguments[1:]], stdout=subprocess.PIPE, text=True, check=False, timeout=_ASK_S
    )
    if done.returncode not in ({0, 1} if may_refuse else {0}):
        raise OutputError(f"`{' '.join(arguments[:2])}` ended with exit code {done.returncode}: see its message above")
    return done.stdout


def ask_json(arguments: Sequence[str], *, may_refuse: bool = False) -> dict[str, object]:
    """As `ask`, with the JSON object it printed."""
    return cast("dict[str, object]", json.loads(ask(arguments, may_refuse=may_refuse)))


@contextmanager
def running(
    arguments: Sequence[str], log: Path, *, wait_for_line: bool = False, outlives: bool = True
) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until the block ends, then gets SIGTERM; its stderr goes to `log`.

    Args:
        arguments: `edge` or `cloud` and what follows.
        log: file for its stderr.
        wait_for_line: wait until it printed a line on stdout.
        outlives: it runs on where this process is killed; else, where util-linux is there, it gets SIGTERM then.

    Raises:
        OutputError: it ended before it was ready.
    """
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*([] if outlives else _bound()), command(arguments[0]), *arguments[1:]],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            if wait_for_line and not _first_line(process):
                raise OutputError(f"`{' '.join(arguments[:2])}` ended at its start: see {log}")
            yield process
        finally:
            _end(process)


@contextmanager
def answering(arguments: Sequence[str], log: Path) -> Iterator[dict[str, object]]:
    """As `running`, with the JSON object by which it said that it is ready; one that says no is an OutputError."""
    with running(arguments, log) as process:
        said = cast("dict[str, object]", json.loads(_first_line(process) or "{}"))
        if not said.get("ok"):
            why = said.get("error", "it ended, or said nothing")
            raise OutputError(f"`{' '.join(arguments[:2])}` did not start: {why}; see {log}")
        yield said


def _bound() -> list[str]:
    """What runs a command so that it ends with the thread that started it."""
    found = shutil.which("setpriv")
    return [] if found is None else [found, "--pdeathsig", "TERM"]


def follow(process: subprocess.Popen[str], step: Callable[[], None], every_s: float = 0.2) -> int:
    """Call `step` every so often until the process ends; returns its exit code."""
    while True:
        try:
            return process.wait(every_s)
        except subprocess.TimeoutExpired:
            step()


def _first_line(process: "subprocess.Popen[str]") -> str:
    """What it says first; "" where it ended before that, or is silent for too long."""
    if process.stdout is None or not select.select([process.stdout], [], [], _START_S)[0]:
        return ""
    return process.stdout.readline()


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
