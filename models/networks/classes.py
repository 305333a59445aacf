"""A classifier's head as openvino operations: maps of a backbone in, scores, probabilities and a map per class out.

Each taken map is pooled by mean, maximum and standard deviation; the logit of defect k against good is linear in what
was pooled. So it is a sum over positions, and that sum is the map: a position's share of a mean is its own value, of a
maximum all of it where it lies, of a standard deviation its share of the squares. Shares are counted from a training
image's usual value (`centre`), so that they add up to what sets this image apart: logit minus that of a usual image.
The negative is cut, and the rest scaled so that its highest value is the score; where nothing speaks for the class the
whole image carries it, so that no score is without a place.

With z the logits, good's being 0: `probabilities` = softmax(0, z), calibrated because calibration is folded into the
weights. d = log sum exp(z) are the log odds of any defect, t those at the threshold: the likeliest class has score
sigmoid(d - t), any other that times its probability over the likeliest's. So the highest score passes 0.5 exactly
where the probability of a defect passes the threshold. Damage shows: a NaN feature is part of every mean, so of all z.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from models.classifying import MAP, PROBABILITIES, SCORES
from models.errors import ModelError

HEAD = "head"
POOLS = ("mean", "max", "std")
_PLANE = np.array([2, 3])
_CLASSES = np.array([1])
_TINY = 1e-6
_LOGITS = f"{HEAD}/logits"
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """What turns pooled features into logits.

    Args:
        weights: (K, F) float32, by defect class; F counts `POOLS` of every map, in the order of the maps.
        bias: (K,) float32.
        centre: (F,) float32: the usual value of each feature, from which the map counts.
        threshold: log odds of a defect that leave the graph as 0.5.
    """

    weights: Array
    bias: Array
    centre: Array
    threshold: float = 0.0

    def __post_init__(self) -> None:
        classes, count = self.weights.shape
        if self.bias.shape != (classes,) or self.centre.shape != (count,):
            raise ModelError(
                f"classifier: weights {self.weights.shape} want bias ({classes},) and centre ({count},), got "
                f"{self.bias.shape} and {self.centre.shape}"
            )
        if not all(np.isfinite(part).all() for part in (self.weights, self.bias, self.centre, self.threshold)):
            raise ModelError("classifier: the head holds a value that is not finite: fit it again")


def with_adjusted_logits(model: ov.Model, scale: float, shifts: Array) -> ov.Model:
    """A copy of a classifier graph, FP32 or quantized, whose logits are `scale` times its own plus `shifts` (K,).

    Raises:
        ModelError: the graph has no such logits, or an adjustment is not finite.
    """
    copy = model.clone()
    nodes = [node for node in copy.get_ops() if node.get_friendly_name() == _LOGITS]
    if len(nodes) != 1 or not (np.isfinite(shifts).all() and np.isfinite(scale)):
        raise ModelError(f"classifier: cannot adjust {len(nodes)} logits by {scale} and {shifts}, expected one, finite")
    targets = nodes[0].output(0).get_target_inputs()
    nodes[0].set_friendly_name(f"{HEAD}/own-logits")
    wide = ops.multiply(nodes[0], np.float32(scale), name=f"{HEAD}/scaled-logits")
    adjusted = ops.add(wide, shifts[None].astype(np.float32), name=_LOGITS)
    for target in targets:
        target.replace_source_output(adjusted.output(0))
    copy.validate_nodes_and_infer_types()
    return copy


class _Pools(NamedTuple):
    """Of one map (1, C, h, w): its mean, maximum and standard deviation, (1, C, 1, 1), and squares about the mean."""

    map: ov.Node
    mean: ov.Node
    highest: ov.Node
    deviation: ov.Node
    squares: ov.Node


def pooled(maps: Sequence[ov.Node]) -> ov.Node:
    """(1, F): mean, maximum and standard deviation of every channel of each map (1, C, h, w)."""
    return _flat([_pools(node, index) for index, node in enumerate(maps)])


def class_outputs(maps: Sequence[ov.Node], head: LinearHead) -> list[ov.Node]:
    """The graph's results `scores` (1, K), `map` (1, K, h, w) on the first map's grid and `probabilities` (1, K + 1).

    Raises:
        ModelError: the head was made for other maps.
    """
    count = len(POOLS) * sum(int(node.get_output_shape(0)[1]) for node in maps)
    if head.weights.shape[1] != count:
        raise ModelError(f"classifier: a head of {head.weights.shape[1]} features does not fit maps that give {count}")
    pools = [_pools(node, index) for index, node in enumerate(maps)]
    product = ops.matmul(_flat(pools), head.weights, False, True, name=f"{HEAD}/product")
    logits = ops.add(product, head.bias[None], name=_LOGITS)
    scores = _scores(logits, head.threshold)
    results = {SCORES: scores, MAP: _heat(_contributions(pools, head), scores), PROBABILITIES: _probabilities(logits)}
    return [_named(node, name) for name, node in results.items()]


def contributions(maps: Sequence[ov.Node], head: LinearHead) -> ov.Node:
    """(1, K, h, w) on the first map's grid: what each position adds to each logit, over a usual image's."""
    return _contributions([_pools(node, index) for index, node in enumerate(maps)], head)


def _contributions(pools: Sequence[_Pools], head: LinearHead) -> ov.Node:
    size = np.array(pools[0].map.get_output_shape(0)[2:], np.int64)
    planes, start = [], 0
    for index, own in enumerate(pools):
        stop = start + len(POOLS) * int(own.map.get_output_shape(0)[1])
        planes.append(_spread(_shares(own, head, slice(start, stop), index), size, index))
        start = stop
    total = planes[0]
    for index, plane in enumerate(planes[1:]):
        total = ops.add(total, plane, name=f"{HEAD}/total{index}")
    return total


def _pools(node: ov.Node, index: int) -> _Pools:
    mean = ops.reduce_mean(node, _PLANE, keep_dims=True, name=f"{HEAD}/mean{index}")
    highest = ops.reduce_max(node, _PLANE, keep_dims=True, name=f"{HEAD}/max{index}")
    apart = ops.subtract(node, mean, name=f"{HEAD}/apart{index}")
    squares = ops.multiply(apart, apart, name=f"{HEAD}/squares{index}")
    variance = ops.reduce_mean(squares, _PLANE, keep_dims=True, name=f"{HEAD}/variance{index}")
    return _Pools(node, mean, highest, ops.sqrt(variance, name=f"{HEAD}/std{index}"), squares)


def _flat(pools: Sequence[_Pools]) -> ov.Node:
    parts = [part for own in pools for part in (own.mean, own.highest, own.deviation)]
    rows = [_reshaped(part, (1, -1), f"row{index}") for index, part in enumerate(parts)]
    return ops.concat(rows, 1, name=f"{HEAD}/pooled")


def _shares(pools: _Pools, head: LinearHead, part: slice, index: int) -> ov.Node:
    """(1, K, h, w) of one map: its positions' shares of mean, maximum and deviation, weighted by class."""
    centres = [centre.reshape(1, -1, 1, 1) for centre in np.split(head.centre[part], len(POOLS))]
    cells = np.float32(np.prod(pools.map.get_output_shape(0)[2:]))
    over = ops.subtract(pools.map, centres[0], name=f"{HEAD}/over{index}")
    own = ops.divide(over, cells, name=f"{HEAD}/own{index}")
    there = ops.equal(pools.map, pools.highest, name=f"{HEAD}/there{index}")
    where = _share(ops.convert(there, np.float32, name=f"{HEAD}/peaks{index}"), f"where{index}")
    height = ops.subtract(pools.highest, centres[1], name=f"{HEAD}/height{index}")
    peak = ops.multiply(where, height, name=f"{HEAD}/peak{index}")
    spread = ops.multiply(_share(pools.squares, f"part{index}"), pools.deviation, name=f"{HEAD}/spread{index}")
    uneven = ops.subtract(spread, centres[2] / cells, name=f"{HEAD}/uneven{index}")
    return _weighted(ops.concat([own, peak, uneven], 1, name=f"{HEAD}/shares{index}"), head.weights[:, part], index)


def _share(node: ov.Node, name: str) -> ov.Node:
    """Each position's part of the plane's sum, (1, C, h, w)."""
    total = ops.reduce_sum(node, _PLANE, keep_dims=True, name=f"{HEAD}/{name}-sum")
    some = ops.maximum(total, np.float32(_TINY), name=f"{HEAD}/{name}-some")
    return ops.divide(node, some, name=f"{HEAD}/{name}")


def _weighted(node: ov.Node, weights: Array, index: int) -> ov.Node:
    """A matrix product over channels, (1, F, h, w) to (1, K, h, w)."""
    _, channels, height, width = (int(side) for side in node.get_output_shape(0))
    flat = _reshaped(node, (channels, height * width), f"channels{index}")
    product = ops.matmul(weights, flat, False, False, name=f"{HEAD}/weighted{index}")
    return _reshaped(product, (1, len(weights), height, width), f"plane{index}")


def _spread(plane: ov.Node, size: NDArray[np.int64], index: int) -> ov.Node:
    """The plane repeated onto a finer grid, its values divided by how often, so that the sum stays."""
    own = np.array(plane.get_output_shape(0)[2:], np.int64)
    if (own == size).all():
        return plane
    wide = ops.interpolate(
        plane,
        size,
        "nearest",
        "sizes",
        axes=_PLANE,
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        name=f"{HEAD}/wide{index}",
    )
    return ops.multiply(wide, np.float32(own.prod() / size.prod()), name=f"{HEAD}/thin{index}")


def _scores(logits: ov.Node, threshold: float) -> ov.Node:
    highest = ops.reduce_max(logits, _CLASSES, keep_dims=True, name=f"{HEAD}/highest")
    beside = ops.exp(ops.subtract(logits, highest, name=f"{HEAD}/below"), name=f"{HEAD}/beside")
    total = ops.log(ops.reduce_sum(beside, _CLASSES, keep_dims=True, name=f"{HEAD}/sum"), name=f"{HEAD}/log")
    odds = ops.add(total, highest, name=f"{HEAD}/odds")
    over = ops.subtract(odds, np.float32(threshold), name=f"{HEAD}/over")
    return ops.multiply(ops.sigmoid(over, name=f"{HEAD}/surest"), beside, name=f"{HEAD}/scores")


def _probabilities(logits: ov.Node) -> ov.Node:
    good = ops.constant(np.zeros((1, 1), np.float32))
    return ops.softmax(ops.concat([good, logits], 1, name=f"{HEAD}/all"), 1, name=f"{HEAD}/probabilities")


def _heat(shares: ov.Node, scores: ov.Node) -> ov.Node:
    """Shares, averaged over 3 x 3, their negative cut, scaled so that the highest is the score. NaN if the score is."""
    smooth = ops.avg_pool(shares, [1, 1], [1, 1], [1, 1], [3, 3], exclude_pad=True, name=f"{HEAD}/smooth")
    raised = ops.add(ops.relu(smooth, name=f"{HEAD}/positive"), np.float32(_TINY), name=f"{HEAD}/raised")
    most = ops.reduce_max(raised, _PLANE, keep_dims=True, name=f"{HEAD}/most")
    ratio = ops.divide(raised, most, name=f"{HEAD}/ratio")
    classes = int(shares.get_output_shape(0)[1])
    return ops.multiply(ratio, _reshaped(scores, (1, classes, 1, 1), "tall"), name=f"{HEAD}/heat")


def _reshaped(node: ov.Node, shape: tuple[int, ...], name: str) -> ov.Node:
    return ops.reshape(node, np.array(shape), special_zero=False, name=f"{HEAD}/{name}")


def _named(node: ov.Node, name: str) -> ov.Node:
    result = ops.result(node, name=name)
    result.output(0).get_tensor().set_names({name})
    return result
