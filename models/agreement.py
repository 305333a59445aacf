"""How far repeated verdicts agree with each other and with the truth: a gauge study for attributes. Pure.

After AIAG, Measurement Systems Analysis, 4th edition 2010, chapter III section C. Its words for kappa: above 0.75 good
to excellent, below 0.40 poor; above 0.9 is called excellent in common use. Its limits for an appraiser against the
truth: effectiveness 90 %, missed defects 2 %, false alarms 5 %; usable with improvement at 80, 5 and 10 %.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.evaluate import Estimate, clopper_pearson

Counts = NDArray[np.int64]
EXCELLENT, GOOD, POOR = 0.9, 0.75, 0.4
_PREVALENT = 0.9
_RESAMPLES = 1000
_LEAST = 2
_BEFORE_ONE = 1e-12


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance, from -1 to 1, and its interval over other parts; None where it is not defined.

    Args:
        value: kappa.
        interval: by resampling parts, 95 %; None where most resamples had none.
        observed: the share of pairs of verdicts that agree.
        prevalence: the share of the commonest verdict.
    """

    value: float | None
    interval: tuple[float, float] | None
    observed: float
    prevalence: float

    @property
    def word(self) -> str:
        """What the usual limits call it."""
        if self.value is None:
            return "not defined: every verdict is the same, so chance alone would agree as well"
        if self.value > EXCELLENT:
            return "excellent"
        if self.value >= GOOD:
            return "good"
        return "poor" if self.value < POOR else "moderate"

    @property
    def caution(self) -> str:
        """What to think of when reading it; empty where nothing.

        Source: Feinstein and Cicchetti 1990, Journal of Clinical Epidemiology 43:543.
        """
        if self.value is None or self.prevalence <= _PREVALENT:
            return ""
        return (
            f"{self.prevalence:.0%} of the verdicts are one and the same: then a few flips make kappa small though "
            f"{self.observed:.1%} agree; add parts of the other kind before judging by it"
        )

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "kappa": _rounded(self.value),
            "interval_95": None if self.interval is None else [_rounded(end) for end in self.interval],
            "observed": _rounded(self.observed),
            "prevalence": _rounded(self.prevalence),
            "word": self.word,
            "caution": self.caution,
        }


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its Clopper-Pearson interval, and what the usual limits call it."""

    estimate: Estimate
    count: int
    word: str

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        found = self.estimate
        return {
            "value": _rounded(found.value),
            "low": _rounded(found.low),
            "high": _rounded(found.high),
            "count": self.count,
            "word": self.word,
        }

    def __str__(self) -> str:
        return f"{self.estimate.value:.1%} ({self.estimate.low:.1%} to {self.estimate.high:.1%}) of {self.count}"


def fleiss_kappa(counts: Counts, seed: int = 0) -> Kappa:
    """Agreement of the repeats of each part.

    Source: Fleiss 1971, Psychological Bulletin 76:378; where parts were looked at differently often each counts alike,
    which is the same where they were not.

    Args:
        counts: (parts, verdicts), how often each part got each verdict; twice or more in all.
        seed: of the resampling.

    Raises:
        ModelError: no parts, or one that was looked at once.
    """
    counts = np.asarray(counts, np.int64)
    if not len(counts) or counts.sum(axis=1).min() < _LEAST:
        raise ModelError("agreement: needs parts that were looked at twice or more")
    looks = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (looks * (looks - 1))
    shares = counts / looks[:, None]

    def kappa(chosen: NDArray[np.int64]) -> float | None:
        return _beyond_chance(float(agreeing[chosen].mean()), float(np.square(shares[chosen].mean(axis=0)).sum()))

    everything = np.arange(len(counts))
    prevalence = float(shares.mean(axis=0).max())
    return Kappa(kappa(everything), _interval(kappa, len(counts), seed), float(agreeing.mean()), prevalence)


def cohen_kappa(table: Counts, seed: int = 0) -> Kappa:
    """Agreement of verdicts with the truth.

    Source: Cohen 1960, Educational and Psychological Measurement 20:37. Repeats of one part are not independent, so
    parts are resampled with all of their repeats.

    Args:
        table: (parts, truths, verdicts), how often each part, of one truth, got each verdict; same words in order.
        seed: of the resampling.

    Raises:
        ModelError: no verdicts.
    """
    table = np.asarray(table, np.int64)
    if not table.sum():
        raise ModelError("agreement: there is no verdict to compare with the truth")

    def kappa(chosen: NDArray[np.int64]) -> float | None:
        shares = table[chosen].sum(axis=0) / table[chosen].sum()
        return _beyond_chance(float(np.trace(shares)), float(shares.sum(axis=0) @ shares.sum(axis=1)))

    shares = table.sum(axis=0) / table.sum()
    prevalence = float(shares.sum(axis=1).max())
    everything = np.arange(len(table))
    return Kappa(kappa(everything), _interval(kappa, len(table), seed), float(np.trace(shares)), prevalence)


def within(agreeing: int, parts: int) -> Rate:
    """The share of parts that got the same verdict each time."""
    return Rate(clopper_pearson(agreeing, parts), parts, _by_limits(_share(agreeing, parts), 0.9, 0.8))


def effectiveness(right: int, parts: int) -> Rate:
    """The share of parts that got the right verdict each time."""
    return Rate(clopper_pearson(right, parts), parts, _by_limits(_share(right, parts), 0.9, 0.8))


def missed(passed: int, looks: int) -> Rate:
    """The share of looks at bad parts that passed them."""
    return Rate(clopper_pearson(passed, looks), looks, _by_limits(-_share(passed, looks), -0.02, -0.05))


def false_alarms(refused: int, looks: int) -> Rate:
    """The share of looks at good parts that did not pass them."""
    return Rate(clopper_pearson(refused, looks), looks, _by_limits(-_share(refused, looks), -0.05, -0.1))


def pooled_deviation(scores: list[NDArray[np.float64]]) -> float:
    """The standard deviation of a part's repeats about their own mean, over all parts: root of the mean variance.

    Args:
        scores: of each part (repeats,), two or more.

    Raises:
        ModelError: no part has two.
    """
    freedom = sum(len(each) - 1 for each in scores)
    if freedom < 1:
        raise ModelError("agreement: a spread needs a part that was looked at twice")
    return float(np.sqrt(sum(float(np.square(each - each.mean()).sum()) for each in scores) / freedom))


def _beyond_chance(observed: float, expected: float) -> float | None:
    return None if expected >= 1 - _BEFORE_ONE else (observed - expected) / (1 - expected)


def _interval(kappa: Callable[[NDArray[np.int64]], float | None], parts: int, seed: int) -> tuple[float, float] | None:
    """The middle 95 % over resampled parts (percentile bootstrap, Efron 1979)."""
    random = np.random.default_rng(seed)
    found = [kappa(random.integers(parts, size=parts)) for _ in range(_RESAMPLES)]
    defined = [value for value in found if value is not None]
    if len(defined) < _RESAMPLES / 2:
        return None
    low, high = np.quantile(defined, (0.025, 0.975))
    return float(low), float(high)


def _share(hits: int, count: int) -> float:
    return hits / count if count else 0.0


def _by_limits(value: float, acceptable: float, marginal: float) -> str:
    return "acceptable" if value >= acceptable else "marginal" if value >= marginal else "unacceptable"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
