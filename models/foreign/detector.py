"""A foreign detector as one graph of our contract: pixels in, findings out, everything between inside.

Results as `models.export` makes them: `boxes` (N, 4) float32 xyxy pixels of the input, `scores` (N,) with 0.5 at the
threshold, strongest first, `class_ids` (N,) int32, and `finite` (1,), which is NaN if any raw answer was not finite or
a declared probability lay outside [0, 1]: suppression drops such an answer without a word.
"""

from collections.abc import Callable, Sequence

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from models.foreign.decode import Decoded, decoded
from models.foreign.graph import ForeignGraph, append
from models.foreign.head import DetectorHead
from models.foreign.pixels import network_input, picture_input
from models.networks.findings import named, suppressed, threshold_node
from models.networks.suppression import SUPPRESSION, Suppression

RANGE_TOLERANCE = 1e-3
_SURE = 1 - 1e-6
_ZERO = np.array(0)


def suppression(head: DetectorHead) -> Suppression:
    """What the graph drops."""
    how = head.decode
    return Suppression(SUPPRESSION.candidates, how.lowest_score, how.max_iou, SUPPRESSION.most)


def detector_graph(foreign: ForeignGraph, head: DetectorHead) -> ov.Model:
    """The graph, FP32; `foreign` is left as it was.

    Raises:
        RequestError: the graph's outputs are not what the head declares.
    """
    body = foreign.model.clone()
    said = decoded(body, head, foreign.spec)
    image = picture_input(foreign.spec)
    append(body, network_input(image, head.input, body.inputs[0].get_element_type()))
    return ov.Model(_findings(said, head), [image], "foreign detector")


def _findings(said: Decoded, head: DetectorHead) -> list[ov.Node]:
    how = suppression(head)
    count = int(said.best.get_output_shape(0)[0])
    strongest = ops.topk(said.best, np.array(min(how.candidates, count)), 0, "max", "value")
    boxes = ops.gather(said.boxes, strongest.output(1), _ZERO)
    kept = suppressed(boxes, strongest.output(0), how)
    likely = ops.clamp(ops.gather(strongest.output(0), kept, _ZERO), 1 - _SURE, _SURE)
    logits = ops.subtract(ops.log(likely), ops.log(ops.subtract(np.float32(1), likely)))
    found = {
        "boxes": ops.gather(boxes, kept, _ZERO),
        "scores": ops.sigmoid(ops.subtract(logits, threshold_node(head.decode.threshold))),
        "class_ids": ops.gather(said.class_ids, ops.gather(strongest.output(1), kept, _ZERO), _ZERO),
        "finite": _finite(said),
    }
    return [named(node, name) for name, node in found.items()]


def _finite(said: Decoded) -> ov.Node:
    """(1,): nothing times the sum of all that was said, and the root of minus what lies outside [0, 1]."""
    nothing = ops.multiply(_sum([_over_all(ops.reduce_sum, node) for node in said.raw]), np.float32(0))
    if not said.probabilities:
        return ops.reshape(nothing, np.array([1]), special_zero=False)
    far = []
    for node in said.probabilities:
        high, low = _over_all(ops.reduce_max, node), _over_all(ops.reduce_min, node)
        far.append(ops.relu(ops.subtract(high, np.float32(1 + RANGE_TOLERANCE))))
        far.append(ops.relu(ops.subtract(np.float32(-RANGE_TOLERANCE), low)))
    broken = ops.sqrt(ops.subtract(np.float32(0), _sum(far)))
    return ops.reshape(ops.add(nothing, ops.multiply(broken, np.float32(0))), np.array([1]), special_zero=False)


def _over_all(reduce: Callable[..., ov.Node], node: ov.Node) -> ov.Node:
    return reduce(node, np.arange(len(node.get_output_shape(0))), keep_dims=False)


def _sum(nodes: Sequence[ov.Node]) -> ov.Node:
    total = nodes[0]
    for node in nodes[1:]:
        total = ops.add(total, node)
    return total
