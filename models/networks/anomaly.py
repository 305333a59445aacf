"""The anomaly model: features of a frame against a memory of good patches, all of it inside one graph.

Per position of the 1/16 grid: channels of the backbone's stages 4 and 5, averaged over 3 x 3, minus the position's
mean over good frames, projected onto their main directions; then the distance to the memory. That is the mean over
three thirds of the memory of the distance to the nearest vector in each, averaged over 3 x 3: steadier than the one
nearest, so INT8 and FP32 agree more often. The distance d leaves the graph as s = d / (d + t), so that 0.5 is the
bundle's threshold t. Idea: PatchCore, Roth et al. 2022, https://arxiv.org/abs/2106.08265; the rest was chosen by
measuring (DECISIONS.md).

Damage must show. Nothing behind the features clamps, so a NaN feature reaches `map`, and `score` adds nothing times
the sum of the map, because a maximum may skip NaN. Whoever reads the graph checks that both are finite. What the graph
cannot show: ReLU6 and INT8 kernels turn NaN into an ordinary number. Hashes and the self-test stand against that.
"""

from dataclasses import dataclass

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from models.errors import ModelError
from models.networks.backbone import features, image_input
from models.networks.weights import Weights
from models.spec import InputSpec

HEAD = "head"
STAGES = (4, 5)
_PARTS = 3
_FIRST = np.array([0])
_THRESHOLD = f"{HEAD}/threshold"
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PatchMemory:
    """What good parts look like.

    Args:
        mean: (1, channels, h, w) float32: each position's mean feature.
        projection: (D, channels) float32: onto the directions in which good patches differ most.
        patches: (M, D) float32, M at least 3: the memory, mean taken off and projected, in random order.
    """

    mean: Array
    projection: Array
    patches: Array

    @property
    def fits(self) -> bool:
        """Whether the three shapes belong together."""
        return len(self.patches) >= _PARTS and self.projection.shape == (self.patches.shape[1], self.mean.shape[1])


def feature_graph(weights: Weights, spec: InputSpec) -> ov.Model:
    """The graph that fitting reads: image in, `features` (1, channels, h, w) out."""
    image = image_input(spec.height, spec.width, spec.name)
    return ov.Model([_named(_pooled(weights, image), "features")], [image], "features")


def anomaly_graph(backbone: ov.Model, memory: PatchMemory, threshold: float = 1.0) -> ov.Model:
    """The whole model: image in, `score` (1,) and `map` (1, h, w) out, 0.5 at the threshold.

    Args:
        backbone: from `feature_graph`, FP32 or quantized; unchanged.
        memory: from good frames, by the features of this very graph.
        threshold: distance at which a frame is rejected.

    Raises:
        ModelError: the memory does not fit the features, or the threshold is not positive.
    """
    copy = backbone.clone()
    pooled = copy.output("features").get_node().input_value(0)
    shape = tuple(pooled.get_shape())
    if memory.mean.shape != shape or not memory.fits:
        shapes = memory.mean.shape, memory.projection.shape, memory.patches.shape
        raise ModelError(f"anomaly: memory of shapes {shapes} does not fit features {shape}: fit it by this graph")
    heat = _normalised(_distance(pooled, memory), threshold)
    return ov.Model([_named(_score(heat), "score"), _named(heat, "map")], copy.get_parameters(), "anomaly")


def with_threshold(model: ov.Model, threshold: float) -> ov.Model:
    """A copy of an anomaly graph, FP32 or quantized, whose 0.5 lies at this distance.

    Raises:
        ModelError: the graph has no threshold to replace, or the new one is not positive.
    """
    copy = model.clone()
    nodes = [node for node in copy.get_ops() if node.get_friendly_name() == _THRESHOLD]
    if len(nodes) != 1:
        raise ModelError(f"anomaly: graph {model.get_friendly_name()!r} holds {len(nodes)} thresholds, expected 1")
    fresh = _threshold(threshold)
    for target in nodes[0].output(0).get_target_inputs():
        target.replace_source_output(fresh.output(0))
    fresh.set_friendly_name(_THRESHOLD)
    copy.validate_nodes_and_infer_types()
    return copy


def distance(score: NDArray[np.floating], threshold: float) -> NDArray[np.float64]:
    """The distance behind a normalised score: the reverse of s = d / (d + t).

    Args:
        score: any shape, in [0, 1).
        threshold: the graph's.
    """
    exact = np.asarray(score, np.float64)
    return threshold * exact / (1 - exact)


def _pooled(weights: Weights, image: ov.Node) -> ov.Node:
    """Stages 4 and 5 as (1, 304, h, w), averaged over 3 x 3; the coarser one is repeated onto the finer grid."""
    fine, coarse = (
        ops.avg_pool(node, [1, 1], [1, 1], [1, 1], [3, 3], exclude_pad=True, name=f"{HEAD}/average{stage}")
        for stage, node in zip(STAGES, features(weights, image, STAGES), strict=True)
    )
    size = np.array(fine.get_output_shape(0)[2:], np.int64)
    spread = ops.interpolate(
        coarse,
        size,
        "nearest",
        "sizes",
        axes=np.array([2, 3]),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        name=f"{HEAD}/spread",
    )
    return ops.concat([fine, spread], 1, name=f"{HEAD}/features")


def _distance(pooled: ov.Output, memory: PatchMemory) -> ov.Node:
    """Each position's distance to the memory, (1, h, w): mean of the nearest in each third, averaged over 3 x 3."""
    _, channels, height, width = memory.mean.shape
    apart = ops.subtract(pooled, memory.mean, name=f"{HEAD}/apart")
    wide = ops.reshape(apart, np.array([channels, height * width]), special_zero=False, name=f"{HEAD}/wide")
    flat = ops.matmul(memory.projection, wide, False, False, name=f"{HEAD}/flat")
    squares = ops.reduce_sum(ops.multiply(flat, flat, name=f"{HEAD}/square"), _FIRST, True, name=f"{HEAD}/squares")
    nearest = [_nearest(flat, part, index) for index, part in enumerate(np.array_split(memory.patches, _PARTS))]
    squared = ops.add(ops.concat(nearest, 0, name=f"{HEAD}/nearest"), squares, name=f"{HEAD}/squared")
    distances = ops.sqrt(ops.abs(squared, name=f"{HEAD}/abs"), name=f"{HEAD}/root")
    grid = np.array([1, 1, height, width])
    plane = ops.reshape(ops.reduce_mean(distances, _FIRST, name=f"{HEAD}/mean"), grid, False, name=f"{HEAD}/plane")
    smooth = ops.avg_pool(plane, [1, 1], [1, 1], [1, 1], [3, 3], exclude_pad=True, name=f"{HEAD}/smooth")
    return ops.reshape(smooth, grid[1:], special_zero=False, name=f"{HEAD}/map")


def _nearest(flat: ov.Node, patches: Array, index: int) -> ov.Node:
    """|m|^2 - 2 f.m of the nearest of these patches, (1, h * w): the squared distance but for |f|^2."""
    products = ops.matmul(np.float32(-2) * patches, flat, False, False, name=f"{HEAD}/products{index}")
    own = np.einsum("mc,mc->m", patches, patches)[:, None]
    return ops.reduce_min(
        ops.add(products, own, name=f"{HEAD}/own{index}"), _FIRST, True, name=f"{HEAD}/nearest{index}"
    )


def _normalised(distances: ov.Node, threshold: float) -> ov.Node:
    total = ops.add(distances, _threshold(threshold), name=f"{HEAD}/total")
    return ops.divide(distances, total, name=f"{HEAD}/normalised")


def _score(heat: ov.Node) -> ov.Node:
    """The map's maximum, (1,); NaN if any of the map is."""
    axes = np.array([1, 2])
    highest = ops.reduce_max(heat, axes, name=f"{HEAD}/max")
    nothing = ops.multiply(ops.reduce_sum(heat, axes, name=f"{HEAD}/total_heat"), np.float32(0), name=f"{HEAD}/nothing")
    return ops.add(highest, nothing, name=f"{HEAD}/score")


def _threshold(value: float) -> ov.Node:
    if not (np.isfinite(value) and value > 0):
        raise ModelError(f"anomaly: the threshold must be a positive distance, got {value}")
    return ops.constant(np.full((1, 1, 1), value, np.float32), name=_THRESHOLD)


def _named(node: ov.Node, name: str) -> ov.Node:
    result = ops.result(node, name=name)
    result.output(0).get_tensor().set_names({name})
    return result
