"""The INT8 gate with labels: may the quantized detector replace the FP32 one? Pure; frames are looked at elsewhere.

What is compared is the kind's metric on the same held-out frames, and what becomes of parts at the threshold. The rule:

- 500 images with 100 boxes, or 1,000 boxes, and more: passed if the drop is at most the budget, else failed.
- fewer: failed if there is evidence against the candidate, which is a drop above the budget whose interval excludes
  zero, or a drop of ten budgets whatever its interval. Else not proven, and bundle and report carry these words.
- whatever the metric says, which sees the order of scores and not their height: failed if, at the threshold, the
  candidate gets wrong what FP32 gets right (a defective image passed, a good one rejected, a box not found, something
  found where nothing is labelled), proven by an exact paired test, or two cases and more that are over a tenth of all.
- frames on which nothing could be missed prove nothing: without any box the gate refuses to answer, and where FP32
  itself finds nothing, nothing can be lost: not proven.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from models.errors import GateError
from models.evaluate import Estimate
from models.gate import BUDGET, PROOF_IMAGES, Outcome

PROOF_BOXES = 1000
LEAST_BOXES = 100
_GROSS = 10
_ALPHA = 0.05
_FEW = 2
_GROSS_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Turned:
    """Cases of one kind that the two models answer differently at the threshold.

    Args:
        what: they are, in the plural.
        lost: right by FP32 alone.
        won: right by the candidate alone.
        cases: there are.
    """

    what: str
    lost: int
    won: int
    cases: int

    @property
    def against(self) -> bool:
        """Whether this speaks against the candidate."""
        net = self.lost - self.won
        if net < _FEW:
            return False
        proven = binomtest(self.lost, self.lost + self.won, 0.5).pvalue < _ALPHA
        return bool(proven) or net > _GROSS_SHARE * self.cases

    def __str__(self) -> str:
        return f"{self.what} lost {self.lost}, won {self.won} of {self.cases}"


def turned(what: str, fp32_right: NDArray[np.bool_], candidate_right: NDArray[np.bool_]) -> Turned:
    """Count; both (N,), the same cases in the same order."""
    lost, won = fp32_right & ~candidate_right, candidate_right & ~fp32_right
    return Turned(what, int(np.count_nonzero(lost)), int(np.count_nonzero(won)), len(fp32_right))


@dataclass(frozen=True, slots=True)
class LabelledResult:
    """The gate's answer and the figures behind it.

    Args:
        outcome: passed, not proven or failed.
        reason: one sentence with the figures.
        metric: what was compared, such as `map50`.
        fp32: its value for the model that is trusted, in [0, 1].
        candidate: its value for the model that wants its place.
        drop: fp32 less candidate, with the interval of its paired resampling.
        images: looked at.
        boxes: that could be missed.
        budget: how much the metric may drop.
    """

    outcome: Outcome
    reason: str
    metric: str
    fp32: float
    candidate: float
    drop: Estimate
    images: int
    boxes: int
    budget: float

    @property
    def allows(self) -> bool:
        """Whether the candidate may be used: passed, or not proven and nothing found against it."""
        return self.outcome is not Outcome.FAILED


@dataclass(frozen=True, slots=True)
class Measured:
    """What two models reached on the same frames: a metric's name, its value for each, the drop, and what turned.

    `boxes` counts what could be missed; `unit` says what that is.
    """

    metric: str
    fp32: float
    candidate: float
    drop: Estimate
    images: int
    boxes: int
    turned: tuple[Turned, ...] = ()
    unit: str = "boxes"


def judge_labelled(found: Measured, budget: float = BUDGET) -> LabelledResult:
    """Compare.

    Args:
        found: on frames that neither model was fitted or quantized with.
        budget: how much the metric may drop, as a fraction (0.0017 is 0.17 points).

    Raises:
        GateError: there is no box that could be missed, or no image.
    """
    if not found.images or not found.boxes:
        raise GateError(
            f"gate: {found.images} images with {found.boxes} {found.unit} cannot show a loss: give labelled frames of "
            "defects"
        )
    outcome, reason = _answer(found, budget)
    values = found.metric, found.fp32, found.candidate, found.drop, found.images, found.boxes
    return LabelledResult(outcome, reason, *values, budget)


def _answer(found: Measured, budget: float) -> tuple[Outcome, str]:
    size = f"{found.images} images, {found.boxes} {found.unit}"
    what = "; ".join([f"{found.metric} drops by {found.drop}, budget {budget:.4f}", *(str(t) for t in found.turned)])
    if any(case.against for case in found.turned):
        return Outcome.FAILED, f"{size}: worse at the threshold: {what}"
    if not found.fp32 > 0:
        return Outcome.NOT_PROVEN, f"{size}: FP32 itself finds nothing, so nothing can be lost: {what}"
    proof = (found.images >= PROOF_IMAGES and found.boxes >= LEAST_BOXES) or found.boxes >= PROOF_BOXES
    if found.drop.value > budget and (proof or found.drop.low > 0 or found.drop.value > _GROSS * budget):
        return Outcome.FAILED, f"{size}: {what}"
    if proof:
        return Outcome.PASSED, f"{size}: {what}"
    return Outcome.NOT_PROVEN, f"{size}, a proof needs {PROOF_IMAGES} or {PROOF_BOXES}: {what}"
