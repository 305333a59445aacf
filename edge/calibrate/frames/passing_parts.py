"""Which of a camera's frames shows a part that was not there before. Pure: frames and times in, an answer out.

Two ways to show parts: they pass on a belt, and each frame that differs from the last kept one by more than noise is
another part; or a person changes them in a fixture, and then a frame counts only once the picture differs and rests,
because hands are no parts.
"""

from dataclasses import dataclass
from enum import StrEnum

from edge.calibrate.frames.near_copies import is_copy, residue_limit, small
from edge.domain.frame import Image


class Look(StrEnum):
    """What a frame is."""

    NEW = "new"
    EARLY = "early"
    SAME = "same"
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class Pace:
    """When a frame counts.

    Args:
        interval_s: at least so long after the last kept one.
        every_frame: each frame is another part, however alike: a line that triggers for each part.
        by_hand: the part is changed by hand, so the picture must differ and then rest.
        repeats: how many frames of each part, one after the other.
    """

    interval_s: float = 0.0
    every_frame: bool = False
    by_hand: bool = False
    repeats: int = 1


class PassingParts:
    """Judges the frames of one camera, one after the other."""

    def __init__(self, pace: Pace, kept: int = 0, last: Image | None = None) -> None:
        """Go on after `kept` frames, the last of which is given."""
        self.kept = kept
        self._pace = pace
        self._last = None if last is None else small(last)
        self._before = self._last
        self._kept_s = float("-inf")

    @property
    def awaits_change(self) -> bool:
        """Whether the next frame to keep must show another part."""
        return self.kept % self._pace.repeats == 0

    def early_s(self, now_s: float) -> float:
        """How long until a frame may count, seconds."""
        return max(0.0, self._kept_s + self._pace.interval_s - now_s)

    def judge(self, image: Image, now_s: float) -> Look:
        """What a frame is; one that is new counts as kept.

        Args:
            image: (H, W, 3) uint8 BGR.
            now_s: when it arrived, monotonic.
        """
        seen, limit = small(image), residue_limit((image.shape[1], image.shape[0]))
        before, self._before = self._before, seen
        if self.early_s(now_s) > 0:
            return Look.EARLY
        if self.awaits_change and not self._pace.every_frame:
            if self._last is not None and is_copy(self._last, seen, limit):
                return Look.SAME
            if self._pace.by_hand and (before is None or not is_copy(before, seen, limit)):
                return Look.MOVING
        self._last, self._kept_s = seen, now_s
        self.kept += 1
        return Look.NEW
