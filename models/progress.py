"""How long work says where it is: a small protocol, a silent one, and rich bars with the time left on stderr."""

import threading
from types import TracebackType
from typing import Protocol, Self

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
