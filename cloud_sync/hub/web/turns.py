"""Whoever writes to the store from a page takes turns with the others of this process, and leaves room for strangers.

SQLite's lock goes to who happens to ask when it is free. Ten reviewers who ask at once would hand it to each other, and
the collector, which asks again after some milliseconds, would find it taken for seconds.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GAP_S = 0.02  # between two turns; a collector that waits for the lock asks more often than that at first


class Turns:
    """One at a time, and a pause between two.

    Args:
        clock_s: any clock that only goes on.
        wait: until so many seconds are over.
    """

    def __init__(
        self, clock_s: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock_s = clock_s
        self._wait = wait
        self._turn = threading.Lock()
        self._ended_s = float("-inf")

    @contextmanager
    def one(self) -> Iterator[None]:
        """A turn; who comes later waits for its end."""
        with self._turn:
            early_s = self._ended_s + GAP_S - self._clock_s()
            if early_s > 0:
                self._wait(early_s)
            try:
                yield
            finally:
                self._ended_s = self._clock_s()
