"""How every detector's graph ends: suppression, the shift that puts 0.5 at the threshold, and named results."""

import math

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from models.errors import ModelError
from models.networks.suppression import Suppression

HEAD = "head"
THRESHOLD = f"{HEAD}/threshold"
_ZERO = np.array(0)


def suppressed(boxes: ov.Node, scores: ov.Node, how: Suppression) -> ov.Node:
    """Indices (N,) of the boxes that stay, strongest first.

    Args:
        boxes: (K, 4) xyxy.
        scores: (K,) probabilities.
        how: limits; `candidates` is the caller's.
    """
    chosen = ops.non_max_suppression(
        ops.unsqueeze(boxes, _ZERO),
        ops.unsqueeze(scores, np.array([0, 1])),
        np.array(how.most),
        np.float32(how.max_iou),
        np.float32(how.min_score),
        output_type="i32",
    )
    return ops.gather(chosen.output(0), np.array(2), np.array(1))


def threshold_node(value: float) -> ov.Node:
    """The logit that is taken off a score's, (1,).

    Raises:
        ModelError: the threshold lies outside (0, 1).
    """
    if not 0 < value < 1:
        raise ModelError(f"export: the threshold must lie between 0 and 1, got {value}")
    return ops.constant(np.full(1, logit(value), np.float32), name=THRESHOLD)


def named(node: ov.Node, name: str) -> ov.Node:
    """The graph's result of this name."""
    result = ops.result(node, name=name)
    result.output(0).get_tensor().set_names({name})
    return result


def logit(value: float) -> float:
    """Of a probability in (0, 1)."""
    return math.log(value / (1 - value))
