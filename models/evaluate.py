"""How good a model is, with the interval that its number of images allows (pure; needs scipy)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, rankdata

from models.errors import ModelError

Scores = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value in [0, 1] and the interval that holds the true one with the stated confidence."""

    value: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f} at {self.confidence:.0%})"


def auroc(good: Scores, bad: Scores, confidence: float = 0.95) -> Estimate:
    """How often a bad part scores above a good one, ties counting half; interval by DeLong's method.

    Source: DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837), computed by mid-ranks as in Sun and Xu 2014
    (IEEE Signal Processing Letters 21:1389). The interval is the normal one, cut to [0, 1]: near 1 with few images it
    is too narrow, so a perfect separation reads as (1, 1) and proves nothing by itself.

    Args:
        good: (N,) scores of good parts.
        bad: (M,) scores of bad parts.
        confidence: of the interval.

    Raises:
        ModelError: fewer than two of either, or a score that is not finite.
    """
    good_parts, bad_parts = placements(good, bad)
    value = float(bad_parts.mean())
    variance = bad_parts.var(ddof=1) / len(bad_parts) + good_parts.var(ddof=1) / len(good_parts)
    return _normal(value, float(variance), confidence, (0.0, 1.0))


def auroc_drop(before: tuple[Scores, Scores], after: tuple[Scores, Scores], confidence: float = 0.95) -> Estimate:
    """AUROC of `before` minus that of `after` on the same images, with DeLong's interval for paired scores.

    Args:
        before: (scores of N good parts, scores of M bad parts).
        after: the other model's scores of the same parts, in the same order.
        confidence: of the interval.

    Raises:
        ModelError: the two do not hold the same number of parts, or `auroc` would refuse them.
    """
    if [len(part) for part in before] != [len(part) for part in after]:
        raise ModelError("evaluate: a drop compares two models on the same images, got different numbers of scores")
    (good_a, bad_a), (good_b, bad_b) = placements(*before), placements(*after)
    good, bad = good_a - good_b, bad_a - bad_b
    variance = bad.var(ddof=1) / len(bad) + good.var(ddof=1) / len(good)
    return _normal(float(bad.mean()), float(variance), confidence, (-1.0, 1.0))


def placements(good: Scores, bad: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DeLong's structural components: for each good part the share of bad ones above it, and the reverse."""
    for name, scores in (("good", good), ("bad", bad)):
        if len(scores) < 2 or not np.isfinite(scores).all():  # noqa: PLR2004 - a variance needs two
            raise ModelError(f"evaluate: AUROC needs two or more finite scores of {name} parts, got {len(scores)}")
    ranks = rankdata(np.concatenate([good, bad]))
    above_good = 1 - (ranks[: len(good)] - rankdata(good)) / len(bad)
    below_bad = (ranks[len(good) :] - rankdata(bad)) / len(good)
    return above_good, below_bad


def clopper_pearson(hits: int, count: int, confidence: float = 0.95) -> Estimate:
    """A rate with its exact two-sided interval.

    Source: Clopper and Pearson 1934 (Biometrika 26:404), by quantiles of the beta distribution.

    Args:
        hits: how often it happened.
        count: how often it could have; with 0 the interval is (0, 1).
        confidence: of the interval.

    Raises:
        ModelError: hits outside 0 to count.
    """
    if not 0 <= hits <= count:
        raise ModelError(f"evaluate: a rate needs 0 <= hits <= count, got {hits} of {count}")
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, count - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return Estimate(hits / count if count else 0.0, low, high, confidence)


def plain(rate: Estimate | None) -> dict[str, float] | None:
    """A value and its interval, for `--json`; None where it was not measured."""
    if rate is None:
        return None
    return {"value": round(rate.value, 5), "low": round(rate.low, 5), "high": round(rate.high, 5)}


def shown(rate: object | None) -> str:
    """For people."""
    return "not measured" if rate is None else str(rate)


def _normal(value: float, variance: float, confidence: float, limits: tuple[float, float]) -> Estimate:
    reach = float(norm.ppf((1 + confidence) / 2)) * float(np.sqrt(variance))
    low, high = np.clip((value - reach, value + reach), *limits)
    return Estimate(value, float(low), float(high), confidence)
