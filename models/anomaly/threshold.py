"""The threshold: an order statistic of held-out good parts that keeps the overkill rate with a stated confidence. Pure.

Of n independent good parts let the k highest lie above the threshold, which is set at the next one. The true rate of
good parts above it then follows a Beta(k + 1, n - k) distribution, whatever the scores' own distribution is (Wilks
1941, Annals of Mathematical Statistics 12:91). The largest k is taken for which that rate stays within the target with
the asked confidence. With k = 0, the maximum, n = 149 parts prove 2 % at 95 %, 299 prove 1 %, 2,995 prove 0.1 %. With
fewer the maximum is taken all the same, and what it does prove is said.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from models.errors import RequestError
from models.evaluate import Estimate, clopper_pearson

_EVEN, _USUAL = 0.5, 0.9


@dataclass(frozen=True, slots=True)
class ThresholdProof:
    """A threshold and what is known of it.

    Args:
        value: in the unit of the scores; a part is rejected above it.
        target_rate: the overkill rate that was asked for.
        confidence: with which the proven rate holds.
        proven_rate: the true overkill rate is at most this.
        held_out: how many good parts it rests on.
        rejected: how many of them lie above it.
        needed: how many would have proven the target.
        fixed: the threshold was there before these parts were looked at; else it is one of their own scores.
    """

    value: float
    target_rate: float
    confidence: float
    proven_rate: float
    held_out: int
    rejected: int
    needed: int
    fixed: bool = False

    def interval(self, confidence: float | None = None) -> Estimate:
        """The true overkill rate, what is expected of it and where it lies, two-sided.

        Left out, its confidence is such that its upper end is what is proven one-sided: 90 % for 95 %. A threshold that
        is one of the scores has a rate that follows Beta(k + 1, n - k), one that was fixed before the interval of
        Clopper and Pearson.
        """
        if confidence is None:
            confidence = round(2 * self.confidence - 1, 9) if self.confidence > _EVEN else _USUAL
        if self.fixed:
            return clopper_pearson(self.rejected, self.held_out, confidence)
        ends = beta.ppf(((1 - confidence) / 2, (1 + confidence) / 2), self.rejected + 1, self.held_out - self.rejected)
        return Estimate((self.rejected + 1) / (self.held_out + 1), float(ends[0]), float(ends[1]), confidence)

    @property
    def meets_target(self) -> bool:
        """Whether the target is proven, not hoped."""
        return self.proven_rate <= self.target_rate

    def __str__(self) -> str:
        text = (
            f"at most {self.proven_rate:.2%} of good parts rejected, {self.confidence:.0%} sure, "
            f"from {self.held_out} held-out parts"
        )
        missing = f"; {self.target_rate:.2%} was asked and needs {self.needed} held-out parts"
        return text if self.meets_target else text + missing


def choose(scores: NDArray[np.floating], target_rate: float, confidence: float) -> ThresholdProof:
    """The lowest threshold that keeps the overkill rate.

    Args:
        scores: (N,) of good parts used for neither learning nor quantization; any unit, higher is worse.
        target_rate: the overkill rate not to exceed, in (0, 1).
        confidence: how sure, in (0, 1).

    Raises:
        RequestError: no scores, one that is not finite, or a rate or confidence outside (0, 1).
    """
    needed = parts_needed(target_rate, confidence)
    count = len(scores)
    if count == 0 or not np.isfinite(scores).all():
        raise RequestError(f"threshold: needs finite scores of held-out good parts, got {count}")
    rejected = _allowed(count, target_rate, confidence)
    value = float(np.sort(scores)[count - 1 - rejected])
    return ThresholdProof(value, target_rate, confidence, _proven(count, rejected, confidence), count, rejected, needed)


def prove(count: int, rejected: int, target_rate: float, confidence: float, value: float = 0.5) -> ThresholdProof:
    """What a threshold that was chosen before proves, if so many of so many independent good parts lie above it.

    Raises:
        RequestError: no parts, or a rate or confidence outside (0, 1).
    """
    needed = parts_needed(target_rate, confidence)
    if count < 1:
        raise RequestError("threshold: no good part was looked at: give more frames")
    proven = _proven(count, rejected, confidence) if rejected < count else 1.0
    return ThresholdProof(value, target_rate, confidence, proven, count, rejected, needed, fixed=True)


def evidence_against(proof: ThresholdProof) -> bool:
    """Whether the overkill rate is above its target, as sure as the proof's confidence."""
    if not proof.rejected:
        return False
    above = float(beta.ppf(1 - proof.confidence, proof.rejected, proof.held_out - proof.rejected + 1))
    return above > proof.target_rate


def parts_needed(target_rate: float, confidence: float) -> int:
    """How many held-out good parts, none above the threshold, prove this rate with this confidence.

    Raises:
        RequestError: a rate or confidence outside (0, 1).
    """
    if not (0 < target_rate < 1 and 0 < confidence < 1):
        raise RequestError(f"threshold: rate and confidence lie between 0 and 1, got {target_rate} and {confidence}")
    return math.ceil(math.log(1 - confidence) / math.log(1 - target_rate))


def parts_at(rejected: int, rate: float, confidence: float) -> int:
    """The fewest good parts, so many of them above the threshold, that prove this rate."""
    low, high = rejected + 1, parts_needed(rate, confidence) * (rejected + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _proven(middle, rejected, confidence) <= rate else (middle + 1, high)
    return low


@functools.lru_cache(maxsize=1024)
def _allowed(count: int, target_rate: float, confidence: float) -> int:
    """The largest k whose proven rate is within the target; 0 when none is."""
    rejected = 0
    while rejected + 1 < count and _proven(count, rejected + 1, confidence) <= target_rate:
        rejected += 1
    return rejected


@functools.lru_cache(maxsize=4096)
def _proven(count: int, rejected: int, confidence: float) -> float:
    return float(beta.ppf(confidence, rejected + 1, count - rejected))
