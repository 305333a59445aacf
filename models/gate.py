"""The INT8 gate: may the quantized model stand in for the FP32 one? Pure; frames become scores elsewhere.

Without labels: FP32 and INT8 each have their own threshold, made by the same rule. On held-out good frames and on the
same frames with synthetic defects the AUROC may drop by at most the budget, and the verdicts must agree.

The rule, and what `edge calibrate` does with it:

- 500 images or more: passed if both point estimates keep their limits, else failed.
- fewer: failed if there is evidence against INT8, which is a drop above the budget whose 95 % interval excludes zero, a
  drop of ten budgets whatever its interval, or an agreement whose interval ends below its limit. Else not proven.
- failed: INT8 is not used; the fastest float precision that passes takes its place.
- not proven: INT8 is used; manifest and report carry the words "not proven", the number of images and both intervals.

Why not the point estimates below 500 images too: on 105 images 99.5 % asks for not one disagreement, and BF16, whose
features are no closer to FP32 than INT8's, failed that in half of the trials. Such a rule rolls dice (DECISIONS.md).
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
_GROSS = 10


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
    def allows(self) -> bool:
        """Whether INT8 may be used: passed, or not proven and nothing found against it."""
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
    proof = images >= PROOF_IMAGES
    if drop.value > budget and (proof or drop.low > 0 or drop.value > _GROSS * budget):
        return Outcome.FAILED, f"n={images}: AUROC drops by {drop}, budget {budget:.4f}"
    if (agreed.value if proof else agreed.high) < agreement:
        return Outcome.FAILED, f"n={images}: verdicts agree on {agreed}, asked {agreement:.3f}"
    found = f"AUROC drops by {drop}, budget {budget:.4f}; verdicts agree on {agreed}, asked {agreement:.3f}"
    if proof:
        return Outcome.PASSED, f"n={images}: {found}"
    return Outcome.NOT_PROVEN, f"n={images}, a proof needs {PROOF_IMAGES}: {found}"


def _verdicts(scores: GateScores) -> NDArray[np.bool_]:
    return np.concatenate([scores.good, scores.defective]) > THRESHOLD


def _check(fp32: GateScores, int8: GateScores) -> None:
    if len(fp32.good) != len(int8.good) or len(fp32.defective) != len(int8.defective):
        raise GateError(f"gate: both models must see the same frames, got {len(fp32)} and {len(int8)} scores")
    if min(len(fp32.good), len(fp32.defective)) < 2:  # noqa: PLR2004 - an interval needs two of each
        raise GateError("gate: needs two or more good and defective frames each; give more frames")
    if not all(np.isfinite(part).all() for part in (fp32.good, fp32.defective, int8.good, int8.defective)):
        raise GateError("gate: a model gave a score that is not finite: it is broken")
