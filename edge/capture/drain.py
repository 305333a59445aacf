"""The one thread a camera has: it takes every image the moment it comes, so that none grows old in a driver's queue."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.capture.camera import Camera, Shot
from edge.domain.errors import CameraError
from edge.domain.frame import Frame

_READ_TIMEOUT_S = 0.1
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """What makes a frame acceptable for a trigger.

    Args:
        latency_s: no honest frame arrives sooner after its trigger.
        timeout_s: later than this after trigger and latency, the frame is missed.
        max_age_s: a frame waited longer than this to be looked at is stale.
        buffer_frames: how many frames may wait.
    """

    latency_s: float
    timeout_s: float
    max_age_s: float
    buffer_frames: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A trigger's claim on one frame."""

    triggered_s: float
    number: int | None


@dataclass(slots=True)
class CaptureCounters:
    """Since the start: frames that arrived, were used, were pushed out unused, answered no part; reopenings."""

    received: int = 0
    used: int = 0
    dropped: int = 0
    orphaned: int = 0
    reopened: int = 0


class Drain:
    """Owns one camera and its thread; hands each claim exactly one frame, and each frame to one claim only.

    Args:
        camera_id: the camera's name in station.toml.
        camera: the driver; used by this object alone.
        triggered: frames answer software triggers; else they come by themselves.
        limits: what makes a frame acceptable.
        on_state: called from the thread with (lost, why) when the camera goes and when it is back.
    """

    def __init__(
        self,
        camera_id: str,
        camera: Camera,
        limits: CaptureLimits,
        *,
        triggered: bool,
        on_state: Callable[[bool, str], None],
    ) -> None:
        self.camera_id = camera_id
        self.counters = CaptureCounters()
        self.failure: Exception | None = None
        self._camera = camera
        self._limits = limits
        self._triggered = triggered
        self._on_state = on_state
        self._frames: deque[tuple[Frame, int | None]] = deque()
        self._arrived = threading.Condition()
        self._lost = "not opened yet"
        self._asked = 0
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
                    return self._fresh(frame)
                self._check_hope(until_s)
                self._arrived.wait(max(0.0, until_s - time.monotonic()))

    def _check_hope(self, until_s: float) -> None:
        if self._lost or self._stop.is_set():
            raise CameraError(f"camera {self.camera_id!r} is lost: {self._lost or 'stopping'}", "camera_lost")
        if time.monotonic() >= until_s:
            raise CameraError(f"camera {self.camera_id!r} gave no frame in time", "no_frame")

    def _find(self, claim: Claim, earliest_s: float, latest_s: float) -> Frame | None:
        while self._frames:
            frame, number = self._frames[0]
            if claim.number is not None and number is not None and number > claim.number:
                raise CameraError(f"camera {self.camera_id!r} skipped the trigger of this part", "no_frame")
            self._frames.popleft()
            if number != claim.number:
                self.counters.orphaned += 1
            elif frame.monotonic_s >= earliest_s:
                return self._in_window(frame, latest_s)
            elif claim.number is not None:
                raise CameraError(f"camera {self.camera_id!r}: the frame is older than its trigger", "stale_frame")
        return None

    def _in_window(self, frame: Frame, latest_s: float) -> Frame:
        if frame.monotonic_s > latest_s:
            raise CameraError(f"camera {self.camera_id!r}: the frame came too late for its trigger", "no_frame")
        self.counters.used += 1
        return frame

    def _fresh(self, frame: Frame) -> Frame:
        age_ms = frame.age_ms(time.monotonic())
        if age_ms > self._limits.max_age_s * 1000:
            raise CameraError(f"camera {self.camera_id!r}: the frame is {age_ms:.0f} ms old", "stale_frame")
        return frame

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            try:
                self._camera.open()
                attempt = 0
                self._drain()
            except CameraError as error:
                self._set_lost(str(error))
            except Exception as error:  # noqa: BLE001 - a driver's defect must reach the daemon, not end a thread in silence
                self.failure = error
                self._set_lost(f"{type(error).__name__}: {error}")
            finally:
                self._camera.close()
            self._stop.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            attempt += 1
            self.counters.reopened += 1

    def _drain(self) -> None:
        self._set_lost("")
        while not self._stop.is_set():
            shot = self._camera.read(_READ_TIMEOUT_S)
            if shot is not None:
                self._keep(shot)

    def _keep(self, shot: Shot) -> None:
        arrived_s, captured_at = time.monotonic(), datetime.now(UTC)
        with self._arrived:
            self.counters.received += 1
            frame = Frame(self.camera_id, self.counters.received, captured_at, arrived_s, shot.image, shot.source)
            if len(self._frames) >= self._limits.buffer_frames:
                self._frames.popleft()
                self.counters.dropped += 1
            self._frames.append((frame, shot.trigger_number))
            self._arrived.notify_all()

    def _set_lost(self, why: str) -> None:
        with self._arrived:
            changed = why != self._lost
            self._lost = why
            self._arrived.notify_all()
        if changed:
            self._on_state(bool(why), why)
