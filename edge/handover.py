"""Between the uplink's thread, which fetches releases, and the thread that takes them further: neither waits."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cloud_sync.station.keeping import Word
from cloud_sync.wire.messages import Job

_MOST = 64


@dataclass(frozen=True, slots=True)
class Offered:
    """What the cloud asks for now, and where its file lies once that is whole. Without a job: nothing."""

    job: Job | None = None
    file: Path | None = None


class Handover:
    """A `Keeper` that keeps nothing but the last offer, and the words that were not fetched yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offered: Offered | None = None
        self._words: deque[Word] = deque(maxlen=_MOST)
        self.on_word: Callable[[], None] = lambda: None

    def asked(self, job: Job | None) -> None:
        """See `Keeper`."""
        with self._lock:
            before = self._offered
            held = (
                None if before is None or before.job is None or job is None or not before.job.is_same(job) else before
            )
            self._offered = Offered(job) if held is None else replace(held, job=job)

    def fetched(self, job: Job, file: Path) -> None:
        """See `Keeper`."""
        with self._lock:
            self._offered = Offered(job, file)

    def words(self) -> Sequence[Word]:
        """See `Keeper`."""
        with self._lock:
            words = list(self._words)
            self._words.clear()
            return words

    def offered(self) -> Offered | None:
        """The last offer; None until the cloud was heard: what is under way then goes on as it was."""
        with self._lock:
            return self._offered

    def say(self, word: Word) -> None:
        """Have it told to the cloud."""
        with self._lock:
            self._words.append(word)
        self.on_word()
