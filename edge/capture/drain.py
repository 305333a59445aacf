"""The one thread a camera has: it takes every image the moment it comes, so that none grows old in a driver's queue."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edge.capture.backlog import Backlog
from edge.capture.camera import Camera, Shot
from edge.capture.pictures.checks import same_picture
from edge.domain.errors import CameraError
from edge.domain.frame import Frame, Image
from edge.pulse import Pulse

_READ_TIMEOUT_S = 0.1
_SILENT_S = 2.0
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """What makes a frame acceptable for a trigger.

    Args:
        latency_s: no honest frame arrives sooner after its trigger.
        timeout_s: later than this after trigger and latency, the frame is missed.
        max_age_s: a frame waited longer than this to be looked at is stale.
        buffer_frames: how many frames may wait.
        driver_s: the longest that the driver waits by itself.
    """

    latency_s: float
    timeout_s: float
    max_age_s: float
    buffer_frames: int
    driver_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A trigger's claim on one frame."""

    triggered_s: float
    number: int | None


@dataclass(slots=True)
class CaptureCounters:
    """Since the start: frames that arrived, were used, were pushed out, answered no part; losses of the camera."""

    received: int = 0
    used: int = 0
    dropped: int = 0
    orphaned: int = 0
    losses: int = 0


class Drain:
    """Owns one camera and its thread; hands each claim at most one frame, and each frame to one claim only.

    Claims are taken in the order in which they were made, by one thread. Frames that came before a camera was lost
    still count: what makes a frame acceptable is when it arrived.

    Args:
        camera_id: the camera's name in station.toml.
        camera: the driver; used by this object alone.
        triggered: each frame answers a trigger that its driver is told of; else frames come by themselves.
        limits: what makes a frame acceptable.
        on_state: called with (lost, why) when the camera goes and when it is back, one call at a time.
        notes_repeats: look whether a frame is the one before it.
    """

    def __init__(
        self,
        camera_id: str,
        camera: Camera,
        limits: CaptureLimits,
        *,
        triggered: bool,
        on_state: Callable[[bool, str], None],
        notes_repeats: bool = False,
    ) -> None:
        self.camera_id = camera_id
        self.counters = CaptureCounters()
        self.failure: Exception | None = None
        self.pulse = Pulse(limits.driver_s)
        self._camera = camera
        self._limits = limits
        self._triggered = triggered
        self._on_state = on_state
        self._notes_repeats = notes_repeats
        self._last: Image | None = None
        self._frames: deque[tuple[Frame, int | None]] = deque()
        self._newest: Frame | None = None
        self._arrived = threading.Condition()
        self._saying = threading.Lock()
        self._lost = "not opened yet"
        self._asked = 0
        self._heard_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"drain-{camera_id}", daemon=True)

    def start(self) -> None:
        """Start the thread; the camera opens in it."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread and close the camera, waiting at most `timeout_s` seconds."""
        self._stop.set()
        with self._arrived:
            self._arrived.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def claim(self, triggered_s: float) -> Claim:
        """Claim the frame of a trigger that arrived at `triggered_s`, triggering the camera if it is ours to do."""
        if not self._triggered:
            return Claim(triggered_s, None)
        with self._arrived:
            self._asked += 1
            number = self._asked
        self._camera.trigger(number)
        return Claim(triggered_s, number)

    def take(self, claim: Claim, until_s: float) -> Frame:
        """The claim's frame, waiting until it comes, `until_s` (monotonic), or the camera's own time limit.

        Raises:
            CameraError: no frame came in time, it is stale, or the camera is lost; `reason` says which.
        """
        earliest_s = claim.triggered_s + self._limits.latency_s
        latest_s = earliest_s + self._limits.timeout_s
        until_s = min(until_s, latest_s)
        with self._arrived:
            while True:
                frame = self._find(claim, earliest_s, latest_s)
                if frame is not None:
                    return frame
                self._check_hope(until_s)
                self._arrived.wait(max(0.0, until_s - time.monotonic()))

    def newest(self, after_seq: int, until_s: float) -> Frame:
        """The newest frame, of those after number `after_seq`, for looking only: parts keep their claim on it.

        Raises:
            CameraError: none came until `until_s` (monotonic), or the camera is lost.
        """
        with self._arrived:
            while self._newest is None or self._newest.seq <= after_seq:
                self._check_hope(until_s)
                self._arrived.wait(max(0.0, until_s - time.monotonic()))
            return self._newest

    def _check_hope(self, until_s: float) -> None:
        if self._lost or self._stop.is_set():
            raise CameraError(f"camera {self.camera_id!r} is lost: {self._lost or 'stopping'}", "camera_lost")
        if time.monotonic() >= until_s:
            raise CameraError(f"camera {self.camera_id!r} gave no frame in time", "no_frame")

    def watch(self, now_s: float) -> None:
        """Count a free-running camera as lost when its images stop coming, although its driver says nothing."""
        silent_s = now_s - self._heard_s
        if not self._triggered and not self._lost and silent_s > max(_SILENT_S, 2 * self._limits.timeout_s):
            self._set_lost(f"no image for {silent_s:.1f} s")

    def _find(self, claim: Claim, earliest_s: float, latest_s: float) -> Frame | None:
        while self._frames:
            frame, number = self._frames[0]
            if claim.number is not None and number is not None and number > claim.number:
                raise CameraError(f"camera {self.camera_id!r} skipped the trigger of this part", "no_frame")
            if claim.number is None and frame.monotonic_s > latest_s:
                raise CameraError(f"camera {self.camera_id!r}: the next frame came too late for this part", "no_frame")
            self._frames.popleft()
            if number == claim.number and (number is not None or frame.monotonic_s >= earliest_s):
                return self._fit(frame, earliest_s, latest_s)
            self.counters.orphaned += 1
        return None

    def _fit(self, frame: Frame, earliest_s: float, latest_s: float) -> Frame:
        if frame.monotonic_s < earliest_s:
            raise CameraError(f"camera {self.camera_id!r}: the frame is older than its trigger", "stale_frame")
        if frame.monotonic_s > latest_s:
            raise CameraError(f"camera {self.camera_id!r}: the frame came too late for its trigger", "no_frame")
        age_ms = frame.age_ms(time.monotonic())
        if age_ms > self._limits.max_age_s * 1000:
            raise CameraError(f"camera {self.camera_id!r}: the frame is {age_ms:.0f} ms old", "stale_frame")
        self.counters.used += 1
        return frame

    def _run(self) -> None:
        try:
            attempt = 0
            while not self._stop.is_set():
                attempt = 0 if self._serve_camera() else attempt + 1
                self.pulse.beat()
                self._stop.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
        except Exception as error:  # noqa: BLE001 - a driver's defect must reach the daemon, not end a thread in silence
            self.failure = error
            self._set_lost(f"{type(error).__name__}: {error}")

    def _serve_camera(self) -> bool:
        """Open the camera and take its images until it is lost or a stop is asked for; whether any image came."""
        received = self.counters.received
        self.pulse.beat()
        try:
            self._camera.open()
            self._drain()
        except CameraError as error:
            self._set_lost(str(error))
            self.counters.losses += 1
        finally:
            self.pulse.beat()
            self._camera.close()
        return self.counters.received > received

    def _drain(self) -> None:
        if self._triggered:
            self._set_lost("")
        backlog = Backlog()
        while not self._stop.is_set():
            self.pulse.beat()
            asked_s = time.monotonic()
            shot = self._camera.read(_READ_TIMEOUT_S)
            if shot is None or self._was_queued(backlog, shot, asked_s):
                continue
            self._keep(shot)
            if self._lost:
                self._set_lost("")

    def _was_queued(self, backlog: Backlog, shot: Shot, asked_s: float) -> bool:
        """Whether a free-running camera's image lay in its driver while nobody read: how old it is, nobody knows."""
        if self._triggered or shot.source or not backlog.holds(asked_s, time.monotonic()):
            return False
        self.counters.dropped += 1
        return True

    def _keep(self, shot: Shot) -> None:
        heard_s = time.monotonic()
        arrived_s, captured_at = heard_s - shot.held_s, datetime.now(UTC) - timedelta(seconds=shot.held_s)
        repeats = self._repeats(shot.image)
        with self._arrived:
            self.counters.received += 1
            number, image = self.counters.received, shot.image
            frame = Frame(self.camera_id, number, captured_at, arrived_s, image, shot.source, repeats)
            if len(self._frames) >= self._limits.buffer_frames:
                self._frames.popleft()
                self.counters.dropped += 1
            self._frames.append((frame, shot.trigger_number))
            self._newest = frame
            self._heard_s = heard_s
            self._arrived.notify_all()

    def _repeats(self, image: Image) -> bool:
        if not self._notes_repeats:
            return False
        last, self._last = self._last, image
        return last is not None and same_picture(image, last)

    def _set_lost(self, why: str) -> None:
        with self._saying:
            with self._arrived:
                changed = why != self._lost
                self._lost = why
                self._arrived.notify_all()
            if changed:
                self._on_state(bool(why), why)
