"""Is a stream live? How long each of its images was held up on the way, read from how they arrive. Pure: no clock.

What a stopped server, a slow link or a full socket held back comes later in a burst, and looks as fresh as any image.
Two ways tell it apart, and both err towards refusing:
- With the stream's own time stamps: the least delay seen is the way's own, and what comes later than that was held up
  by the difference. While images catch up with their stamps, the least delay falls: nothing is known yet. It rises by
  0.2 per mille at most, as far as two clocks drift apart.
- Without stamps: after a pause nothing is trusted until images have come at their usual pace for a while.
A delay that was the same for every image since the stream was opened shows in neither; `latency_ms` declares it.
"""

import math
from collections import deque
from itertools import pairwise
from statistics import fmean, median
from typing import Protocol

SETTLE_S = 0.5
_FALL_S = 0.010
_DRIFT = 2e-4
_MOST_HELD_S = 1.0
_USUAL_GAPS = 250
_PERIODS = 15
_FEWEST = 3
_HURRY = 0.8
_PAUSE = 3.0
_PAUSE_S = 0.1


class Liveness(Protocol):
    """Watches one connection to a stream; a new connection gets a new one."""

    def held_s(self, arrived_s: float, stamp_s: float) -> float | None:
        """How long the image that arrived at `arrived_s` was held up; None while the stream is not known to be live.

        Args:
            arrived_s: monotonic, seconds; never less than the one before.
            stamp_s: the stream's own time of the image, seconds from any start; 0 where it has none.
        """
        ...


class StampedLiveness:
    """For streams whose images carry the time they were taken at, as those of RTSP do."""

    def __init__(self) -> None:
        self._stamp_s = self._arrived_s = -math.inf
        self._least_s = math.inf
        self._trail: deque[tuple[float, float]] = deque()
        self._periods: deque[float] = deque(maxlen=_PERIODS)

    @property
    def period_s(self) -> float:
        """The usual time between two images, by their stamps; 0 before the second one."""
        return median(self._periods) if self._periods else 0.0

    def held_s(self, arrived_s: float, stamp_s: float) -> float | None:
        """As promised by Liveness; stamps that do not run forwards begin a new count."""
        if stamp_s <= self._stamp_s:
            self._least_s = math.inf
            self._trail.clear()
        if self._trail:
            self._periods.append(stamp_s - self._stamp_s)
        delay_s = arrived_s - stamp_s
        drifted_s = _DRIFT * (arrived_s - self._arrived_s) if self._trail else 0.0
        self._least_s = min(self._least_s + drifted_s, delay_s)
        self._stamp_s, self._arrived_s = stamp_s, arrived_s
        self._trail.append((arrived_s, self._least_s))
        while len(self._trail) > 1 and self._trail[1][0] <= arrived_s - SETTLE_S:
            self._trail.popleft()
        before_s, least_before_s = self._trail[0]
        if before_s > arrived_s - SETTLE_S or self._least_s < least_before_s - _FALL_S:
            return None
        held_s = delay_s - self._least_s
        return held_s if held_s <= _MOST_HELD_S else None


class PacedLiveness:
    """For streams without time stamps, as motion JPEG over HTTP mostly is; the usual pace is that of trusted ones."""

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque()
        self._usual: deque[float] = deque(maxlen=_USUAL_GAPS)

    def held_s(self, arrived_s: float, stamp_s: float) -> float | None:  # noqa: ARG002 - there is none
        """As promised by Liveness: 0, or None."""
        self._arrivals.append(arrived_s)
        while len(self._arrivals) > _FEWEST and self._arrivals[1] <= arrived_s - SETTLE_S:
            self._arrivals.popleft()
        gaps = [late_s - early_s for early_s, late_s in pairwise(self._arrivals)]
        if len(gaps) < _FEWEST - 1 or self._arrivals[0] > arrived_s - SETTLE_S:
            return None
        usual_s = fmean(self._usual or gaps)
        paused = max(gaps) > max(_PAUSE * usual_s, usual_s + _PAUSE_S)
        hurried = fmean(gaps) < _HURRY * usual_s
        if paused or hurried:
            return None
        self._usual.extend(gaps[-1:] if self._usual else gaps)
        return 0.0
