"""A foreign graph run as it came, and its head read in plain numpy: what the built graph is held against.

Written without a look at `models.foreign.decode`, so that an error in one shows. It also keeps the raw values, by
which a wrong head is told from a right one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.compile import compile_graph
from models.detections import FloatArray
from models.foreign.graph import ForeignGraph
from models.foreign.head import AnomalyHead, DetectorHead, Head, PixelInput
from models.foreign.strides import grid_of
from models.letterbox import Image
from models.matching import overlaps
from models.networks.findings import logit
from models.networks.suppression import SUPPRESSION
from models.spec import InputSpec, Precision

_DTYPES = {"f32": np.float32, "f16": np.float16, "u8": np.uint8}
_CANDIDATES, _MOST = SUPPRESSION.candidates, SUPPRESSION.most


@dataclass(frozen=True, slots=True, eq=False)
class PlainFindings:
    """One picture, as plain numpy reads it.

    Args:
        boxes: (N, 4) xyxy, pixels of the input: what stays after suppression, strongest first; an end may lie before
            its start.
        likely: (N,) raw probabilities.
        class_ids: (N,), of any value.
        given: the raw scores, before any activation.
        finite: whether all that the head names is.
    """

    boxes: FloatArray
    likely: FloatArray
    class_ids: NDArray[np.int64]
    given: FloatArray
    finite: bool


class Original:
    """The foreign graph, compiled as it came."""

    def __init__(self, foreign: ForeignGraph, head: Head) -> None:
        self._pixels = head.input
        self._kind = foreign.model.inputs[0].get_element_type().get_type_name()
        self._request = compile_graph(foreign.model.clone(), Precision.FP32).create_infer_request()

    def run(self, picture: Image, names: tuple[str, ...]) -> dict[str, FloatArray]:
        """What it answers to a letterboxed picture (H, W, 3) uint8 BGR, by output, float32."""
        self._request.infer({0: plain_input(picture, self._pixels).astype(_DTYPES.get(self._kind, np.float32))})
        return {name: np.array(self._request.get_tensor(name).data, np.float32) for name in names}


def plain_input(picture: Image, pixels: PixelInput) -> FloatArray:
    """The picture as the network was trained to see it, with a batch axis."""
    seen = picture.astype(np.float32)
    if pixels.colour == "rgb":
        seen = seen[:, :, ::-1]
    elif pixels.colour == "grey":
        seen = 0.114 * seen[:, :, :1] + 0.587 * seen[:, :, 1:2] + 0.299 * seen[:, :, 2:]
    scaled = (seen - np.array(pixels.mean, np.float32)) / np.array(pixels.scale, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None] if pixels.layout == "NCHW" else scaled[None])


def plain_findings(answers: dict[str, FloatArray], head: DetectorHead, spec: InputSpec) -> PlainFindings:
    """What the head makes of the raw outputs, suppressed over all classes together."""
    sides, given, likely, ids = _said(answers, head)
    corners = _as_corners(sides, head, spec)
    kept = _kept(corners, likely, head)
    finite = all(bool(np.isfinite(array).all()) for array in (sides, given, likely))
    return PlainFindings(corners[kept], likely[kept], ids[kept], given, finite)


def plain_score(likely: FloatArray, threshold: float) -> FloatArray:
    """Raw probabilities as scores whose 0.5 lies at the threshold."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.asarray(1 / (1 + np.exp(logit(threshold) - np.log(likely / (1 - likely)))), np.float32)


def plain_map(answers: dict[str, FloatArray], head: AnomalyHead) -> FloatArray:
    """The map (h, w) on our scale."""
    raw = answers[head.outputs.map]
    heat = raw.reshape(raw.shape[-2:])
    if head.outputs.score is None:
        return _on_scale(heat, head)
    score = _on_scale(answers[head.outputs.score].reshape(()), head)
    span = heat.max() - heat.min()
    return np.asarray((heat - heat.min()) / span * score if span > 0 else np.full_like(heat, score), np.float32)


def _on_scale(raw: FloatArray, head: AnomalyHead) -> FloatArray:
    at = head.decode.threshold
    if head.decode.values == "distance":
        return np.asarray(raw / (raw + at), np.float32)
    if head.decode.values == "logit":
        return np.asarray(1 / (1 + np.exp(at - raw)), np.float32)
    return plain_score(raw, at)


def _said(
    answers: dict[str, FloatArray], head: DetectorHead
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.int64]]:
    """Raw sides (N, 4), raw scores, probabilities (N,), class ids (N,)."""
    named, how = head.outputs, head.decode
    shift = 1 if how.background == "first" else 0
    sides: FloatArray
    given: FloatArray
    if head.decoded_ssd:
        rows = answers[str(named.combined)].reshape(-1, 7)
        ends = np.flatnonzero(rows[:, 0] < 0)
        rows = rows[: ends[0]] if len(ends) else rows
        return rows[:, 3:], rows[:, 2], rows[:, 2], rows[:, 1].astype(np.int64) - shift
    if named.labels is not None:
        given = answers[str(named.scores)].reshape(-1)
        ids = answers[named.labels].reshape(-1).astype(np.int64) - shift
        return answers[str(named.boxes)].reshape(-1, 4), given, _activated(given, head), ids
    if named.combined is None:
        sides, given = answers[str(named.boxes)].reshape(-1, 4), answers[str(named.scores)].reshape(-1, head.columns)
    else:
        table = answers[named.combined][0]
        table = table if how.order == "boxes-first" else table.T
        sides, given = table[:, :4], table[:, 4:]
    likely = _of_classes(_activated(given, head), head)
    ids = np.asarray(likely.argmax(1), np.int64)
    return sides, given, np.asarray(likely.max(1), np.float32), ids


def _of_classes(likely: FloatArray, head: DetectorHead) -> FloatArray:
    """(N, classes): without background, and times the objectness."""
    if head.decode.objectness:
        return np.asarray(likely[:, :1] * likely[:, 1:], np.float32)
    return {"none": likely, "first": likely[:, 1:], "last": likely[:, :-1]}[head.decode.background]


def _activated(given: FloatArray, head: DetectorHead) -> FloatArray:
    if head.decode.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-given)), np.float32)
    if head.decode.activation == "softmax":
        powers = np.exp(given - given.max(-1, keepdims=True))
        return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)
    return given


def _as_corners(sides: FloatArray, head: DetectorHead, spec: InputSpec) -> FloatArray:
    how = head.decode
    if how.strides:
        cells, strides = grid_of(how.strides, spec)
        sides = np.concatenate([(sides[:, :2] + cells) * strides, np.exp(sides[:, 2:]) * strides], 1)
    first, second, third, fourth = sides.T
    corners = {
        "xyxy": (first, second, third, fourth),
        "yxyx": (second, first, fourth, third),
        "xywh": (first, second, first + third, second + fourth),
        "cxcywh": (first - third / 2, second - fourth / 2, first + third / 2, second + fourth / 2),
    }[how.box_format]
    unit = (spec.width, spec.height, spec.width, spec.height) if how.box_unit == "normalised" else (1, 1, 1, 1)
    return np.stack(corners, 1).astype(np.float32) * np.array(unit, np.float32)


def _kept(corners: FloatArray, likely: FloatArray, head: DetectorHead) -> NDArray[np.int64]:
    """Greedy suppression: strongest first; one that overlaps a stronger one that stayed by too much goes."""
    kept: list[int] = []
    for index in np.argsort(-likely, kind="stable")[:_CANDIDATES]:
        if likely[index] < head.decode.lowest_score or len(kept) == _MOST:
            break
        ordered = _ordered(corners[[*kept, index]])
        if not kept or overlaps(ordered[-1:], ordered[:-1]).max() <= head.decode.max_iou:
            kept.append(int(index))
    return np.array(kept, np.int64)


def _ordered(boxes: FloatArray) -> FloatArray:
    """Each box with its lower ends first, as suppression looks at it."""
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1)
