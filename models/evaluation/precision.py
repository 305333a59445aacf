"""Average precision: COCO's per class, and DeepPCB's pooled over classes. Pure.

- `map50`: mean over classes of the average precision at IoU 0.5, precision read at 101 recalls as COCO does.
- `pooled_map33`: all detections of all images and classes in one ranking. A detection takes the free labelled box that
  it overlaps most, at IoU 0.33 or more, whatever its class, and uses it up; it is right if the class is right. One
  average precision: the area under the curve whose precision never rises with recall. Source: the measure published
  with DeepPCB (Tang et al. 2019, https://arxiv.org/abs/1902.06197).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset.records import Truth
from models.detections import Detections
from models.errors import ModelError
from models.evaluate import Estimate
from models.matching import match

MAP_IOU = 0.5
POOLED_IOU = 0.33
_RECALLS = np.linspace(0, 1, 101)
_RESAMPLES = 1000
_EPSILON = 1e-12
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Detections of many images, strongest first.

    Args:
        scores: (N,) descending.
        right: (N,) bool.
        image: (N,) which image each is on.
        truths: (images,) how many boxes each image holds.
    """

    scores: Floats
    right: NDArray[np.bool_]
    image: NDArray[np.int64]
    truths: NDArray[np.int64]

    def curve(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """Recall and precision after each detection, each image counted `weights` times."""
        each = np.ones(len(self.truths)) if weights is None else weights
        own = each[self.image]
        hits = np.cumsum(own * self.right)
        total = float((each * self.truths).sum())
        return hits / max(total, _EPSILON), hits / np.maximum(np.cumsum(own), _EPSILON)

    def average_precision(self, weights: Floats | None = None, *, area: bool = False) -> float:
        """By COCO's 101 recalls, or the area under the curve."""
        recall, precision = self.curve(weights)
        if not len(recall):
            return 0.0
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        if area:
            return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
        places = np.searchsorted(recall, _RECALLS, side="left")
        reached = places < len(envelope)
        return float(np.where(reached, envelope[np.minimum(places, len(envelope) - 1)], 0.0).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """One model's answers on a set, ready for any measure: a ranking per class that occurs, and the pooled one."""

    classes: dict[int, Ranking]
    pooled: Ranking

    def map50(self, weights: Floats | None = None) -> float:
        """Mean over the classes that occur; NaN where none does."""
        if not self.classes:
            return math.nan
        return float(np.mean([ranking.average_precision(weights) for ranking in self.classes.values()]))

    def pooled_map33(self, weights: Floats | None = None) -> float:
        """DeepPCB's measure; NaN without any labelled box."""
        if not self.pooled.truths.any():
            return math.nan
        return self.pooled.average_precision(weights, area=True)


def rank(truths: Sequence[Truth], found: Sequence[Detections]) -> Rankings:
    """Match every image once.

    Args:
        truths: of N images.
        found: on the same images, in the same order.

    Raises:
        ModelError: different numbers of images.
    """
    if len(truths) != len(found):
        raise ModelError(f"evaluate: {len(truths)} images with truth, detections on {len(found)}: give the same images")
    present = sorted({int(class_id) for truth in truths for class_id in truth.class_ids})
    by_class = [match(mine, truth, MAP_IOU, same_class=True) for mine, truth in zip(found, truths, strict=True)]
    classes = {class_id: _class_ranking(truths, found, by_class, class_id) for class_id in present}
    return Rankings(classes, _pooled(truths, found))


def map50_drop(before: Rankings, after: Rankings, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """map50 of `before` less that of `after` on the same images; interval by resampling images, both models together.

    Percentile bootstrap over images (Efron 1979): an image's boxes are not independent, so images are resampled.
    """
    images = len(before.pooled.truths)
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(images, size=images), minlength=images) for _ in range(_RESAMPLES))
    drops = [before.map50(weights) - after.map50(weights) for weights in (draw.astype(np.float64) for draw in draws)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drops, [tail, 1 - tail])
    return Estimate(before.map50() - after.map50(), float(low), float(high), confidence)


def _class_ranking(
    truths: Sequence[Truth], found: Sequence[Detections], taken: Sequence[NDArray[np.int64]], class_id: int
) -> Ranking:
    chosen = [mine.class_ids == class_id for mine in found]
    scores = [mine.scores[own] for mine, own in zip(found, chosen, strict=True)]
    right = [took[own] >= 0 for took, own in zip(taken, chosen, strict=True)]
    counts = np.array([np.count_nonzero(truth.class_ids == class_id) for truth in truths], np.int64)
    return _ranking(scores, right, counts)


def _pooled(truths: Sequence[Truth], found: Sequence[Detections]) -> Ranking:
    right = [_right(mine, truth) for mine, truth in zip(found, truths, strict=True)]
    counts = np.array([len(truth) for truth in truths], np.int64)
    return _ranking([mine.scores for mine in found], right, counts)


def _right(found: Detections, truth: Truth) -> NDArray[np.bool_]:
    taken = match(found, truth, POOLED_IOU, same_class=False)
    if not len(truth):
        return taken >= 0
    return np.asarray((taken >= 0) & (truth.class_ids[taken] == found.class_ids), np.bool_)


def _ranking(
    scores: Sequence[NDArray[np.float32]], right: Sequence[NDArray[np.bool_]], truths: NDArray[np.int64]
) -> Ranking:
    image = np.repeat(np.arange(len(scores)), [len(part) for part in scores])
    flat = np.concatenate(scores).astype(np.float64)
    order = np.argsort(-flat, kind="stable")
    return Ranking(flat[order], np.concatenate(right)[order], image[order], truths)
