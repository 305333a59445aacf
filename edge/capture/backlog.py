"""Images that lay in a driver's queue while its reader did not run look as fresh as any. Pure: no clock.

Whoever comes late to a free-running camera finds images that wait, and is handed them without waiting. So after a pause
between two readings nothing is believed until a reading had to wait for half of the camera's usual period. An image
that came while the whole process stood still inside a reading is not seen by this.
"""

from collections import deque
from statistics import median

_PERIODS = 15
_PAUSE = 1.5
_LEAST_PAUSE_S = 0.05
_WAITED = 0.5


class Backlog:
    """Watches the readings of one camera since it was opened."""

    def __init__(self) -> None:
        self._gaps_s: deque[float] = deque(maxlen=_PERIODS)
        self._came_s: float | None = None
        self._behind = False

    def holds(self, asked_s: float, came_s: float) -> bool:
        """Whether the image that was asked for at `asked_s` and came at `came_s` (monotonic) may have been waiting."""
        before_s, self._came_s = self._came_s, came_s
        if before_s is None or not self._gaps_s:
            self._remember(before_s, came_s)
            return False
        period_s = median(self._gaps_s)
        if asked_s - before_s > max(_PAUSE * period_s, _LEAST_PAUSE_S):
            self._behind = True
        if self._behind and came_s - asked_s < _WAITED * period_s:
            return True
        if not self._behind:
            self._remember(before_s, came_s)
        self._behind = False
        return False

    def _remember(self, before_s: float | None, came_s: float) -> None:
        if before_s is not None:
            self._gaps_s.append(came_s - before_s)
