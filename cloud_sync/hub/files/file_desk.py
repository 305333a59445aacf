"""The desk for files: pieces in the collector's transaction, whole files to the blob store beside it.

- A few threads read, hash and store whole files; the collector does not wait for a blob store.
- A blob store that is down delays `complete` and nothing else: the bytes stay in the shared store until it is back.
- What another collector was about to store when it was killed is adopted after a while.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

import sqlalchemy as sa

from cloud_sync.hub.desk import Publish, Reply
from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.files.pieces import (
    FileIntake,
    FileKey,
    FileLimits,
    answer,
    content_of,
    drop_chunks,
    mark,
    size_sent,
)
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import BlobError, StoreError
from cloud_sync.hub.store.file_tables import files
from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.blobs import is_whole

_ADOPTED = 16
_THREADS = 4
_PATIENCE_S = 0.03
_logger = logging.getLogger(__name__)


class _Fate(Enum):
    STORED = auto()
    DAMAGED = auto()
    GONE = auto()


@dataclass(slots=True)
class FileDeskCounts:
    """Since the start: files stored, files refused, times that the blob store or the store failed."""

    complete: int = 0
    refused: int = 0
    faults: int = 0


class FileDesk:
    """A `Desk` for `file/...`; a context manager, closed when the collector ends.

    Args:
        place: the store, as the collector has it; it must exist.
        blobs: where whole files go.
        limits: what a station may ask of us.
        adopt_after_s: a whole file that nobody stored for so long is stored by us, seconds.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, place: str, blobs: Blobs, limits: FileLimits | None = None, adopt_after_s: float = 10.0) -> None:
        self.counts = FileDeskCounts()
        self._blobs = blobs
        self._intake = FileIntake(limits)
        self._adopt_after_s = adopt_after_s
        self._next_look_s = 0.0
        self._writer = open_engine(place, create=True)
        self._reader = open_engine(place, create=False)
        self._waiting: deque[FileKey] = deque()
        self._storing: dict[FileKey, Future[_Fate]] = {}
        self._backoff = Backoff()
        self._rests_until_s = 0.0
        self._unsaid: deque[Reply] = deque()
        self._threads = ThreadPoolExecutor(_THREADS, "blobs")

    @property
    def waiting(self) -> int:
        """How many whole files this collector is to store."""
        return len(self._waiting) + len(self._storing)

    def takes(self, subject: str) -> bool:
        """See `Desk`."""
        return subject.startswith("file/")

    def take(
        self, connection: sa.Connection, station: str, subject: str, payload: bytes, at_ms: int
    ) -> Sequence[Reply]:
        """See `Desk`."""
        replies, whole = self._intake.take(connection, station, subject, payload, at_ms)
        if whole is not None and whole not in self._waiting and whole not in self._storing:
            self._waiting.append(whole)
        return replies

    def work(self, publish: Publish) -> None:
        """Begin to store the next whole file, or say what came of the last; see `Desk`."""
        now_s = time.monotonic()
        try:
            self._begin(now_s)
            self._finish()
            self._adopt(now_s)
        except (StoreError, sa.exc.SQLAlchemyError) as error:
            self._rest(now_s, f"the store fails: {error}")
        while self._unsaid and publish(self._unsaid[0]):
            self._unsaid.popleft()

    def close(self) -> None:
        """End the threads; what they were about to store is stored by whoever comes next."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._writer.dispose()
        self._reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, now_s: float) -> None:
        while self._waiting and len(self._storing) < _THREADS and now_s >= self._rests_until_s:
            key = self._waiting.popleft()
            self._storing[key] = self._threads.submit(self._store, key)
        if len(self._storing) == 1 and not self._waiting:  # little to do: a quick blob store is done by then
            wait(self._storing.values(), _PATIENCE_S)

    def _store(self, key: FileKey) -> _Fate:
        """On a thread: check a file and store it. Raises what reading and storing raise."""
        with self._reader.connect() as connection:
            size_bytes = size_sent(connection, key)
            if size_bytes is None:
                return _Fate.GONE  # somebody else was quicker
            content = content_of(connection, key)
        if not is_whole([content.getbuffer()], size_bytes, key.sha256):
            return _Fate.DAMAGED
        self._blobs.put(key.sha256, content)
        return _Fate.STORED

    def _finish(self) -> None:
        """Put on record what became of the files that the threads had."""
        for key in [key for key, future in self._storing.items() if future.done()]:
            try:
                self._conclude(key, self._storing.pop(key).result())
            except (BlobError, StoreError, sa.exc.SQLAlchemyError) as error:
                self._waiting.appendleft(key)
                self._rest(time.monotonic(), str(error))

    def _conclude(self, key: FileKey, fate: _Fate) -> None:
        if fate is not _Fate.GONE:
            self._record(key, None if fate is _Fate.STORED else "its bytes are not what its name says")
        self._backoff.reset()

    def _record(self, key: FileKey, refusal: str | None) -> None:
        with self._writer.begin() as connection:
            if size_sent(connection, key, lock=True) is None:
                return
            mark(connection, key, "complete" if refusal is None else "refused", _now_ms(), refusal)
            drop_chunks(connection, key)
        self._unsaid.append(answer(key, complete=refusal is None, error=refusal))
        if refusal is None:
            self.counts.complete += 1
        else:
            self.counts.refused += 1
            _logger.error("file %s of %s is refused: %s", key.sha256, key.station, refusal)

    def _adopt(self, now_s: float) -> None:
        """Take over what another collector left; looked for now and then."""
        if now_s < self._next_look_s or self._waiting or self._storing:
            return
        self._next_look_s = now_s + self._adopt_after_s
        left = files.c.state == "sent", files.c.changed_at_ms <= _now_ms() - self._adopt_after_s * 1000
        with self._reader.connect() as connection:
            rows = connection.execute(sa.select(files.c.station, files.c.sha256).where(*left).limit(_ADOPTED)).all()
        self._waiting.extend(FileKey(row.station, row.sha256) for row in rows)

    def _rest(self, now_s: float, why: str) -> None:
        if self._backoff.failures == 0:
            _logger.error("whole files wait: %s", why)
        self.counts.faults += 1
        if now_s >= self._rests_until_s:  # files that failed together count as one failure
            self._rests_until_s = now_s + self._backoff.next_s()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
