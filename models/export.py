"""From the torch detector to the graph that runs: pixels in, findings out, everything between inside.

The graph takes (1, H, W, 3) uint8 BGR as `image`, and as `reference` where the detector compares with one; it gives
`boxes` (N, 4) float32 xyxy in its own pixels, `scores` (N,) float32 with 0.5 at the threshold, strongest first,
`class_ids` (N,) int32, and `finite` (1,) float32, which is NaN if any raw answer was not finite: suppression drops such
an answer without a word, and an empty result must mean "looked, and saw nothing".
"""

import contextlib
import io
import math
import warnings

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import torch
from torch import nn

from models.errors import ModelError
from models.networks.backbone import image_input
from models.networks.detector import COARSEST, DetectorShape, cell_centres
from models.networks.findings import HEAD, THRESHOLD, logit, named, suppressed, threshold_node
from models.networks.suppression import SUPPRESSION, Suppression
from models.spec import InputSpec

_CHANNELS_FIRST = np.array([0, 3, 1, 2])
_GREEN = 1
_ZERO, _LAST = np.array(0), np.array(-1)


def export_detector(
    network: nn.Module, shape: DetectorShape, spec: InputSpec, threshold: float, how: Suppression = SUPPRESSION
) -> ov.Model:
    """The detector as an openvino graph, FP32.

    Args:
        network: a `Detector`, or one that quantization-aware training wrapped; in evaluation mode.
        shape: of the detector.
        spec: of the `image` input; the reference's has the same size.
        threshold: raw score that leaves the graph as 0.5.
        how: the suppression inside the graph.

    Raises:
        ModelError: a side that is no multiple of the coarsest cell, or a threshold outside (0, 1).
    """
    if spec.height % COARSEST or spec.width % COARSEST:
        raise ModelError(f"export: both sides must be multiples of {COARSEST}, got {spec.width}x{spec.height}")
    inputs = [image_input(spec.height, spec.width, name) for name in _names(shape)]
    body = _convert(network, (1, shape.in_channels, spec.height, spec.width))
    logits, sides = _append(body, _planes(inputs, shape))
    results = _findings(logits, sides, (spec.height, spec.width), threshold, how)
    return ov.Model(results, inputs, "detector")


def with_threshold(model: ov.Model, threshold: float) -> ov.Model:
    """A copy of a detector graph, FP32 or quantized, whose 0.5 lies at this raw score.

    Raises:
        ModelError: the graph has no threshold to replace, or the new one lies outside (0, 1).
    """
    copy = model.clone()
    nodes = [node for node in copy.get_ops() if node.get_friendly_name() == THRESHOLD]
    if len(nodes) != 1:
        raise ModelError(f"export: graph {model.get_friendly_name()!r} holds {len(nodes)} thresholds, expected 1")
    fresh = threshold_node(threshold)
    for target in nodes[0].output(0).get_target_inputs():
        target.replace_source_output(fresh.output(0))
    copy.validate_nodes_and_infer_types()
    return copy


def raw_score(normalised: float, threshold: float) -> float:
    """The network's own probability behind a score that left the graph: the logit was shifted by the threshold's."""
    return _sigmoid(logit(normalised) + logit(threshold))


def _names(shape: DetectorShape) -> tuple[str, ...]:
    return ("image", "reference") if shape.reference else ("image",)


def _planes(inputs: list[ov.Node], shape: DetectorShape) -> ov.Node:
    """(1, in_channels, H, W) float32 in [0, 1]: image, reference, absolute difference."""
    pictures = [_picture(node, shape) for node in inputs]
    if shape.reference:
        apart = ops.abs(ops.subtract(*pictures), name=f"{HEAD}/apart")
        return ops.concat([*pictures, apart], 1, name=f"{HEAD}/planes")
    return pictures[0]


def _picture(node: ov.Node, shape: DetectorShape) -> ov.Node:
    """One image as planes; a grey model reads the green channel, which in a grey picture is the picture."""
    planes = ops.transpose(node, _CHANNELS_FIRST)
    if not shape.colour:
        planes = ops.gather(planes, np.array([_GREEN]), np.array(1))
    return ops.multiply(ops.convert(planes, np.float32), np.float32(1 / 255))


def _convert(network: nn.Module, size: tuple[int, ...]) -> ov.Model:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        body = ov.convert_model(network, example_input=torch.rand(size))
    body.reshape(list(size))
    return body


def _append(body: ov.Model, pixels: ov.Node) -> tuple[ov.Output, ...]:
    """The body's two outputs, fed by `pixels` instead of its own input."""
    for target in body.inputs[0].get_node().output(0).get_target_inputs():
        target.replace_source_output(pixels.output(0))
    return tuple(output.get_node().input_value(0) for output in body.outputs)


def _findings(
    logits: ov.Output, sides: ov.Output, size: tuple[int, int], threshold: float, how: Suppression
) -> list[ov.Node]:
    """Logits (1, P, classes) and sides (1, P, 4) of all cells to the graph's four results."""
    finite = _finite(logits, sides)
    flat_logits, flat_sides = (ops.squeeze(node, _ZERO) for node in (logits, sides))
    best = ops.reduce_max(flat_logits, _LAST)
    strongest = ops.topk(best, np.array(min(how.candidates, _cells(size))), 0, "max", "value")
    cells = strongest.output(1)
    boxes = _boxes(flat_sides, cells, size)
    kept = suppressed(boxes, ops.sigmoid(strongest.output(0)), how)
    shifted = ops.subtract(ops.gather(strongest.output(0), kept, _ZERO), threshold_node(threshold))
    chosen = ops.gather(flat_logits, ops.gather(cells, kept, _ZERO), _ZERO)
    ids = ops.squeeze(ops.topk(chosen, np.array(1), 1, "max", "none").output(1), np.array(1))
    found = {
        "boxes": ops.gather(boxes, kept, _ZERO),
        "scores": ops.sigmoid(shifted),
        "class_ids": ops.convert(ids, np.int32),
        "finite": finite,
    }
    return [named(node, name) for name, node in found.items()]


def _finite(logits: ov.Output, sides: ov.Output) -> ov.Node:
    sums = [ops.reduce_sum(node, np.array([0, 1, 2]), keep_dims=False) for node in (logits, sides)]
    return ops.reshape(ops.multiply(ops.add(*sums), np.float32(0)), np.array([1]), special_zero=False)


def _boxes(sides: ov.Node, cells: ov.Output, size: tuple[int, int]) -> ov.Node:
    """Boxes (K, 4) xyxy of the chosen cells; one that would end before it starts is a point."""
    centres = cell_centres(*size)[0].numpy()
    middle = ops.gather(ops.constant(centres), cells, _ZERO)
    near = ops.gather(sides, cells, _ZERO)
    before, behind = ops.split(near, np.array(1), 2).outputs()
    start = ops.subtract(middle, before)
    return ops.concat([start, ops.maximum(start, ops.add(middle, behind))], 1)


def _cells(size: tuple[int, int]) -> int:
    return len(cell_centres(*size)[0])


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))
