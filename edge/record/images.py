"""Images as files named by their content, written behind the verdicts' back and kept within a byte budget."""

import hashlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import structlog

from edge.domain.errors import StorageError
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, ImageRef
from edge.record.recorder import Recorder

log = structlog.get_logger()
_QUEUE_LIMIT = 128
_PATIENCE_S = 0.25
_EVICT_ROWS = 64
_ENCODINGS: Mapping[str, tuple[str, str, list[int]]] = {
    "jpeg": (".jpg", "image/jpeg", [cv2.IMWRITE_JPEG_QUALITY, 95]),
    "png": (".png", "image/png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
}


class ImageStore:
    """Content-addressed files below one folder: `ab/abcdef....jpg`.

    Args:
        root: the folder.
        image_format: `jpeg` (quality 95) or `png` (lossless).
    """

    def __init__(self, root: Path, image_format: str) -> None:
        self.root = root
        self._suffix, self._media_type, self._options = _ENCODINGS[image_format]

    def put(self, frame: Frame) -> ImageRef:
        """Store a frame's image; it is on disk when this returns. Raises StorageError."""
        encoded, data = cv2.imencode(self._suffix, frame.image, self._options)
        if not encoded:
            raise StorageError(f"cannot encode a frame of camera {frame.camera_id!r} as {self._media_type}")
        content = np.asarray(data, np.uint8).data
        ref = ImageRef(hashlib.sha256(content).hexdigest(), content.nbytes, self._media_type)
        try:
            _write_once(self.path_of(ref.sha256), content)
        except OSError as error:
            raise StorageError(f"cannot store an image in {self.root}: {error}") from error
        return ref

    def path_of(self, sha256: str) -> Path:
        """Where an image of this content lies."""
        return self.root / sha256[:2] / f"{sha256}{self._suffix}"


def _write_once(path: Path, data: memoryview) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class _Job:
    committed: Committed
    frames: tuple[Frame, ...]


class ImageWriter:
    """One thread that stores images after their inspection is committed; the line never waits for it.

    When the disk is slower than the line, images are given up and counted, never verdicts.

    Args:
        store: where the files go.
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
        """Queue an inspection's images; never blocks."""
        try:
            self._queue.put_nowait(_Job(committed, frames))
        except queue.Full:
            self.dropped += len(frames)
            self._recorder.record_images(committed, {}, [frame.camera_id for frame in frames])

    def _run(self) -> None:
        try:
            self._recorder.write_and_wait(self._measure)
            while not (self._stop.is_set() and self._queue.empty()):
                self._store_next()
        except Exception as error:  # noqa: BLE001 - the daemon must learn of it and stop
            self.failure = error

    def _store_next(self) -> None:
        try:
            job = self._queue.get(timeout=_PATIENCE_S)
        except queue.Empty:
            return
        images: dict[str, ImageRef] = {}
        dropped: list[str] = []
        for frame in job.frames:
            try:
                images[frame.camera_id] = self._store.put(frame)
            except StorageError as error:
                dropped.append(frame.camera_id)
                self._on_state(False, str(error))
        if not dropped:
            self._on_state(True, "")
        self.stored += len(images)
        self.dropped += len(dropped)
        self._used_bytes += sum(ref.size_bytes for ref in images.values())
        self._recorder.record_images(job.committed, images, dropped)
        if self._used_bytes > self._quota_bytes:
            self._evict()

    def _measure(self, connection: sqlite3.Connection) -> None:
        query = "SELECT coalesce(sum(size_bytes), 0) FROM images WHERE stored"
        self._used_bytes = int(connection.execute(query).fetchone()[0])

    def _evict(self) -> None:
        try:
            self._recorder.write_and_wait(self._evict_oldest)
        except StorageError as error:
            log.error("cannot evict images", why=str(error))

    def _evict_oldest(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT seq, camera, images.sha256, size_bytes FROM images JOIN inspections USING (seq)"
            " WHERE stored ORDER BY verdict != 'PASS', seq LIMIT ?",
            (_EVICT_ROWS,),
        ).fetchall()
        for seq, camera, sha256, size_bytes in rows:
            if self._used_bytes <= self._quota_bytes * 0.95:
                return
            connection.execute("UPDATE images SET stored = 0 WHERE seq = ? AND camera = ?", (seq, camera))
            self._used_bytes -= size_bytes
            others = connection.execute("SELECT 1 FROM images WHERE sha256 = ? AND stored LIMIT 1", (sha256,))
            if others.fetchone() is None:
                self._store.path_of(sha256).unlink(missing_ok=True)
