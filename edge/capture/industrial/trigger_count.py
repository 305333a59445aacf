"""Which trigger a camera's frame answers, by count: pure, so that every way to lose step can be tried.

A camera counts the frames it exposed, and a trigger makes one frame. So the next frame answers the oldest trigger that
waits; a gap in the count is that many triggers whose frames were lost on the way. The count alone sees neither a
trigger that the camera never got nor one that is heard of only after its frame. Therefore:

- A frame is only given to a trigger that is the only one waiting, in time.
- Where a trigger went unanswered, without a gap in the count that explains it, and a newer one waits, the next frame
  may be either's: the count is out of step, and only a new start of the camera, which empties the way, mends it.
- A trigger that the line gives is in doubt when a frame that answered nobody came just before it (its own?), or the
  camera was just started. What answers it is given to nobody and leaves the next one in doubt, until there is a pause.

A line that announces its parts before their frames come is safe from every fault that is tried in the tests, one that
announces them later gets UNDECIDED; later and with frames lost besides, a mix-up cannot be ruled out.
"""

import threading
from collections import deque
from dataclasses import dataclass

_IDS_16_BIT = 65_535
_MOST_WAITING = 256
_MOST_DOUBTED = 30
_ON_ITS_WAY_S = 0.3


class OutOfStepError(Exception):
    """Frames and triggers no longer match."""


@dataclass(slots=True)
class CountCounters:
    """Since the start: frames lost on the way, asked for by nobody, late, or that may belong to another trigger."""

    lost: int = 0
    unasked: int = 0
    late: int = 0
    ambiguous: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int
    until_s: float
    doubted: bool


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
        started_s: when the camera was started, where the line gives the triggers; None where they are given here, so
            that no frame can come before its trigger.
    """

    def __init__(self, within_s: float, counters: CountCounters, started_s: float | None = None) -> None:
        self._within_s = within_s
        self._counters = counters
        self._doubts = started_s is not None
        self._unmatched_s = float("-inf") if started_s is None else started_s + _ON_ITS_WAY_S
        self._waiting: deque[_Waiting] = deque(maxlen=_MOST_WAITING)
        self._last_id: int | None = None
        self._doubted = 0
        self._lock = threading.Lock()

    def expect(self, number: int, now_s: float) -> None:
        """A trigger was given now."""
        with self._lock:
            doubted = now_s - self._unmatched_s < self._within_s
            self._waiting.append(_Waiting(number, now_s + self._within_s, doubted))

    def unsettled_s(self, now_s: float) -> float:
        """How long the newest trigger's frame may still come in time; 0 when none is awaited."""
        with self._lock:
            return max(0.0, self._waiting[-1].until_s - now_s) if self._waiting else 0.0

    def unanswered(self, now_s: float) -> int:
        """How many triggers in a row had no frame in time, whole or not."""
        with self._lock:
            return sum(waiting.until_s < now_s for waiting in self._waiting)

    def arrived(self, frame_id: int, now_s: float, *, complete: bool) -> int | None:
        """Which trigger a frame answers; None where it answers none.

        Raises:
            OutOfStepError: it may be the frame of either of two triggers, for good.
        """
        with self._lock:
            for _ in range(self._lost_before(frame_id)):
                self._use_up(now_s)
            waiting = self._use_up(now_s)
            if not complete:
                return None
            if waiting is None:
                self._counters.unasked += 1
                return None
            return self._answer(waiting, now_s)

    def _lost_before(self, frame_id: int) -> int:
        """How many frames were lost on the way before this one came, of those that a trigger waits for."""
        # Where a camera begins to count is its own affair, so nothing is known of frames before the first.
        lost = 0 if self._last_id is None else frames_between(self._last_id, frame_id) - 1
        if not 0 <= lost <= _IDS_16_BIT // 2:
            raise OutOfStepError(f"frame {frame_id} came after frame {self._last_id}")
        self._last_id = frame_id
        self._counters.lost += lost
        return min(lost, len(self._waiting))

    def _use_up(self, now_s: float) -> _Waiting | None:
        """The oldest trigger that waits, which the frame at hand answers."""
        waiting = self._waiting.popleft() if self._waiting else None
        if waiting is None or waiting.doubted:
            self._mark(now_s)
        return waiting

    def _mark(self, now_s: float) -> None:
        """A frame is here that may be that of a trigger which is not."""
        if self._doubts:
            self._unmatched_s = now_s

    def _answer(self, waiting: _Waiting, now_s: float) -> int | None:
        late = now_s > waiting.until_s
        if self._waiting and late:
            raise OutOfStepError(
                f"trigger {waiting.number} had no frame within {self._within_s * 1000:.0f} ms, and the next frame may "
                "be its own or that of the next trigger"
            )
        if late:
            self._counters.late += 1
            self._mark(now_s)
            return None
        if self._waiting or waiting.doubted:
            self._doubt()
            return None
        self._doubted = 0
        return waiting.number

    def _doubt(self) -> None:
        self._counters.ambiguous += 1
        self._doubted += 1
        if self._doubted >= _MOST_DOUBTED:
            raise OutOfStepError(
                f"{self._doubted} frames in a row may belong to another trigger: each part must be announced before it "
                f"is exposed, and parts must come further apart than {self._within_s * 1000:.0f} ms (latency_ms and "
                "timeout_ms)"
            )
