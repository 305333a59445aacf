"""What a threshold does to parts: escapes, overkill, missed boxes and confusion. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset.records import Truth
from models.detections import Detections
from models.evaluate import Estimate, clopper_pearson
from models.evaluation.precision import POOLED_IOU, Ranking
from models.matching import NONE, match

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Operating:
    """At one threshold.

    Args:
        threshold: scores from here on count.
        escape: share of defective images on which nothing counts, with its interval; None without defective images.
        overkill: share of good images on which something counts; None without good images.
        missed: share of labelled boxes that no detection found, whatever its class.
        missed_by_class: the same by class id.
        false: detections on nothing, in all images.
        confusion: (classes + 1, classes + 1) int64: rows labelled, columns detected; the last is "nothing".
    """

    threshold: float
    escape: Estimate | None
    overkill: Estimate | None
    missed: Estimate
    missed_by_class: dict[int, Estimate]
    false: int
    confusion: NDArray[np.int64]


def operate(
    truths: Sequence[Truth],
    defective: Sequence[bool],
    found: Sequence[Detections],
    classes: int,
    threshold: float = THRESHOLD,
    undecided: Sequence[int] = (),
) -> Operating:
    """Count.

    Args:
        truths: of N images.
        defective: whether each has something wrong with it, labelled with a box or not.
        found: on the same images.
        classes: how many there are.
        threshold: scores from here on count.
        undecided: images that the model could not look at; the line treats them as rejects.
    """
    counted = [above(mine, threshold) for mine in found]
    table = np.zeros((classes + 1, classes + 1), np.int64)
    for mine, truth in zip(counted, truths, strict=True):
        _tally(table, mine, truth)
    rejected = rejects(found, undecided, threshold)
    bad = np.array(defective, bool)
    by_class = {
        class_id: _rate(int(row[-1]), int(row.sum())) for class_id, row in enumerate(table[:-1]) if row.sum() > 0
    }
    return Operating(
        threshold,
        _rate(int(np.count_nonzero(~rejected & bad)), int(bad.sum())) if bad.any() else None,
        _rate(int(np.count_nonzero(rejected & ~bad)), int((~bad).sum())) if (~bad).any() else None,
        _rate(int(table[:-1, -1].sum()), int(table[:-1].sum())),
        by_class,
        int(table[-1].sum()),
        table,
    )


def above(found: Detections, threshold: float) -> Detections:
    """Those that count."""
    keep = found.scores >= threshold
    return Detections(found.boxes_xyxy[keep], found.scores[keep], found.class_ids[keep])


def rejects(
    found: Sequence[Detections], undecided: Sequence[int] = (), threshold: float = THRESHOLD
) -> NDArray[np.bool_]:
    """(N,) which images the line rejects: something counts on them, or the model could not look at them."""
    rejected = np.array([bool((mine.scores >= threshold).any()) for mine in found], bool)
    rejected[list(undecided)] = True
    return rejected


def boxes_found(
    truths: Sequence[Truth], found: Sequence[Detections], threshold: float = THRESHOLD
) -> NDArray[np.bool_]:
    """(boxes,) which labelled boxes of all images something counts on, whatever its class; image by image."""
    each = []
    for mine, truth in zip(found, truths, strict=True):
        seen = np.zeros(len(truth), bool)
        taken = match(above(mine, threshold), truth, POOLED_IOU, same_class=False)
        seen[taken[taken != NONE]] = True
        each.append(seen)
    return np.concatenate(each)


def without_false(
    truths: Sequence[Truth], found: Sequence[Detections], threshold: float = THRESHOLD
) -> NDArray[np.bool_]:
    """(N,) on which images nothing counts that is on no labelled box, whatever its class."""
    counted = (
        match(above(mine, threshold), truth, POOLED_IOU, same_class=False)
        for mine, truth in zip(found, truths, strict=True)
    )
    return np.array([bool((taken != NONE).all()) for taken in counted], bool)


def best_threshold(pooled: Ranking) -> float:
    """The score at which precision and recall together (F1) are best: halfway to the next weaker detection.

    Where nothing was right, 0.5.
    """
    recall, precision = pooled.curve()
    sums = recall + precision
    if not len(sums) or not sums.max() > 0:
        return THRESHOLD
    best = int(np.argmax(2 * recall * precision / np.maximum(sums, np.finfo(float).tiny)))
    weaker = pooled.scores[best + 1] if best + 1 < len(pooled.scores) else pooled.scores[best] / 2
    return float((pooled.scores[best] + weaker) / 2)


def _tally(table: NDArray[np.int64], found: Detections, truth: Truth) -> None:
    taken = match(found, truth, POOLED_IOU, same_class=False)
    for index, box in enumerate(taken):
        row = -1 if box == NONE else truth.class_ids[box]
        table[row, found.class_ids[index]] += 1
    unseen = np.setdiff1d(np.arange(len(truth)), taken)
    np.add.at(table[:, -1], truth.class_ids[unseen], 1)


def _rate(hits: int, count: int) -> Estimate:
    return clopper_pearson(hits, count)
