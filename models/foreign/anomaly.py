"""A foreign anomaly graph as one of our contract: `score` (1,) and `map` (1, h, w) in [0, 1], 0.5 at the threshold.

The station refuses a score that its map does not show, so `score` is always the map's highest value:

- Without a score of its own the map is put on our scale place by place, and its highest value is the score.
- With one, that score is put on our scale, and the map is stretched so that its highest value is the score. The map
  then says where on this frame, no longer how much beside another frame: rules about areas mean less.
"""

import math

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from models.errors import RequestError
from models.foreign.graph import ForeignGraph, append, output_of, shape_of
from models.foreign.head import AnomalyDecode, AnomalyHead
from models.foreign.pixels import network_input, picture_input
from models.networks.findings import named

_FLAT = 1e-12
_PLANE = np.array([1, 2])


def anomaly_graph(foreign: ForeignGraph, head: AnomalyHead) -> ov.Model:
    """The graph, FP32; `foreign` is left as it was.

    Raises:
        RequestError: the graph's outputs are not what the head declares.
    """
    body = foreign.model.clone()
    heat = _plane(output_of(body, head.outputs.map, "outputs.map"))
    own = None if head.outputs.score is None else _single(output_of(body, head.outputs.score, "outputs.score"))
    image = picture_input(foreign.spec)
    append(body, network_input(image, head.input, body.inputs[0].get_element_type()))
    shown = _normalised(heat, head.decode) if own is None else _stretched(heat, _normalised(own, head.decode))
    for raw in (heat,) if own is None else (heat, own):
        shown = ops.add(shown, _nothing(raw))
    return ov.Model([named(_score(shown), "score"), named(shown, "map")], [image], "foreign anomaly")


def _plane(output: ov.Output) -> ov.Node:
    """The map as (1, h, w) float32."""
    shape = [int(side) for side in output.get_shape()]
    if len(shape) < len(_PLANE) or math.prod(shape[:-2]) != 1 or math.prod(shape) == 1:
        raise RequestError(
            f"import: outputs.map has shape {shape_of(output)}, expected (1, 1, h, w) or fewer leading ones: name the "
            "output that holds one value for each place"
        )
    return ops.reshape(ops.convert(output, np.float32), np.array([1, *shape[-2:]]), special_zero=False)


def _single(output: ov.Output) -> ov.Node:
    """The score as (1, 1, 1) float32."""
    if math.prod(output.get_shape()) != 1:
        raise RequestError(f"import: outputs.score has shape {shape_of(output)}, expected one value: name another")
    return ops.reshape(ops.convert(output, np.float32), np.array([1, 1, 1]), special_zero=False)


def _normalised(raw: ov.Node, how: AnomalyDecode) -> ov.Node:
    """The raw values on our scale; what lies outside the declared range lies outside [0, 1], or is NaN."""
    if how.values == "distance":
        return ops.divide(raw, ops.add(raw, np.float32(how.threshold)))
    if how.values == "logit":
        return ops.sigmoid(ops.subtract(raw, np.float32(how.threshold)))
    ours = ops.multiply(raw, np.float32(1 - how.threshold))
    theirs = ops.multiply(ops.subtract(np.float32(1), raw), np.float32(how.threshold))
    return ops.divide(ours, ops.add(ours, theirs))


def _stretched(heat: ov.Node, score: ov.Node) -> ov.Node:
    """The map between its lowest, 0, and its highest, the score; where it is flat, the score everywhere."""
    low, high = (reduce(heat, _PLANE, True) for reduce in (ops.reduce_min, ops.reduce_max))
    apart = ops.subtract(high, low)
    flat = ops.less_equal(apart, np.float32(_FLAT))
    share = ops.divide(ops.subtract(heat, low), ops.select(flat, np.float32(1), apart))
    return ops.multiply(ops.select(flat, np.float32(1), share), score)


def _nothing(raw: ov.Node) -> ov.Node:
    """Zero, (1, 1, 1); NaN if any raw value is not finite, which a sigmoid or a maximum may swallow."""
    return ops.multiply(ops.reduce_sum(raw, _PLANE, True), np.float32(0))


def _score(shown: ov.Node) -> ov.Node:
    """The map's highest value, (1,); NaN if any of the map is."""
    return ops.add(ops.reduce_max(shown, _PLANE), ops.squeeze(_nothing(shown), _PLANE))
