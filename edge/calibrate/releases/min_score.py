"""The `min_score` that would keep the overkill rate of a released model on this station's good parts. Pure."""

import math
from dataclasses import asdict, dataclass

import numpy as np

from models.anomaly.threshold import ThresholdProof, choose
from models.detections import FloatArray

_MISFIT = 2.0
_STEPS = 1000


@dataclass(frozen=True, slots=True)
class MinScore:
    """A suggestion for the recipe: the same for every class.

    Args:
        value: in [0, 1]; None where none keeps the rate, because parts are rejected whatever their score.
        proof: what it would prove; like any order statistic it may be used once, on parts that have not set it before.
    """

    value: float | None
    proof: ThresholdProof

    @property
    def text(self) -> str:
        """One sentence."""
        if self.value is None:
            return (
                "No min_score keeps the overkill rate: too many good parts reach the highest score or fit no reference."
            )
        return (
            f"min_score = {self.value:.3f} for every class would have {self.proof}. It counts scores alone: areas, "
            "counts and zones of the recipe can only reject fewer."
        )

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {"value": self.value, "text": self.text, "proof": asdict(self.proof)}


def suggest(scores: FloatArray, target_rate: float, confidence: float, score_floor: float) -> MinScore:
    """By the order statistic of good parts' highest scores.

    Args:
        scores: (N,) of good parts; NaN where one fits no reference and is UNDECIDED, which the line rejects.
        target_rate: the overkill rate not to exceed.
        confidence: how sure.
        score_floor: below it nothing is reported, so no rule can ask for less.
    """
    proof = choose(np.where(np.isfinite(scores), scores, _MISFIT), target_rate, confidence)
    value = max(score_floor, (math.floor(proof.value * _STEPS) + 1) / _STEPS)
    return MinScore(value if value <= 1 else None, proof)
