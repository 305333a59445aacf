"""Which trigger a camera's frame answers, by count: pure, so that every way to lose step can be tried.

A camera counts the frames it exposed, and a trigger makes one frame. So the next frame answers the oldest trigger that
waits; a gap in the count is that many triggers whose frames were lost on the way. The count alone does not see a
trigger that the camera never got: therefore a frame is only given to a trigger that is the only one waiting, in time.

Invariants:
- A frame is never given to a trigger while an older one waits: whose frame it is cannot be known then.
- Where a trigger went unanswered, without a gap in the count that explains it, and a newer one waits, the next frame
  may be either's: the count is out of step, and only a new start of the camera, which empties the way, mends it.
"""

import threading
from collections import deque
from dataclasses import dataclass

_IDS_16_BIT = 65_535
_MOST_WAITING = 256


class OutOfStepError(Exception):
    """Frames and triggers no longer match."""


@dataclass(slots=True)
class CountCounters:
    """Since the start: frames lost on the way, asked for by nobody, late, or that could be either of two triggers'."""

    lost: int = 0
    unasked: int = 0
    late: int = 0
    ambiguous: int = 0


def frames_between(earlier: int, later: int) -> int:
    """How many frames on from `earlier` the frame id `later` is.

    A 16-bit id (GigE Vision 1) skips 0: after 65535 comes 1. A 64-bit id goes on.
    """
    if max(earlier, later) > _IDS_16_BIT:
        return later - earlier
    return (later - earlier) % _IDS_16_BIT


class TriggerCount:
    """The triggers that wait for their frames, since the camera was started. Any thread may use it.

    Args:
        within_s: later than this after its trigger, a frame answers nobody.
        counters: where it counts.
    """

    def __init__(self, within_s: float, counters: CountCounters) -> None:
        self._within_s = within_s
        self._counters = counters
        self._waiting: deque[tuple[int, float]] = deque(maxlen=_MOST_WAITING)
        self._last_id: int | None = None
        self._lock = threading.Lock()

    def expect(self, number: int, now_s: float) -> None:
        """A trigger was given now."""
        with self._lock:
            self._waiting.append((number, now_s + self._within_s))

    def unsettled_s(self, now_s: float) -> float:
        """How long the newest trigger's frame may still come in time; 0 when none is awaited."""
        with self._lock:
            return max(0.0, self._waiting[-1][1] - now_s) if self._waiting else 0.0

    def arrived(self, frame_id: int, now_s: float, *, complete: bool) -> int | None:
        """Which trigger a frame answers; None where it answers none.

        Raises:
            OutOfStepError: it may be the frame of either of two triggers, for good.
        """
        with self._lock:
            self._pass_over(frame_id)
            if complete:
                return self._answer(now_s)
            if self._waiting:
                self._waiting.popleft()
            return None

    def _pass_over(self, frame_id: int) -> None:
        """Take the frames that were lost on the way off the triggers that they would have answered."""
        if self._last_id is None:
            # A camera may start its count anew, or go on with an old one.
            lost = frame_id - 1 if 0 < frame_id <= len(self._waiting) else 0
        else:
            lost = frames_between(self._last_id, frame_id) - 1
        if not 0 <= lost <= _IDS_16_BIT // 2:
            raise OutOfStepError(f"frame {frame_id} came after frame {self._last_id}")
        self._last_id = frame_id
        self._counters.lost += lost
        for _ in range(min(lost, len(self._waiting))):
            self._waiting.popleft()

    def _answer(self, now_s: float) -> int | None:
        if not self._waiting:
            self._counters.unasked += 1
            return None
        number, until_s = self._waiting.popleft()
        if not self._waiting:
            if now_s <= until_s:
                return number
            self._counters.late += 1
            return None
        if now_s > until_s:
            raise OutOfStepError(
                f"trigger {number} had no frame within {self._within_s * 1000:.0f} ms, and the next frame may be its "
                "own or that of the next trigger"
            )
        self._counters.ambiguous += 1
        return None
