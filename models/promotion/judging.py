"""What a bundle says of frames by the rules that a station has of itself: from 0.5 on a frame is rejected.

- A frame that does not lie on the model's reference is UNDECIDED at the station, and the line rejects it.
- So is a frame whose answer is broken (NaN, a score that the map does not show); such answers are counted apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.bundle import Bundle
from models.classifying import classify_images
from models.compile import compile_bundle
from models.dataset.records import LabelledImage
from models.detecting import detect_images
from models.detections import Detections, FloatArray
from models.errors import AlignmentError, ModelError
from models.gate import THRESHOLD
from models.pose import Pose
from models.progress import Progress
from models.scoring import pose_of, score_images
from models.selftest import check_selftest
from models.spec import Kind

_SHOWN = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What one bundle said of N frames.

    Args:
        scores: (N,) highest score of each, NaN where it was not decided.
        rejected: (N,) whether the line would reject it.
        undecided: (N,) whether the station would call it UNDECIDED; these are rejected too.
        named: (N,) the class with the highest score, empty where none counts or the model names none.
        broken: what broken answers said of themselves, one a frame.
        found: (N,) a detector's findings; None for other kinds.
    """

    scores: FloatArray
    rejected: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    named: tuple[str, ...]
    broken: tuple[str, ...]
    found: tuple[Detections, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    score: float
    name: str = ""
    found: Detections | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    bundle: Bundle
    compiled: ov.CompiledModel
    pose: Pose | None


_Look = Callable[[_Model, Sequence[LabelledImage]], list[_Answer | None]]


def judge(bundle: Bundle, images: Sequence[LabelledImage], progress: Progress) -> Judgement:
    """Look at every frame as the station does.

    Raises:
        ModelError: the graph does not compile, fails its own self-test, or wants references that the data lacks.
    """
    model = _Model(bundle, compile_bundle(bundle), pose_of(bundle))
    check_selftest(bundle, model.compiled)
    progress.stage(bundle.model_id.id, len(images))
    if bundle.spec.compares and any(image.reference is None for image in images):
        raise ModelError(f"{bundle.path} compares with golden references, and the data has none for every image")
    answers, broken = _answers(model, images)
    progress.advance(len(images))
    return _judgement(bundle, answers, broken)


def _answers(model: _Model, images: Sequence[LabelledImage]) -> tuple[list[_Answer | None], list[str]]:
    """All at once; where one answer is broken, image by image, so that the others still count."""
    look = _LOOKS[model.bundle.spec.kind]
    try:
        return look(model, images), []
    except ModelError:
        pass  # which frame it was, the next lines find out
    answers: list[_Answer | None] = []
    broken: list[str] = []
    for image in images:
        try:
            answers += look(model, [image])
        except ModelError as fault:
            answers.append(None)
            broken.append(f"{image.name}: {fault}")
    return answers, broken


def _judgement(bundle: Bundle, answers: Sequence[_Answer | None], broken: Sequence[str]) -> Judgement:
    scores = np.array([np.nan if one is None else one.score for one in answers], np.float32)
    undecided = np.array([one is None for one in answers], np.bool_)
    rejected = np.asarray(undecided | (scores >= THRESHOLD), np.bool_)
    named = tuple("" if one is None or one.score < THRESHOLD else one.name for one in answers)
    found = None
    if bundle.spec.kind is Kind.DETECTOR:
        found = tuple(Detections.none() if one is None or one.found is None else one.found for one in answers)
    return Judgement(scores, rejected, undecided, named, tuple(broken), found)


def _by_map(model: _Model, images: Sequence[LabelledImage]) -> list[_Answer | None]:
    misfits: list[int] = []

    def unfit(index: int, _misfit: AlignmentError) -> None:
        misfits.append(index)

    files, spec = [image.path for image in images], model.bundle.spec.inputs[0]
    said = score_images(model.compiled, files, spec, pose=model.pose, on_misfit=unfit)
    highest = said.maps.reshape(len(images), -1).max(1)
    if np.abs(highest - said.scores).max(initial=0) > _SHOWN or highest.max(initial=0) > 1 + _SHOWN:
        raise ModelError("the model's score is not its map's highest value: what the map does not show would pass")
    unfits = set(misfits)
    return [None if index in unfits else _Answer(float(value)) for index, value in enumerate(highest)]


def _by_class(model: _Model, images: Sequence[LabelledImage]) -> list[_Answer | None]:
    classes = model.bundle.spec.classes
    said = classify_images(model.compiled, [image.path for image in images], model.bundle.spec)
    return [_Answer(float(row.max()), classes[int(row.argmax())]) for row in said.scores]


def _by_box(model: _Model, images: Sequence[LabelledImage]) -> list[_Answer | None]:
    spec, misfits = model.bundle.spec, set[int]()
    references = [image.reference for image in images] if spec.compares else None
    files = [image.path for image in images]
    found = detect_images(model.compiled, files, spec, references, on_misfit=lambda index, _: misfits.add(index))
    return [None if index in misfits else _boxed(one, spec.classes) for index, one in enumerate(found)]


def _boxed(found: Detections, classes: tuple[str, ...]) -> _Answer:
    if not len(found):
        return _Answer(0.0, "", found)
    best = int(found.scores.argmax())
    return _Answer(float(found.scores[best]), classes[int(found.class_ids[best])], found)


_LOOKS: dict[Kind, _Look] = {Kind.ANOMALY: _by_map, Kind.CLASSIFIER: _by_class, Kind.DETECTOR: _by_box}
