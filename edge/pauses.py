"""Work that may wait: it runs in the thread that looks at parts, when no part needs that thread.

Invariants:
- While a part waits, nothing runs here until it has waited half a second itself, and the part has half its time left.
- One errand at a time, and after each the parts come first again.
- Who asked hears how the errand ended: one that runs already is waited for, however late it began.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

from edge.domain.errors import InspectdError

_IDLE_S = 0.1
_WANTED_S = 0.005
_YIELDS_FOR_S = 0.5
_LEAST_SLACK = 0.5
_SLICE_S = 0.1
_ENDS_WITHIN_S = 60.0


class NoPauseError(InspectdError):
    """The line left no pause in time, or the station stops."""


class Pauses:
    """The pauses between parts: one thread offers them, others ask for them."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[float, Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._next: tuple[float, Callable[[], None], Future[None]] | None = None
        self._wanted = 0
        self._counting = threading.Lock()

    @property
    def patience_s(self) -> float:
        """How long the looking thread may wait for a part before it offers a pause again."""
        return _WANTED_S if self._wanted else _IDLE_S

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Pauses are asked for, one after the other, until the end of this."""
        with self._counting:
            self._wanted += 1
        try:
            yield
        finally:
            with self._counting:
                self._wanted -= 1

    def offer(self, slack: float) -> None:
        """Run one errand, if it may; in the looking thread.

        Args:
            slack: the share of its time that the next waiting part has left; 1 where none waits.
        """
        if self._next is None and not self._asked.empty():
            self._next = self._asked.get_nowait()
        if self._next is None:
            return
        asked_s, errand, future = self._next
        if not may_run(slack, time.monotonic() - asked_s):
            return
        self._next = None
        if future.set_running_or_notify_cancel():
            try:
                errand()
            except Exception as error:  # noqa: BLE001 - whoever asked raises it
                future.set_exception(error)
            else:
                future.set_result(None)

    def run(self, errand: Callable[[], None], timeout_s: float, stopping: Callable[[], bool]) -> None:
        """Have the errand run in a pause, and wait for its end.

        Raises:
            NoPauseError: none came within `timeout_s` seconds, or `stopping` says so; it has not run and will not.
            Exception: whatever the errand raised.
        """
        future: Future[None] = Future()
        until_s = time.monotonic() + timeout_s
        self._asked.put((time.monotonic(), errand, future))
        while time.monotonic() < until_s and not stopping():
            if wait([future], _SLICE_S).done:
                return future.result()
        if future.cancel():
            if stopping():
                raise NoPauseError("the station stops")
            raise NoPauseError(f"the line left no pause between parts within {timeout_s:.0f} s")
        return future.result(_ENDS_WITHIN_S)


def may_run(slack: float, waited_s: float) -> bool:
    """Whether what may wait may begin: no part waits, or it has waited long itself and the part has time left.

    Args:
        slack: the share of its time that the next waiting part has left; 1 where none waits.
        waited_s: since it was asked for.
    """
    return slack >= 1 or (waited_s >= _YIELDS_FOR_S and slack >= _LEAST_SLACK)
