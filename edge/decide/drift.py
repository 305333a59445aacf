"""Whether what a station sees, or is told by people, is still as it was when its model went live. Pure, bounded memory.

A sign that is measured (score, brightness, focus) is compared block by block of 20 parts with a reference: the first
400 parts that the model saw. A value counts with three spreads at most, so that single defects move nothing. The mean
of a block is judged by how the reference's own blocks scattered, widened by how alike neighbouring blocks were: parts
that resemble the one before them make no alarm. The sum of what exceeds one such scatter, upwards and downwards
(CUSUM: Page 1954), opens the alarm at its limit; one block alone never does.

An open alarm closes by the same kind of sum for the contrary: enough blocks back at the reference. In between nothing
changes, so it does not flicker. What stays as it became keeps its alarm until another model, or another reference.

The overrule rate needs no reference: up to one part in a hundred is taken for usual. Its sum of log likelihood ratios
opens the alarm at ln(100,000): at a usual rate that happens less often than once in 100,000 parts (Lorden 1971).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

BLOCK_PARTS = 20
REFERENCE_BLOCKS = 20
LIMIT = 8.0
_ALLOWED = 1.0  # scatters of a block that add nothing to the sum
_CALM = 1.25
_CALM_LIMIT = 5.0
_STEP_MOST = 0.6 * LIMIT  # of one block
_SPREADS_MOST = 3.0
_MAD_TO_SPREAD = 1.4826
_ALIKE_MOST = 0.8
USUAL_OVERRULES = 0.01
_MANY_OVERRULES = 0.04
OVERRULE_LIMIT = math.log(100_000)


class Sign(StrEnum):
    """What is watched."""

    SCORE = "score"
    BRIGHTNESS = "brightness"
    FOCUS = "focus"
    OVERRULE = "overrule"


# Differences that no eye and no model would mind, in the sign's own unit: spreads are taken to be this at least.
LEAST_SPREAD = {Sign.SCORE: 0.02, Sign.BRIGHTNESS: 1.0, Sign.FOCUS: 0.01}


@dataclass(frozen=True, slots=True)
class Reference:
    """How a sign was while all was well.

    Args:
        centre: the parts' median, in the sign's unit.
        spread: of single parts about it.
        mean: of the blocks, in spreads from the centre.
        scatter: of the blocks' means, in spreads.
    """

    centre: float
    spread: float
    mean: float
    scatter: float


@dataclass(slots=True)
class Watch:
    """One measured sign of one product before one camera.

    Args:
        least_spread: the least spread, in the sign's unit.
        reference: None until it is learned.
        values: what waits for the reference, or for its block, to be whole.
        up: the sum of what exceeded upwards.
        down: the same downwards.
        calm: while the alarm is open, the sum of what spoke against it.
        alarm: whether it is open.
        parts: seen since the model went live.
    """

    least_spread: float
    reference: Reference | None = None
    values: list[float] = field(default_factory=list)
    up: float = 0.0
    down: float = 0.0
    calm: float = 0.0
    alarm: bool = False
    parts: int = 0

    @property
    def statistic(self) -> float:
        """How much speaks for a shift; above `LIMIT` the alarm opens."""
        return max(self.up, self.down)

    def see(self, value: float) -> bool:
        """One more part's value; True where the alarm opened or closed by it. What is not finite is left out."""
        if not math.isfinite(value):
            return False
        self.parts += 1
        self.values.append(value)
        if self.reference is None:
            if len(self.values) >= BLOCK_PARTS * REFERENCE_BLOCKS:
                self.reference, self.values = learn(self.values, self.least_spread), []
            return False
        if len(self.values) < BLOCK_PARTS:
            return False
        block, self.values = self.values, []
        return self._judge(_block_mean(block, self.reference), self.reference)

    def _judge(self, mean: float, reference: Reference) -> bool:
        shift = (mean - reference.mean) / reference.scatter
        self.up = min(max(0.0, self.up + min(shift - _ALLOWED, _STEP_MOST)), 2 * LIMIT)
        self.down = min(max(0.0, self.down + min(-shift - _ALLOWED, _STEP_MOST)), 2 * LIMIT)
        if not self.alarm:
            self.alarm, self.calm = self.statistic > LIMIT, 0.0
            return self.alarm
        self.calm = max(0.0, self.calm + _CALM - abs(shift))
        if self.calm < _CALM_LIMIT:
            return False
        self.alarm, self.up, self.down, self.calm = False, 0.0, 0.0, 0.0
        return True


@dataclass(slots=True)
class OverruleWatch:
    """How often people say of a product's parts that the verdict was wrong.

    Args:
        statistic: the sum of log likelihood ratios, not below 0.
        alarm: whether it is open.
        parts: seen since the model went live.
    """

    statistic: float = 0.0
    alarm: bool = False
    parts: int = 0

    def see_part(self) -> bool:
        """One more part of which nobody said anything yet; True where the alarm closed by it."""
        self.parts += 1
        self.statistic = max(0.0, self.statistic + _OF_A_PART)
        if self.alarm and self.statistic == 0.0:
            self.alarm = False
            return True
        return False

    def see_overrule(self) -> bool:
        """A person overruled one of the parts; True where the alarm opened by it."""
        self.statistic = min(self.statistic + _OF_AN_OVERRULE - _OF_A_PART, 2 * OVERRULE_LIMIT)
        opened = not self.alarm and self.statistic > OVERRULE_LIMIT
        self.alarm = self.alarm or opened
        return opened


_OF_A_PART = math.log((1 - _MANY_OVERRULES) / (1 - USUAL_OVERRULES))
_OF_AN_OVERRULE = math.log(_MANY_OVERRULES / USUAL_OVERRULES)


def learn(values: Sequence[float], least_spread: float) -> Reference:
    """What whole blocks of parts show as usual: their median and spread, and how their means scatter."""
    found = np.asarray(values, np.float64)
    centre = float(np.median(found))
    spread = max(least_spread, _MAD_TO_SPREAD * float(np.median(np.abs(found - centre))))
    clipped = np.clip((found - centre) / spread, -_SPREADS_MOST, _SPREADS_MOST)
    means = clipped.reshape(-1, BLOCK_PARTS).mean(1)
    about = means - means.mean()
    alike = float(about[1:] @ about[:-1]) / max(float(about @ about), 1e-12)
    alike = min(max(alike, 0.0), _ALIKE_MOST)
    own = float(means.std(ddof=1)) * math.sqrt((1 + alike) / (1 - alike) * (1 + 1 / len(means)))
    return Reference(centre, spread, float(means.mean()), max(own, 1 / math.sqrt(BLOCK_PARTS)))


def _block_mean(block: Sequence[float], reference: Reference) -> float:
    found = (np.asarray(block, np.float64) - reference.centre) / reference.spread
    return float(np.clip(found, -_SPREADS_MOST, _SPREADS_MOST).mean())
