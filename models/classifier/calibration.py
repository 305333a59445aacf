"""Probabilities that mean what they say: fitted on images that the logits were not fitted on, and how well it holds.

Scale and shifts: z' = scale * z + shift, by maximum likelihood; for one class that is Platt scaling (Platt 1999), for
several temperature scaling with a shift for each class (Guo et al. 2017, https://arxiv.org/abs/1706.04599). Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from models.anomaly.threshold import choose

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
BINS = 10
_WEAK = 1e-3
_SURE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """From a network's logits (N, K), good's being 0, to calibrated ones; scale is above 0, shifts are (K,)."""

    scale: float
    shifts: Floats

    def apply(self, logits: Floats) -> Floats:
        """Calibrated logits."""
        return np.asarray(self.scale * logits + self.shifts, np.float64)

    def undo(self, logits: Floats) -> Floats:
        """The network's own logits behind calibrated ones."""
        return np.asarray((logits - self.shifts) / self.scale, np.float64)

    @classmethod
    def none(cls, classes: int) -> "Calibration":
        """Leaves logits as they are."""
        return cls(1.0, np.zeros(classes))


@dataclass(frozen=True, slots=True)
class Bin:
    """Images whose probability of a defect lies in one tenth: how many, their mean, and how many are defective."""

    count: int
    probability: float
    defective: int


def fit_calibration(logits: Floats, labels: Labels) -> Calibration:
    """The calibration under which these labels are likeliest, held weakly to "leave it as it is".

    Args:
        logits: (N, K), of images that were not learned from.
        labels: (N,), 0 good, k the class behind column k - 1.
    """
    classes = logits.shape[1]

    def loss(values: Floats) -> float:
        fitted = Calibration(float(np.exp(values[0])), values[1:])
        return log_loss(fitted.apply(logits), labels) + _WEAK * float(values @ values)

    found = minimize(loss, np.zeros(1 + classes), method="L-BFGS-B")
    return Calibration(float(np.exp(found.x[0])), np.asarray(found.x[1:], np.float64))


def log_loss(logits: Floats, labels: Labels) -> float:
    """Mean negative log likelihood of the labels."""
    return float(-log_softmax(_with_good(logits), axis=1)[np.arange(len(labels)), labels].mean())


def probabilities(logits: Floats) -> Floats:
    """(N, K + 1) of logits (N, K); good first."""
    return np.asarray(softmax(_with_good(logits), axis=1), np.float64)


def logits_of(shares: Floats) -> Floats:
    """Logits (N, K) behind probabilities (N, K + 1)."""
    sure = np.log(np.clip(np.asarray(shares, np.float64), _SURE, 1))
    return np.asarray(sure[:, 1:] - sure[:, :1], np.float64)


def defect_odds(logits: Floats) -> Floats:
    """(N,): log odds of any defect."""
    return np.asarray(logsumexp(logits, axis=1), np.float64)


def best_odds(odds: Floats, defective: NDArray[np.bool_]) -> float:
    """Log odds from which on to reject: where the rates of escape and overkill together are least.

    Of equal ones the middle; it lies between two images, so that a small change turns none.
    """
    order = np.sort(np.unique(odds))
    if len(order) == 1:
        return float(order[0])
    cuts = (order[1:] + order[:-1]) / 2
    escapes = np.searchsorted(np.sort(odds[defective]), cuts) / max(1, int(defective.sum()))
    passed = np.searchsorted(np.sort(odds[~defective]), cuts) / max(1, int((~defective).sum()))
    lost = escapes + 1 - passed
    best = cuts[lost <= lost.min() + _SURE]
    return float(best[len(best) // 2])


def odds_within(odds: Floats, defective: NDArray[np.bool_], overkill: float, confidence: float = 0.95) -> float:
    """Log odds from which on to reject, so that no more than this share of good images is, as sure as `confidence`.

    By the order statistic that `edge calibrate` sets an anomaly model's threshold by; never lower than `best_odds`.

    Args:
        odds: (N,) of images that were not learned from.
        defective: (N,).
        overkill: the share, in (0, 1).
        confidence: in (0, 1).

    Raises:
        RequestError: there is no good image, or the share is none.
    """
    good = odds[~defective]
    bound = choose(good, overkill, confidence).value
    higher = odds[odds > bound]
    return max(best_odds(odds, defective), float((bound + higher.min()) / 2) if len(higher) else bound + _SURE)


def reliability(defect_probabilities: Floats, defective: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """By tenths of probability, the empty ones left out."""
    places = np.clip((defect_probabilities * BINS).astype(int), 0, BINS - 1)
    held = [places == place for place in range(BINS)]
    return tuple(
        Bin(int(own.sum()), float(defect_probabilities[own].mean()), int(defective[own].sum()))
        for own in held
        if own.any()
    )


def expected_error(bins: tuple[Bin, ...]) -> float:
    """ECE: how far the mean probability is from the share of defective images, weighted by images."""
    total = sum(one.count for one in bins)
    return sum(abs(one.count * one.probability - one.defective) for one in bins) / max(1, total)


def _with_good(logits: Floats) -> Floats:
    return np.concatenate([np.zeros((len(logits), 1)), logits], axis=1)
