"""The thread that stores images behind the verdicts' back and keeps the station's disk within its budgets."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.domain.errors import StorageError
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, ImageRef
from edge.record.eviction import Limits, Usage
from edge.record.images import ImageStore
from edge.record.recorder import Recorder
from edge.record.retention import Retention
from edge.record.shelf import Shelf

_QUEUE_LIMIT = 128
_QUEUE_LIMIT_BYTES = 512 << 20
_PATIENCE_S = 0.05


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

    Between two images it lets go of what the disk has no room for, records among it.

    Args:
        store: where the files go; written by this thread alone.
        recorder: where their references go.
        limits: how much of the disk may be taken.
        on_state: called with (images are stored, why not) when that changes.
        on_alarm: called with an alarm's name and its reason, empty where it is over.
        sends: whether the station has a cloud.
    """

    def __init__(
        self,
        store: ImageStore,
        recorder: Recorder,
        limits: Limits,
        on_state: Callable[[bool, str], None],
        *,
        on_alarm: Callable[[str, str], None] = lambda _name, _why: None,
        sends: bool = True,
    ) -> None:
        self.failure: Exception | None = None
        self.stored = 0
        self.dropped = 0
        self._recorder = recorder
        self._shelf = Shelf(store, recorder)
        self._retention = Retention(self._shelf, recorder, limits, on_alarm, sends=sends)
        self._on_state = on_state
        self._queue: queue.Queue[_Job] = queue.Queue(_QUEUE_LIMIT)
        self._queued_bytes = 0
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="images", daemon=True)

    @property
    def usage(self) -> Usage:
        """What the station takes of its disk; from any thread."""
        return self._retention.usage

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
            self._shelf.settle()
            while not (self._stop.is_set() and self._queue.empty()):
                self._store_next()
                self._retention.look(time.monotonic())
        except Exception as error:  # noqa: BLE001 - the daemon must learn of it and stop
            self.failure = error

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
            if not self._retention.has_room:
                dropped.append(frame.camera_id)
                continue
            try:
                images[frame.camera_id] = self._shelf.put(frame)
            except StorageError as error:
                dropped.append(frame.camera_id)
                self._on_state(False, str(error))
        if not dropped:
            self._on_state(True, "")
        self.stored += len(images)
        self.dropped += len(dropped)
        self._recorder.record_images(job.committed, images, dropped)
