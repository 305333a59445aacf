"""The self-test: the bundle's own frames must give the bundle's own scores, on this machine, with this graph."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openvino as ov

from models.bundle import Bundle, SelftestCase
from models.classifying import classify_images
from models.detecting import detect_images
from models.detections import Detections
from models.errors import ModelError
from models.matching import overlaps
from models.scoring import MAP, SCORE, model_input, pose_of
from models.spec import Kind

_SAME_IOU = 0.8
_COUNTS = 0.5


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One frame's answer; `got` is NaN if score or map held a value that is not finite."""

    name: str
    expected: float
    got: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Within the tolerance; NaN never is."""
        return abs(self.got - self.expected) <= self.tolerance


def run_selftest(bundle: Bundle, compiled: ov.CompiledModel) -> tuple[CaseResult, ...]:
    """Every self-test frame through a graph that was compiled from this bundle.

    Raises:
        ModelError: a frame cannot be read, or an answer is broken.
    """
    look = _LOOKS[bundle.spec.kind]
    return tuple(look(bundle, case, compiled) for case in bundle.selftest)


def check_selftest(bundle: Bundle, compiled: ov.CompiledModel) -> None:
    """Pass, or refuse the bundle.

    Raises:
        ModelError: a frame's score differs by more than its tolerance.
    """
    for result in run_selftest(bundle, compiled):
        if not result.passed:
            raise ModelError(
                f"bundle {bundle.model_id.id!r} v{bundle.model_id.version}: self-test frame {result.name} gives "
                f"{result.got:.4f}, expected {result.expected:.4f} +- {result.tolerance:.4f}: roll back or recalibrate"
            )


def _scored(bundle: Bundle, case: SelftestCase, compiled: ov.CompiledModel) -> CaseResult:
    request = compiled.create_infer_request()
    request.infer({0: model_input(case.frame, bundle.spec.inputs[0], pose_of(bundle))[None]})
    heat = request.get_tensor(MAP).data
    got = float(request.get_tensor(SCORE).data[0]) if np.isfinite(heat).all() else float("nan")
    return CaseResult(case.frame.name, case.score, got, case.tolerance)


def _classified(bundle: Bundle, case: SelftestCase, compiled: ov.CompiledModel) -> CaseResult:
    """The highest score; NaN if any class's differs by more than the tolerance, or the case does not say them all."""
    scores = classify_images(compiled, [case.frame], bundle.spec).scores[0]
    expected = np.array(case.scores, np.float32)
    same = expected.shape == scores.shape and bool((np.abs(scores - expected) <= case.tolerance).all())
    return CaseResult(case.frame.name, case.score, float(scores.max()) if same else float("nan"), case.tolerance)


def _detected(bundle: Bundle, case: SelftestCase, compiled: ov.CompiledModel) -> CaseResult:
    """The best score on the frame; NaN if the findings are not those that were expected."""
    (found,) = detect_images(compiled, [case.frame], bundle.spec, [case.reference])
    got = found.frame_score if _as_expected(found, case) else float("nan")
    return CaseResult(case.frame.name, case.score, got, case.tolerance)


def _as_expected(found: Detections, case: SelftestCase) -> bool:
    """Each expected finding is there, of its class and about as sure, and no other is clearly above the threshold."""
    expected = case.findings or ()
    free = list(range(len(found)))
    for entry in expected:
        box = np.array([entry.box_xyxy], np.float32)
        near = [
            index
            for index in free
            if found.class_ids[index] == entry.class_id
            and abs(float(found.scores[index]) - entry.score) <= case.tolerance
            and overlaps(box, found.boxes_xyxy[index : index + 1])[0, 0] >= _SAME_IOU
        ]
        if not near:
            return False
        free.remove(near[0])
    return all(found.scores[index] < _COUNTS + case.tolerance for index in free)


_LOOKS: dict[Kind, Callable[[Bundle, SelftestCase, ov.CompiledModel], CaseResult]] = {
    Kind.ANOMALY: _scored,
    Kind.CLASSIFIER: _classified,
    Kind.DETECTOR: _detected,
}
