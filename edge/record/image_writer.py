"""The thread that stores images behind the verdicts' back and keeps them within their byte budget."""

import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import structlog

from edge.domain.errors import StorageError
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, ImageRef
from edge.record.database import open_reader
from edge.record.images import ImageStore
from edge.record.recorder import Recorder

log = structlog.get_logger()
_QUEUE_LIMIT = 128
_QUEUE_LIMIT_BYTES = 512 << 20
_PATIENCE_S = 0.25
_EVICT_ROWS = 256
_EVICT_TO = 0.95


@dataclass(frozen=True, slots=True)
class _Job:
    committed: Committed
    frames: tuple[Frame, ...]

    @property
    def size_bytes(self) -> int:
        return sum(frame.held_bytes for frame in self.frames)


class ImageWriter:
    """One thread that stores images after their inspection is committed; the line never waits for it.

    When the disk is slower than the line, images are given up and counted, never verdicts.

    Invariants:
    - A file is deleted only after the commit that says that no inspection needs it any more.
    - What no inspection refers to, because a kill came between file and record, is deleted at the next start.

    Args:
        store: where the files go; written by this thread alone.
        recorder: where their references go.
        quota_bytes: how much the images may take; above it the oldest go, those of PASS first.
        on_state: called with (images are stored, why not) when that changes.
    """

    def __init__(
        self, store: ImageStore, recorder: Recorder, quota_bytes: int, on_state: Callable[[bool, str], None]
    ) -> None:
        self.failure: Exception | None = None
        self.stored = 0
        self.dropped = 0
        self._store = store
        self._recorder = recorder
        self._quota_bytes = quota_bytes
        self._on_state = on_state
        self._used_bytes = 0
        self._queue: queue.Queue[_Job] = queue.Queue(_QUEUE_LIMIT)
        self._queued_bytes = 0
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="images", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Store what is queued and end the thread, waiting at most `timeout_s` seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def keep(self, committed: Committed, frames: tuple[Frame, ...]) -> None:
        """Queue an inspection's images, or give them up where too many wait; never blocks."""
        job = _Job(committed, frames)
        if not self._enqueue(job):
            self.dropped += len(frames)
            self._recorder.record_images(committed, {}, [frame.camera_id for frame in frames])

    def _enqueue(self, job: _Job) -> bool:
        with self._counting:
            if self._queue.full() or self._queued_bytes + job.size_bytes > _QUEUE_LIMIT_BYTES:
                return False
            self._queued_bytes += job.size_bytes
            self._queue.put_nowait(job)
            return True

    def _run(self) -> None:
        try:
            self._settle()
            while not (self._stop.is_set() and self._queue.empty()):
                self._store_next()
        except Exception as error:  # noqa: BLE001 - the daemon must learn of it and stop
            self.failure = error

    def _settle(self) -> None:
        """Measure what is stored, and delete the files that no inspection refers to."""
        with closing(open_reader(self._recorder.path)) as reader:
            query = "SELECT DISTINCT sha256, size_bytes, media_type FROM images WHERE stored"
            known = {self._store.path_of(sha256, kind): size for sha256, size, kind in reader.execute(query)}
        self._used_bytes = sum(known.values())
        for path in self._store.files():
            if path not in known and path.is_file():
                path.unlink(missing_ok=True)

    def _store_next(self) -> None:
        try:
            job = self._queue.get(timeout=_PATIENCE_S)
        except queue.Empty:
            return
        with self._counting:
            self._queued_bytes -= job.size_bytes
        images: dict[str, ImageRef] = {}
        dropped: list[str] = []
        for frame in job.frames:
            try:
                images[frame.camera_id], grown_bytes = self._store.put(frame)
                self._used_bytes += grown_bytes
            except StorageError as error:
                dropped.append(frame.camera_id)
                self._on_state(False, str(error))
        if not dropped:
            self._on_state(True, "")
        self.stored += len(images)
        self.dropped += len(dropped)
        self._recorder.record_images(job.committed, images, dropped)
        self._keep_quota()

    def _keep_quota(self) -> None:
        """Evict until the quota holds; a file that another inspection needs frees nothing, so a turn may not do."""
        evicted = True
        while evicted and self._used_bytes > self._quota_bytes:
            evicted = self._evict()

    def _evict(self) -> bool:
        """Let go of the oldest images, those of PASS first: in the database, then on the disk. False: none could go."""
        unused: list[tuple[str, str, int]] = []

        def mark(connection: sqlite3.Connection) -> None:
            unused.clear()
            connection.executemany("UPDATE images SET stored = 0 WHERE seq = ? AND camera = ?", [*oldest])
            for sha256, kind, size_bytes in contents:
                needed = connection.execute("SELECT 1 FROM images WHERE sha256 = ? AND stored LIMIT 1", (sha256,))
                if needed.fetchone() is None:
                    unused.append((sha256, kind, size_bytes))

        try:
            oldest = self._oldest()
            contents = set(oldest.values())
            self._recorder.write_and_wait(mark)
            for sha256, kind, size_bytes in unused:
                self._store.remove(sha256, kind)
                self._used_bytes -= size_bytes
        except (StorageError, sqlite3.Error) as error:
            log.error("cannot evict images", why=str(error))
            return False
        return bool(oldest)

    def _oldest(self) -> dict[tuple[int, str], tuple[str, str, int]]:
        """(seq, camera) of the next images to go, with (sha256, media type, size): enough, or what one turn takes."""
        wanted_bytes = self._used_bytes - int(self._quota_bytes * _EVICT_TO)
        query = (
            "SELECT seq, camera, images.sha256, media_type, size_bytes FROM images JOIN inspections USING (seq)"
            " WHERE stored ORDER BY verdict != 'PASS', seq LIMIT ?"
        )
        chosen: dict[tuple[int, str], tuple[str, str, int]] = {}
        with closing(open_reader(self._recorder.path)) as reader:
            for seq, camera, sha256, kind, size_bytes in reader.execute(query, (_EVICT_ROWS,)):
                if sum(size for _, _, size in set(chosen.values())) >= wanted_bytes:
                    break
                chosen[seq, camera] = (sha256, kind, size_bytes)
        return chosen
