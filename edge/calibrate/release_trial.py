"""What good frames showed of a released bundle at this station."""

from dataclasses import dataclass

from edge.calibrate.collect import Collected
from models.anomaly.threshold import ThresholdProof
from models.detections import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Good frames, looked at as the station will.

    Args:
        collected: the frames, and what was refused.
        scores: (N,) highest score on each frame; NaN where its reference did not fit.
        rejected: how many the recipe rejects.
        misaligned: how many their reference did not fit; the station calls them UNDECIDED, so the line rejects them.
        proof: what that says of the overkill rate, both counted.
    """

    collected: Collected
    scores: FloatArray
    rejected: int
    misaligned: int
    proof: ThresholdProof
