"""Does a head fit its anomaly graph? Judged on sample pictures. A no is a GateError."""

from collections.abc import Sequence

import numpy as np

from models.detections import FloatArray
from models.errors import GateError
from models.foreign.head import AnomalyHead
from models.scoring import Scored

THRESHOLD = 0.5
_TOLERANCE = 1e-3
_SAME = 0.01
_RANGES = {"distance": (0.0, float("inf")), "probability": (0.0, 1.0), "logit": (float("-inf"), float("inf"))}


def check_raw(answers: Sequence[dict[str, FloatArray]], head: AnomalyHead) -> None:
    """Refuse a head that the raw answers contradict.

    Raises:
        GateError: which key of the head is likely wrong, and by what it shows.
    """
    judged = head.outputs.score or head.outputs.map
    for name in {head.outputs.map, judged}:
        if not all(np.isfinite(one[name]).all() for one in answers):
            raise GateError(
                f"import: output {name!r} holds a value that is not finite on a sample: mend input.mean and "
                "input.scale, or export the graph anew"
            )
    low, high = min(float(one[judged].min()) for one in answers), max(float(one[judged].max()) for one in answers)
    least, most = _RANGES[head.decode.values]
    if low < least - _TOLERANCE or high > most + _TOLERANCE:
        raise GateError(
            f"import: {judged!r} runs from {low:.3g} to {high:.3g}, expected {least:g} to {most:g} of a "
            f"{head.decode.values}: mend decode.values"
        )
    if all(np.ptp(one[head.outputs.map]) == 0 for one in answers):
        raise GateError(
            f"import: output {head.outputs.map!r} is the same everywhere on every sample: it shows no place; name the "
            "map, or mend [input]"
        )


def check_map_parity(built: Scored, plain: Sequence[FloatArray]) -> None:
    """The built graph's maps are those that plain numpy makes of the original's, and each score is its map's highest.

    Raises:
        GateError: on which sample they differ.
    """
    for index, other in enumerate(plain):
        apart = float(np.abs(built.maps[index] - other).max()) if built.maps[index].shape == other.shape else 1.0
        if apart > _SAME or abs(float(built.scores[index]) - float(other.max())) > _SAME:
            raise GateError(
                f"import: on sample {index + 1} the built graph's map differs from the original's by {apart:.3f}: keep "
                "head and graph, and report this as a defect"
            )


def oddities(scores: FloatArray) -> list[str]:
    """What may be right, and should be looked at."""
    above = scores >= THRESHOLD
    if not above.any():
        return ["no sample scores 0.5, so the threshold was not checked"]
    return ["every sample scores 0.5 or more: is the threshold too low, or is [input] wrong?"] if above.all() else []
