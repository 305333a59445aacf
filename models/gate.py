"""The INT8 gate: may the quantized model stand in for the FP32 one? Pure; frames become scores elsewhere.

Without labels: FP32 and INT8 each have their own threshold, made by the same rule. On held-out good frames and on the
same frames with synthetic defects the AUROC may drop by at most the budget, and the verdicts must agree.

The rule, and what `edge calibrate` does with it:

- failed: a point estimate misses its limit. INT8 is not used; the fastest float precision takes its place.
- not proven: both point estimates hold, on fewer than 500 images. INT8 is used; manifest and report carry the words
  "not proven" with the number of images and both intervals. A small plant has no 500 spare good parts, and a model
  that agreed on every frame it had is the better guess; what is missing is the proof, and that is said.
- passed: both point estimates hold, on 500 images or more.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.errors import GateError
from models.evaluate import Estimate, auroc, auroc_drop, clopper_pearson

BUDGET = 0.0017
AGREEMENT = 0.995
PROOF_IMAGES = 500
THRESHOLD = 0.5


class Outcome(StrEnum):
    """What a gate can answer."""

    PASSED = "passed"
    NOT_PROVEN = "not proven"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class GateScores:
    """One model's normalised scores, 0.5 being its own threshold: (N,) of good frames, (M,) of defective ones."""

    good: NDArray[np.float32]
    defective: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.good) + len(self.defective)


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate's answer and the figures behind it."""

    outcome: Outcome
    reason: str
    images: int
    drop: Estimate
    agreement: Estimate
    fp32: Estimate
    int8: Estimate
    budget: float

    @property
    def allows_int8(self) -> bool:
        """Whether INT8 may be used: passed, or not proven with both point estimates inside their limits."""
        return self.outcome is not Outcome.FAILED


def judge(fp32: GateScores, int8: GateScores, budget: float = BUDGET, agreement: float = AGREEMENT) -> GateResult:
    """Compare two models on the same frames.

    Args:
        fp32: the model that is trusted.
        int8: the model that wants its place, on the same frames in the same order.
        budget: how much AUROC may drop, as a fraction (0.0017 is 0.17 points).
        agreement: share of frames on which both must give the same verdict.

    Raises:
        GateError: no two good and two defective frames, different frames, or a score that is not finite.
    """
    _check(fp32, int8)
    drop = auroc_drop((fp32.good, fp32.defective), (int8.good, int8.defective))
    same = _verdicts(fp32) == _verdicts(int8)
    agreed = clopper_pearson(int(same.sum()), len(same))
    outcome, reason = _answer(drop, agreed, len(same), budget, agreement)
    before, after = auroc(fp32.good, fp32.defective), auroc(int8.good, int8.defective)
    return GateResult(outcome, reason, len(same), drop, agreed, before, after, budget)


def _answer(drop: Estimate, agreed: Estimate, images: int, budget: float, agreement: float) -> tuple[Outcome, str]:
    if drop.value > budget:
        return Outcome.FAILED, f"AUROC drops by {drop}, budget {budget:.4f}"
    if agreed.value < agreement:
        return Outcome.FAILED, f"verdicts agree on {agreed}, asked {agreement:.3f}"
    if images < PROOF_IMAGES:
        return Outcome.NOT_PROVEN, f"n={images} of {PROOF_IMAGES}: AUROC drop {drop}, verdicts agree on {agreed}"
    return Outcome.PASSED, f"n={images}: AUROC drop {drop}, verdicts agree on {agreed}"


def _verdicts(scores: GateScores) -> NDArray[np.bool_]:
    return np.concatenate([scores.good, scores.defective]) > THRESHOLD


def _check(fp32: GateScores, int8: GateScores) -> None:
    if len(fp32.good) != len(int8.good) or len(fp32.defective) != len(int8.defective):
        raise GateError(f"gate: both models must see the same frames, got {len(fp32)} and {len(int8)} scores")
    if min(len(fp32.good), len(fp32.defective)) < 2:  # noqa: PLR2004 - an interval needs two of each
        raise GateError("gate: needs two or more good and defective frames each; give more frames")
    if not all(np.isfinite(part).all() for part in (fp32.good, fp32.defective, int8.good, int8.defective)):
        raise GateError("gate: a model gave a score that is not finite: it is broken")
