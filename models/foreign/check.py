"""Does a head fit its detector? Judged on sample pictures, by what the graph itself answers. A no is a GateError.

What cannot be told without labels is said as a warning or left to whoever looks at the report's pictures: channels
swapped between red and blue, classes in another order, centre and corner exchanged where boxes are small.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections, FloatArray
from models.errors import GateError
from models.foreign.detector import RANGE_TOLERANCE
from models.foreign.head import DetectorHead
from models.foreign.plain import PlainFindings, plain_score
from models.matching import overlaps
from models.spec import InputSpec

THRESHOLD = 0.5
_TINY_PX = 2.0
_LEAST_INSIDE = 0.5
_SAME_IOU = 0.9
_SAME_SCORE = 0.01


def check_answers(plain: Sequence[PlainFindings], head: DetectorHead, spec: InputSpec) -> list[str]:
    """Refuse a head that these answers contradict; what is odd and may be right comes back as warnings.

    Raises:
        GateError: which key of the head is likely wrong, and by what it shows.
    """
    _check_scores(plain, head)
    boxes, likely, ids = (
        np.concatenate([getattr(one, name) for one in plain]) for name in ("boxes", "likely", "class_ids")
    )
    if not len(boxes):
        return [f"nothing scores {head.decode.lowest_score:g} on any sample, so boxes and classes were not checked"]
    _check_classes(ids, head)
    _check_corners(boxes, head)
    _check_size(boxes, head)
    sure = likely >= head.decode.threshold
    _check_place(boxes[sure], head, spec)
    warnings = [] if sure.any() else ["no sample has a finding at the threshold, so the threshold was not checked"]
    return warnings + _ambiguous(boxes, head)


def check_parity(graph: Sequence[Detections], plain: Sequence[PlainFindings], head: DetectorHead) -> None:
    """The built graph finds what the original graph and plain numpy find, from the threshold on.

    Args:
        graph: in pixels of the input.
        plain: of the same pictures.
        head: the threshold.

    Raises:
        GateError: on which sample they differ; a defect of the import, or of the arithmetic on this machine.
    """
    for index, (built, other) in enumerate(zip(graph, plain, strict=True)):
        scores = plain_score(other.likely, head.decode.threshold)
        mine = built.boxes_xyxy, built.scores, built.class_ids
        theirs = other.boxes, scores, other.class_ids
        if not (_all_in(mine, theirs) and _all_in(theirs, mine)):
            raise GateError(
                f"import: on sample {index + 1} the built graph finds {_count(built.scores)} and the original graph "
                f"{_count(scores)}, or other boxes, classes or scores: keep head and graph, and report this as a defect"
            )


def _check_scores(plain: Sequence[PlainFindings], head: DetectorHead) -> None:
    if not all(one.finite for one in plain):
        raise GateError(
            "import: the graph answers a sample with a value that is not finite: mend input.mean and input.scale, or "
            "export the graph anew"
        )
    given = np.concatenate([one.given.ravel() for one in plain])
    if not len(given):
        return  # a finished list may be empty
    low, high = float(given.min()), float(given.max())
    inside = low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE
    if head.decode.activation == "none" and not inside:
        raise GateError(
            f"import: scores run from {low:.3g} to {high:.3g}, expected probabilities from 0 to 1: set "
            "decode.activation to sigmoid or softmax, or name other outputs"
        )
    if head.decode.activation != "none" and inside:
        raise GateError(
            f"import: every raw score on every sample lies between {low:.3g} and {high:.3g}, as probabilities do and "
            f"logits do not: set decode.activation to none instead of {head.decode.activation}"
        )


def _check_classes(ids: NDArray[np.int64], head: DetectorHead) -> None:
    wrong = ids[(ids < 0) | (ids >= len(head.classes))]
    if len(wrong):
        raise GateError(
            f"import: the graph answers with class {wrong[0]}, counted from 0, and the head names {len(head.classes)}: "
            "mend classes or decode.background"
        )


def _check_corners(boxes: FloatArray, head: DetectorHead) -> None:
    turned = np.flatnonzero((boxes[:, :2] > boxes[:, 2:]).any(1))
    if len(turned):
        raise GateError(
            f"import: read as {head.decode.box_format}, {len(turned)} of {len(boxes)} boxes end before they start, the "
            f"first {_text(boxes[turned[0]])}: mend decode.box_format"
        )


def _check_size(boxes: FloatArray, head: DetectorHead) -> None:
    if ((boxes[:, 2:] - boxes[:, :2]).max(1) < _TINY_PX).all():
        raise GateError(
            f"import: each of {len(boxes)} boxes is smaller than {_TINY_PX:g} pixels, the first {_text(boxes[0])}: "
            f"decode.box_unit is {head.decode.box_unit!r}, and the other fits better; or mend decode.box_format"
        )


def _check_place(boxes: FloatArray, head: DetectorHead, spec: InputSpec) -> None:
    limit = np.array([spec.width, spec.height] * 2, np.float32)
    for box in boxes:
        common = np.clip(box, 0, limit)
        area = float((box[2:] - box[:2]).astype(np.float64).prod())
        if float((common[2:] - common[:2]).astype(np.float64).prod()) < _LEAST_INSIDE * area:
            raise GateError(
                f"import: box {_text(box)} lies for the most part outside the input, {spec.width}x{spec.height}: mend "
                f"decode.box_unit ({head.decode.box_unit}) or decode.box_format ({head.decode.box_format})"
            )


def _ambiguous(boxes: FloatArray, head: DetectorHead) -> list[str]:
    """Corners that were taken for centre and size give sizes above their centres, on every box."""
    size, centre = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    if head.decode.box_format == "cxcywh" and (size > centre).all():
        return [
            "every box would also read as xyxy: look at the report's pictures, and mend decode.box_format if need be"
        ]
    return []


def _all_in(
    some: tuple[FloatArray, FloatArray, NDArray[np.integer]],
    others: tuple[FloatArray, FloatArray, NDArray[np.integer]],
) -> bool:
    """Whether each finding that counts for sure has its like among the others."""
    sure = some[1] >= THRESHOLD + _SAME_SCORE
    boxes, scores, ids = some[0][sure], some[1][sure], some[2][sure]
    if not len(boxes):
        return True
    like = (overlaps(boxes, others[0]) >= _SAME_IOU) & (ids[:, None] == others[2][None])
    return bool((like & (np.abs(scores[:, None] - others[1][None]) <= _SAME_SCORE)).any(1).all())


def _count(scores: FloatArray) -> str:
    return f"{int((scores >= THRESHOLD).sum())} at the threshold"


def _text(box: FloatArray) -> str:
    return "[" + ", ".join(f"{value:.1f}" for value in box) + "]"
