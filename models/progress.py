"""How long work says where it is: a small protocol, a silent one, rich bars with the time left, lines for a program."""

import json
import sys
import threading
import time
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Progress(Protocol):
    """Told of each stage as it starts, and of each step inside it; `advance` may come from any thread."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins and will take this many steps; the one before is over."""

    def advance(self, steps: int = 1) -> None:
        """So many steps more are done."""

    def note(self, text: str) -> None:
        """A few words on how it goes, in place of those before."""


class SilentProgress:
    """Says nothing; remembers the stages it was told of."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str, total: int) -> None:
        """Remember the name."""
        del total
        self.stages.append(name)

    def advance(self, steps: int = 1) -> None:
        """Nothing to do."""

    def note(self, text: str) -> None:
        """Nothing to do."""


class LineProgress:
    """JSON lines on stderr, for a program that shows them: stage, steps done, steps in all, a few words.

    One as a stage begins and one as it is full, and between them at most one each `every_s` seconds.
    """

    def __init__(self, out: TextIO | None = None, every_s: float = 0.5) -> None:
        self._out = out or sys.stderr
        self._every_s = every_s
        self._lock = threading.Lock()
        self._stage, self._done, self._total, self._note = "", 0, 0, ""
        self._said_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if error is None and self._stage and self._done != self._total:
                self._done = self._total
                self._say()

    def stage(self, name: str, total: int) -> None:
        """Say that it begins."""
        with self._lock:
            self._stage, self._done, self._total, self._note = name, 0, total, ""
            self._say()

    def advance(self, steps: int = 1) -> None:
        """Say how far it is, now and then."""
        with self._lock:
            self._done += steps
            self._say(now_and_then=self._done != self._total)

    def note(self, text: str) -> None:
        """Say it with how far it is."""
        with self._lock:
            self._note = text
            self._say(now_and_then=True)

    def _say(self, *, now_and_then: bool = False) -> None:
        now_s = time.monotonic()
        if now_and_then and now_s < self._said_s + self._every_s:
            return
        self._said_s = now_s
        said = {"stage": self._stage, "done": self._done, "total": self._total, "note": self._note}
        self._out.write(json.dumps(said) + "\n")
        self._out.flush()


def shown_progress(*, as_lines: bool) -> "LineProgress | RichProgress":
    """For people, or for a program."""
    return LineProgress() if as_lines else RichProgress()


class RichProgress:
    """A bar per stage on stderr, so that stdout stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console or Console(stderr=True),
        )
        self._lock = threading.Lock()
        self._task = self._bars.add_task("start", visible=False, note="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        self._bars.stop()

    def stage(self, name: str, total: int) -> None:
        """Start this stage's bar; the one before is shown as full."""
        with self._lock:
            self._finish()
            self._task = self._bars.add_task(name, total=total, note="")

    def advance(self, steps: int = 1) -> None:
        """Move the bar."""
        with self._lock:
            self._bars.advance(self._task, steps)

    def note(self, text: str) -> None:
        """Show it behind the bar."""
        with self._lock:
            self._bars.update(self._task, note=text)

    def _finish(self) -> None:
        task = self._bars.tasks[self._task]
        if task.total is not None:
            self._bars.update(self._task, completed=task.total)
