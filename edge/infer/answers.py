"""What a finished request's answer means, by the kind of the model: the one place where kinds differ at the station."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.infer.regions import REGION_FLOOR, regions, strongest_first
from models.bundle import Bundle
from models.classifying import framed_maps, read_classes
from models.detecting import read_answer
from models.detections import Detections
from models.errors import ModelError
from models.letterbox import Placement
from models.manifest import DetectorThreshold
from models.scoring import MAP, SCORE
from models.spec import Kind, ModelSpec

if TYPE_CHECKING:
    import openvino as ov

Reader = Callable[["ov.InferRequest", Placement, ModelSpec], Detections]
_SCORE_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Reported:
    """What a model reports at all: scores from `score_floor` on, at most `most_findings` of them."""

    score_floor: float
    most_findings: int


def reader(spec: ModelSpec) -> Reader:
    """What reads this kind's answers."""
    return _READERS[spec.kind]


def reported(bundle: Bundle) -> Reported:
    """What rules can be about.

    Raises:
        ModelError: a detector's manifest does not say what its graph drops.
    """
    if bundle.spec.kind is not Kind.DETECTOR:
        return Reported(REGION_FLOOR, sys.maxsize)
    stated = {str(name): threshold for name, threshold in bundle.manifest.thresholds.items()}
    found = stated.get(bundle.precision.value.lower())
    if not isinstance(found, DetectorThreshold):
        raise ModelError(f"bundle {bundle.model_id.id!r} states no detector's threshold: train or import it again")
    shifted = _odds(found.lowest_raw_score) / _odds(found.raw_score)
    return Reported(shifted / (1 + shifted), found.most_findings)


def read_map(request: "ov.InferRequest", place: Placement, spec: ModelSpec) -> Detections:
    """An anomaly model's score and map, as regions.

    Raises:
        ModelError: a value is not finite or out of range, or the map does not show the score.
    """
    score = float(np.asarray(request.get_tensor(SCORE).data).reshape(-1)[0])
    tensor = request.get_tensor(MAP)
    anomaly_map = np.array(tensor.data, np.float32).reshape(tensor.shape[-2:])
    if not (math.isfinite(score) and np.isfinite(anomaly_map).all()):
        raise ModelError("the model answered with a value that is not finite: its graph is broken")
    if anomaly_map.min() < -_SCORE_TOLERANCE or anomaly_map.max() > 1 + _SCORE_TOLERANCE:
        raise ModelError(
            f"the model's map runs from {anomaly_map.min():.3f} to {anomaly_map.max():.3f}, and must lie in [0, 1]: "
            "its graph is broken"
        )
    if abs(score - float(anomaly_map.max())) > _SCORE_TOLERANCE:
        raise ModelError(
            f"the model's score {score:.3f} is not its map's highest value {anomaly_map.max():.3f}: what the map does "
            "not show would pass unseen"
        )
    return regions(anomaly_map, place, spec.inputs[0])


def read_findings(request: "ov.InferRequest", place: Placement, spec: ModelSpec) -> Detections:
    """A detector's boxes. Raises ModelError as `read_answer` does."""
    return read_answer(request, place, len(spec.classes))


def read_class_maps(request: "ov.InferRequest", place: Placement, spec: ModelSpec) -> Detections:
    """A classifier's classes from the floor on, each as the regions of its own map, the strongest with its score.

    Raises:
        ModelError: as `read_classes` does.
    """
    answer = read_classes(request, len(spec.classes))
    maps = framed_maps(answer, place, spec)
    found = [regions(one, place, spec.inputs[0], class_id) for class_id, one in enumerate(maps)]
    return strongest_first(found, np.asarray(maps.max(0), np.float32))


def _odds(probability: float) -> float:
    return probability / (1 - probability)


_READERS: dict[Kind, Reader] = {
    Kind.ANOMALY: read_map,
    Kind.CLASSIFIER: read_class_maps,
    Kind.DETECTOR: read_findings,
}
