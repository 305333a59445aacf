"""What a classifier's graph answered: read in one place for station, self-test, gate and evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.detections import FloatArray
from models.errors import ModelError
from models.letterbox import Image, Placement
from models.scoring import run_images
from models.spec import ModelSpec

SCORES, MAP, PROBABILITIES = "scores", "map", "probabilities"
_TOLERANCE = 1e-3
_SHOWN = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ClassAnswer:
    """What was said of one frame, K being the bundle's classes.

    Args:
        scores: (K,) float32 in [0, 1], 0.5 being the bundle's threshold.
        maps: (K, h, w) float32 in [0, 1] over the model's input; the highest value of each is its class's score.
        probabilities: (K + 1,) float32, good first.
    """

    scores: FloatArray
    maps: FloatArray
    probabilities: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Of N frames: scores (N, K) and probabilities (N, K + 1), float32."""

    scores: FloatArray
    probabilities: FloatArray

    @property
    def frame_scores(self) -> FloatArray:
        """(N,): each frame's highest score; from 0.5 on the line rejects it."""
        return np.asarray(self.scores.max(1), np.float32)


def read_classes(request: ov.InferRequest, classes: int) -> ClassAnswer:
    """A finished request's answer.

    Args:
        request: of a classifier's graph: `scores` (1, K), `map` (1, K, h, w), `probabilities` (1, K + 1).
        classes: K, as many as the bundle names.

    Raises:
        ModelError: a value is not finite, out of range or of the wrong shape, or a map does not show its score.
    """
    scores, maps, shares = (
        np.array(request.get_tensor(name).data, np.float32) for name in (SCORES, MAP, PROBABILITIES)
    )
    if scores.shape != (1, classes) or maps.shape[:2] != (1, classes) or shares.shape != (1, classes + 1):
        raise ModelError(
            f"the classifier answered with scores {scores.shape}, map {maps.shape} and probabilities {shares.shape}, "
            f"the bundle names {classes} classes: its graph is broken"
        )
    for name, values in ((SCORES, scores), (MAP, maps), (PROBABILITIES, shares)):
        _check_range(name, values)
    highest = maps[0].max((1, 2))
    if np.abs(highest - scores[0]).max() > _SHOWN:
        raise ModelError(
            f"the classifier's scores {np.round(scores[0], 3).tolist()} are not its maps' highest values "
            f"{np.round(highest, 3).tolist()}: what the maps do not show would pass unseen"
        )
    return ClassAnswer(*(np.clip(values[0], 0, 1) for values in (scores, maps, shares)))


def framed_maps(answer: ClassAnswer, place: Placement, spec: ModelSpec) -> FloatArray:
    """(K, h, w): the maps, but nothing where padding lies; what was strongest there is found on the frame instead.

    A map's highest value stays its class's score: padding is no place where a part can have a defect, and a box there
    would be a point once it is cut to the frame, which a rule may overlook.
    """
    inside = _inside(place, spec, answer.maps.shape[1:])
    kept = np.where(inside, answer.maps, 0)
    highest = kept.max((1, 2), keepdims=True)
    scores = answer.scores[:, None, None]
    scaled = np.where(highest > _TOLERANCE, kept / np.maximum(highest, _TOLERANCE), inside) * scores
    return np.asarray(scaled, np.float32)


def classify_images(
    compiled: ov.CompiledModel,
    images: Sequence[Image | Path],
    spec: ModelSpec,
    advance: Callable[[], None] | None = None,
) -> Classified:
    """Every image's scores and probabilities, in the order given.

    Args:
        compiled: a classifier's graph.
        images: (H, W, 3) uint8 BGR arrays, or files of such.
        spec: of the bundle.
        advance: called once per finished image, from an inference thread.

    Raises:
        ModelError: as `read_classes`, or an image cannot be read.
    """
    answers: list[ClassAnswer | None] = [None] * len(images)
    faults: list[ModelError] = []

    def take(index: int, request: ov.InferRequest) -> None:
        try:
            answers[index] = read_classes(request, len(spec.classes))
        except ModelError as fault:
            faults.append(fault)
        if advance:
            advance()

    run_images(compiled, images, spec.inputs[0], take)
    if faults:
        raise faults[0]
    known = [answer for answer in answers if answer is not None]
    return Classified(np.array([one.scores for one in known]), np.array([one.probabilities for one in known]))


def _check_range(name: str, values: FloatArray) -> None:
    if not np.isfinite(values).all():
        raise ModelError(f"the classifier's {name} hold a value that is not finite: its graph is broken")
    if values.min() < -_TOLERANCE or values.max() > 1 + _TOLERANCE:
        raise ModelError(
            f"the classifier's {name} run from {values.min():.3f} to {values.max():.3f}, and must lie in [0, 1]: its "
            "graph is broken"
        )


def _inside(place: Placement, spec: ModelSpec, grid: tuple[int, ...]) -> NDArray[np.bool_]:
    """(h, w): which cells of the grid show some of the frame."""
    rows = _cells(place.top, place.height, spec.inputs[0].height, grid[0])
    columns = _cells(place.left, place.width, spec.inputs[0].width, grid[1])
    return np.asarray(rows[:, None] & columns[None], np.bool_)


def _cells(start: int, length: int, side: int, count: int) -> NDArray[np.bool_]:
    """Along one axis: cells whose middle lies in the frame, or the one nearest to it if none does."""
    middles = (np.arange(count) + 0.5) * side / count
    found = (middles >= start) & (middles < start + length)
    if not found.any():
        found[int(np.abs(middles - (start + length / 2)).argmin())] = True
    return np.asarray(found, np.bool_)
