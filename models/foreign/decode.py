"""A foreign detector's outputs as boxes and probabilities: what its head declares, in OpenVINO operations.

`models.foreign.plain` says the same in numpy; an import holds one against the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from models.errors import RequestError
from models.foreign.graph import output_of, shape_of
from models.foreign.head import DetectorDecode, DetectorHead
from models.foreign.strides import grid_of
from models.spec import InputSpec

_SIDES = 4
_ROW = 7  # image_id, label, confidence, x1, y1, x2, y2
_ONE = np.array(1)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What the network says of N places.

    Args:
        boxes: (N, 4) float32 xyxy, pixels of the input.
        best: (N,) float32: the probability of the likeliest class.
        class_ids: (N,) int32.
        raw: float32 of any shape: what must be finite.
        probabilities: of any shape: what must lie in [0, 1]; nothing where sigmoid or softmax sees to it.
    """

    boxes: ov.Node
    best: ov.Node
    class_ids: ov.Node
    raw: Sequence[ov.Node] = field(default=())
    probabilities: Sequence[ov.Node] = field(default=())


def decoded(model: ov.Model, head: DetectorHead, spec: InputSpec) -> Decoded:
    """Read the outputs as the head says.

    Raises:
        RequestError: an output is missing, or its shape is not what the head declares.
    """
    if head.decoded_ssd:
        return _finished_rows(model, head, spec)
    boxes, scores, objectness = _parts(model, head, spec)
    if head.outputs.labels is not None:
        return _labelled(model, head, (boxes, scores), spec)
    raw = [node for node in (boxes, scores, objectness) if node is not None]
    likely = _foreground(_activated(scores, head.decode), head)
    if objectness is not None:
        likely = ops.multiply(likely, _activated(objectness, head.decode))
    top = ops.topk(likely, _ONE, 1, "max", "none")
    best, ids = (ops.squeeze(top.output(index), _ONE) for index in (0, 1))
    given = [node for node in (scores, objectness) if node is not None] if head.decode.activation == "none" else []
    return Decoded(_corners(boxes, head.decode, spec), best, ops.convert(ids, np.int32), raw, given)


def _parts(model: ov.Model, head: DetectorHead, spec: InputSpec) -> tuple[ov.Node, ov.Node, ov.Node | None]:
    """Raw boxes (N, 4), scores (N, columns), or (N,) beside labels, and objectness (N, 1)."""
    named, how = head.outputs, head.decode
    if named.combined is None:
        boxes = _table(output_of(model, str(named.boxes), "outputs.boxes"), _SIDES, "outputs.boxes: four sides")
        single = named.labels is not None
        what = "outputs.scores: one beside labels" if single else f"outputs.scores: {_columns(head)}"
        scores = _table(output_of(model, str(named.scores), "outputs.scores"), 1 if single else head.columns, what)
        _same_count(boxes, scores)
        objectness = None
    else:
        extra = int(how.objectness)
        rows = _rows(output_of(model, named.combined, "outputs.combined"), head, _SIDES + extra + len(head.classes))
        boxes, objectness = _slice(rows, 0, _SIDES), _slice(rows, _SIDES, _SIDES + 1) if extra else None
        scores = _slice(rows, _SIDES + extra, _SIDES + extra + len(head.classes))
    return (boxes if not how.strides else _off_grid(boxes, how, spec)), scores, objectness


def _rows(output: ov.Output, head: DetectorHead, values: int) -> ov.Node:
    """A yolo's combined output as (N, values)."""
    shape = list(output.get_shape())
    first = head.decode.order == "boxes-first"
    if len(shape) != 3 or shape[0] != 1 or shape[2 if first else 1] != values:  # noqa: PLR2004 - (1, a, b)
        wanted = f"(1, N, {values})" if first else f"(1, {values}, N)"
        raise RequestError(
            f"import: outputs.combined has shape {shape_of(output)}, expected {wanted}: box 4"
            f"{', objectness 1' if head.decode.objectness else ''}, {len(head.classes)} classes, {head.decode.order}: "
            "mend classes, decode.objectness or decode.order"
        )
    flat = ops.squeeze(ops.convert(output, np.float32), np.array(0))
    return flat if first else ops.transpose(flat, np.array([1, 0]))


def _table(output: ov.Output, columns: int, what: str) -> ov.Node:
    """An output whose axes are all 1 but one or two, as (N, columns)."""
    shape = [int(side) for side in output.get_shape()]
    many = columns > 1
    if not shape or (many and shape[-1] != columns) or sum(side != 1 for side in shape[: -1 if many else None]) > 1:
        raise RequestError(
            f"import: {what}, so expected shape (1, N, {columns}), got {shape_of(output)}: mend the head"
        )
    return ops.reshape(ops.convert(output, np.float32), np.array([-1, columns]), special_zero=False)


def _columns(head: DetectorHead) -> str:
    background = head.decode.background
    beside = "no background" if background == "none" else f"background {background}"
    return f"{len(head.classes)} classes and {beside}"


def _same_count(boxes: ov.Node, scores: ov.Node) -> None:
    counts = [int(node.get_output_shape(0)[0]) for node in (boxes, scores)]
    if counts[0] != counts[1]:
        raise RequestError(f"import: {counts[0]} boxes and {counts[1]} scores: name outputs that belong together")


def _off_grid(boxes: ov.Node, how: DetectorDecode, spec: InputSpec) -> ov.Node:
    """Centres counted from their cell and logarithms of sizes, both in strides, as pixels."""
    cells, strides = grid_of(how.strides, spec)
    count = int(boxes.get_output_shape(0)[0])
    if count != len(cells):
        raise RequestError(
            f"import: strides {how.strides} give {len(cells)} cells at {spec.width}x{spec.height}, and the graph "
            f"answers for {count}: mend decode.strides"
        )
    centres = ops.multiply(ops.add(_slice(boxes, 0, 2), cells), strides)
    return ops.concat([centres, ops.multiply(ops.exp(_slice(boxes, 2, 4)), strides)], 1)


def _activated(scores: ov.Node, how: DetectorDecode) -> ov.Node:
    if how.activation == "sigmoid":
        return ops.sigmoid(scores)
    return ops.softmax(scores, 1) if how.activation == "softmax" else scores


def _foreground(likely: ov.Node, head: DetectorHead) -> ov.Node:
    start = int(head.decode.background == "first")
    return likely if head.decode.background == "none" else _slice(likely, start, start + len(head.classes))


def _labelled(model: ov.Model, head: DetectorHead, parts: tuple[ov.Node, ov.Node], spec: InputSpec) -> Decoded:
    """One score and one label for each box, as TensorFlow's SSD gives."""
    boxes, scores = parts
    labels = _table(output_of(model, str(head.outputs.labels), "outputs.labels"), 1, "outputs.labels: one for each box")
    _same_count(boxes, labels)
    best = ops.squeeze(_activated(scores, head.decode), _ONE)
    given = [scores] if head.decode.activation == "none" else []
    corners = _corners(boxes, head.decode, spec)
    return Decoded(corners, best, _class_ids(ops.squeeze(labels, _ONE), head), [boxes, scores, labels], given)


def _finished_rows(model: ov.Model, head: DetectorHead, spec: InputSpec) -> Decoded:
    """Rows (1, 1, N, 7); the first with a negative image_id ends the list, and what stands behind it means nothing."""
    name = str(head.outputs.combined)
    rows = _table(output_of(model, name, "outputs.combined"), _ROW, "outputs.combined: rows of seven")
    ended = ops.convert(ops.less(_slice(rows, 0, 1), np.float32(0)), np.float32)
    counts = ops.equal(ops.cumsum(ended, np.array(0)), np.float32(0))
    said = ops.select(counts, rows, np.zeros((1, _ROW), np.float32))
    best = ops.squeeze(_slice(said, 2, 3), _ONE)
    ids = _class_ids(ops.squeeze(_slice(said, 1, 2), _ONE), head)
    return Decoded(_corners(_slice(said, 3, 7), head.decode, spec), best, ids, [said], [best])


def _class_ids(labels: ov.Node, head: DetectorHead) -> ov.Node:
    start = int(head.decode.background == "first")
    return ops.subtract(ops.convert(labels, np.int32), np.int32(start))


def _corners(boxes: ov.Node, how: DetectorDecode, spec: InputSpec) -> ov.Node:
    """Boxes (N, 4) as xyxy in pixels of the input; which end comes first is left as it is, so that a fault shows."""
    if how.box_format == "yxyx":
        corners = ops.gather(boxes, np.array([1, 0, 3, 2]), _ONE)
    elif how.box_format == "xyxy":
        corners = boxes
    else:
        place, size = _slice(boxes, 0, 2), _slice(boxes, 2, 4)
        start = place if how.box_format == "xywh" else ops.subtract(place, ops.multiply(size, np.float32(0.5)))
        corners = ops.concat([start, ops.add(start, size)], 1)
    if how.box_unit == "pixels":
        return corners
    return ops.multiply(corners, np.array([spec.width, spec.height] * 2, np.float32))


def _slice(node: ov.Node, start: int, stop: int) -> ov.Node:
    """Columns from start to before stop."""
    return ops.slice(node, np.array([start]), np.array([stop]), np.array([1]), np.array([1]))
