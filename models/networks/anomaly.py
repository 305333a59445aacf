"""The anomaly model: how far a frame's features lie from those of good parts at the same place, inside one graph.

Before the backbone a frame is brought to one brightness and contrast, which are kept beside the features. Per position
of the 1/16 grid: channels of the backbone's stages 4 and 5, averaged over 3 x 3, minus the position's mean over good
frames, projected onto their main directions; brightness and contrast stand beside them. Then the distance of
Mahalanobis, by a covariance that 2 x 2 positions share. The distance d leaves the graph as s = d^2 / (d^2 + t^2), so
that 0.5 is the bundle's threshold t. Idea: PaDiM, Defard et al. 2021, https://arxiv.org/abs/2011.08785; the rest was
chosen by measuring (DECISIONS.md).

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
from models.networks.backbone import PIXEL_MEAN, features, image_input
from models.networks.weights import Weights
from models.spec import InputSpec

HEAD = "head"
STAGES = (4, 5)
STRIDE = 16
BLOCK = 2
_CONTRAST = 40.0
_DARK = 4.0
_PIXELS = np.array([1, 2, 3])
_THRESHOLD = f"{HEAD}/threshold"
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PartStatistics:
    """What good parts look like, by place; D directions of features and two of light make F = D + 2.

    Args:
        mean: (1, channels, h, w) float32: each position's mean feature.
        projection: (D, channels) float32: onto the directions in which good patches differ most.
        light: (2, 2) float32: the mean of brightness and of log contrast, and what each is divided by.
        whitening: (h / 2, w / 2, F, F) float32: what makes a good patch's deviation one of unit covariance, by block.
    """

    mean: Array
    projection: Array
    light: Array
    whitening: Array

    @property
    def fits(self) -> bool:
        """Whether the shapes belong together."""
        _, channels, height, width = self.mean.shape
        directions = len(self.projection)
        blocks = (height // BLOCK, width // BLOCK, directions + 2, directions + 2)
        even = height % BLOCK == 0 == width % BLOCK
        own = self.projection.shape == (directions, channels) and self.light.shape == (2, 2)
        return even and own and self.whitening.shape == blocks


def feature_graph(weights: Weights, spec: InputSpec) -> ov.Model:
    """The graph that fitting reads: image in, `features` (1, channels, h, w) and `light` (1, 2) out.

    Raises:
        ModelError: the input's sides are no multiples of 32.
    """
    if spec.height % (STRIDE * BLOCK) or spec.width % (STRIDE * BLOCK):
        raise ModelError(f"anomaly: an input of {spec.width}x{spec.height}, expected multiples of {STRIDE * BLOCK}")
    image = image_input(spec.height, spec.width, spec.name)
    even, light = _even_light(image)
    return ov.Model([_named(_pooled(weights, even), "features"), _named(light, "light")], [image], "features")


def anomaly_graph(backbone: ov.Model, good: PartStatistics, threshold: float = 1.0) -> ov.Model:
    """The whole model: image in, `score` (1,) and `map` (1, h, w) out, 0.5 at the threshold.

    Args:
        backbone: from `feature_graph`, FP32 or quantized; unchanged.
        good: from good frames, by the features of this very graph.
        threshold: distance at which a frame is rejected.

    Raises:
        ModelError: the statistics do not fit the features, or the threshold is not positive.
    """
    copy = backbone.clone()
    pooled, light = (copy.output(name).get_node().input_value(0) for name in ("features", "light"))
    shape = tuple(pooled.get_shape())
    if good.mean.shape != shape or not good.fits:
        shapes = good.mean.shape, good.projection.shape, good.light.shape, good.whitening.shape
        raise ModelError(f"anomaly: statistics of shapes {shapes} do not fit features {shape}: fit them by this graph")
    heat = _normalised(_distance(pooled, light, good), threshold)
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
    """The distance behind a normalised score: the reverse of `score_of`.

    Args:
        score: any shape, in [0, 1).
        threshold: the graph's.
    """
    exact = np.asarray(score, np.float64)
    return np.asarray(threshold * np.sqrt(exact / (1 - exact)), np.float64)


def score_of(distances: NDArray[np.floating], threshold: float) -> Array:
    """What leaves the graph for these distances, any shape: d^2 / (d^2 + t^2), in [0, 1)."""
    squares = np.square(np.asarray(distances, np.float64))
    return np.asarray(squares / (squares + threshold**2), np.float32)


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


def _even_light(image: ov.Node) -> tuple[ov.Node, ov.Node]:
    """The frame at one brightness and contrast, (1, H, W, 3) float32, and what they were: mean and log contrast."""
    pixels = ops.convert(image, np.float32, name=f"{HEAD}/pixels")
    mean = ops.reduce_mean(pixels, _PIXELS, keep_dims=True, name=f"{HEAD}/brightness")
    apart = ops.subtract(pixels, mean, name=f"{HEAD}/unlit")
    variance = ops.reduce_mean(ops.multiply(apart, apart, name=f"{HEAD}/squares"), _PIXELS, keep_dims=True)
    variance.set_friendly_name(f"{HEAD}/variance")
    contrast = ops.add(ops.sqrt(variance, name=f"{HEAD}/deviation"), np.float32(_DARK), name=f"{HEAD}/contrast")
    scale = ops.divide(np.float32(_CONTRAST), contrast, name=f"{HEAD}/gain")
    even = ops.add(ops.multiply(apart, scale, name=f"{HEAD}/scaled"), np.float32(PIXEL_MEAN), name=f"{HEAD}/even")
    both = ops.concat([mean, ops.log(contrast, name=f"{HEAD}/log")], 3, name=f"{HEAD}/both")
    return even, _reshaped(both, (1, 2), "light")


def _distance(pooled: ov.Output, light: ov.Output, good: PartStatistics) -> ov.Node:
    """Each position's distance from good parts, (1, h, w): of a whitened deviation the root of the mean square."""
    _, channels, height, width = good.mean.shape
    rows, columns, size, _ = good.whitening.shape
    apart = ops.subtract(pooled, good.mean, name=f"{HEAD}/apart")
    wide = _reshaped(apart, (channels, height * width), "wide")
    main = ops.matmul(good.projection, wide, False, False, name=f"{HEAD}/main")
    grid = _reshaped(main, (size - 2, height, width), "grid")
    everything = ops.concat([grid, _light_grid(light, good)], 0, name=f"{HEAD}/everything")
    split = _reshaped(everything, (size, rows, BLOCK, columns, BLOCK), "split")
    turned = ops.transpose(split, np.array([1, 3, 0, 2, 4]), name=f"{HEAD}/turned")
    blocks = _reshaped(turned, (rows * columns, size, BLOCK**2), "blocks")
    white = ops.matmul(good.whitening.reshape(-1, size, size), blocks, False, False, name=f"{HEAD}/white")
    squares = ops.multiply(white, white, name=f"{HEAD}/square")
    root = ops.sqrt(ops.reduce_mean(squares, np.array([1]), name=f"{HEAD}/mean"), name=f"{HEAD}/root")
    placed = _reshaped(root, (rows, columns, BLOCK, BLOCK), "placed")
    return _reshaped(ops.transpose(placed, np.array([0, 2, 1, 3]), name=f"{HEAD}/plane"), (1, height, width), "map")


def _light_grid(light: ov.Output, good: PartStatistics) -> ov.Node:
    """Brightness and contrast, centred and scaled, the same everywhere: (2, h, w)."""
    _, _, height, width = good.mean.shape
    centred = ops.subtract(light, good.light[:1], name=f"{HEAD}/light-apart")
    scaled = ops.divide(centred, good.light[1:], name=f"{HEAD}/light-scaled")
    column = _reshaped(scaled, (2, 1, 1), "light-column")
    return ops.multiply(column, np.ones((1, height, width), np.float32), name=f"{HEAD}/light-grid")


def _normalised(distances: ov.Node, threshold: float) -> ov.Node:
    own, limit = ops.multiply(distances, distances, name=f"{HEAD}/own"), _threshold(threshold)
    total = ops.add(own, ops.multiply(limit, limit, name=f"{HEAD}/limit"), name=f"{HEAD}/total")
    return ops.divide(own, total, name=f"{HEAD}/normalised")


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


def _reshaped(node: ov.Node, shape: tuple[int, ...], name: str) -> ov.Node:
    return ops.reshape(node, np.array(shape), special_zero=False, name=f"{HEAD}/{name}")


def _named(node: ov.Node, name: str) -> ov.Node:
    result = ops.result(node, name=name)
    result.output(0).get_tensor().set_names({name})
    return result
