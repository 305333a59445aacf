"""The next frame of a running camera for a collection: triggered from here or watched, its losses waited out."""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager

from edge.capture.camera import Camera
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.grab import await_first
from edge.capture.latest import Latest
from edge.capture.open import is_replayed
from edge.config import CameraSection
from edge.domain.errors import CameraError
from edge.domain.frame import Frame

_RETRY_S = 0.2
_POLL_S = 0.02
_STOP_S = 5.0


@contextmanager
def opened(
    section: CameraSection, camera: Camera, interval_s: float, limits_s: tuple[float, float]
) -> "Iterator[LiveSource]":
    """The camera, opened and giving; closed at the end.

    Args:
        section: the camera's.
        camera: its driver; used by this source alone.
        interval_s: between two triggers at least.
        limits_s: how long no frame may come before it is given up, and the same where the line triggers.

    Raises:
        CameraError: it is lost, or says nothing in time.
    """
    limits = CaptureLimits(
        section.latency_ms / 1000, section.timeout_ms / 1000, section.max_age_ms / 1000, section.buffer_frames
    )
    states: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()
    triggered = section.trigger == "software"
    drain = Drain(section.id, camera, limits, triggered=triggered, on_state=lambda lost, why: states.put((lost, why)))
    by_line = section.trigger == "hardware"
    drain.start()
    try:
        await_first(states, section, limits_s[1] if by_line else None)
        yield LiveSource(section, drain, limits_s[by_line], interval_s)
    finally:
        drain.stop(_STOP_S)


class LiveSource:
    """The next frame of a camera that is triggered from here or watched; losses are waited out, within a limit."""

    def __init__(self, section: CameraSection, drain: Drain, patience_s: float, interval_s: float) -> None:
        self._drain = drain
        self._between_s = max(_POLL_S, interval_s) if section.trigger == "software" else 0.0
        self._latest = Latest(drain)
        self._triggered = section.trigger == "software"
        self._ends = is_replayed(section) and not section.loop
        self._patience_s = patience_s
        self._timeout_s = (section.latency_ms + section.timeout_ms) / 1000
        self._heard_s = time.monotonic()

    def next(self, until_s: float) -> Frame | None:
        """A frame that was not seen yet; None where none came for now.

        Raises:
            CameraError: none came for so long that it is given up.
        """
        try:
            frame = self._ask(until_s) if self._triggered else self._watch(until_s)
        except CameraError as error:
            lost = error.reason == "camera_lost"
            if self._drain.failure is not None or (lost and self._ends) or time.monotonic() >= self._give_up_s:
                raise
            self.pause(_RETRY_S if lost else 0.0, until_s)
            return None
        self._heard_s = time.monotonic()
        return frame

    def pause(self, seconds: float, until_s: float) -> None:
        """Let time pass, not beyond `until_s` (monotonic), and between two triggers the interval at least."""
        time.sleep(max(0.0, min(max(seconds, self._between_s), until_s - time.monotonic())))

    @property
    def _give_up_s(self) -> float:
        return self._heard_s + self._patience_s

    def _ask(self, until_s: float) -> Frame:
        now_s = time.monotonic()
        return self._drain.take(self._drain.claim(now_s), min(until_s, now_s + self._timeout_s))

    def _watch(self, until_s: float) -> Frame:
        return self._latest.take(min(until_s, self._give_up_s))
