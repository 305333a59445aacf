"""Average precision: hand-made cases, and agreement with COCO's own code on random answers."""

import math

import numpy as np
import pytest
from judged_kit import BOX, found, shifted, truth

from models.dataset.records import Truth
from models.detections import Detections
from models.errors import ModelError
from models.evaluation.coco import coco_precision
from models.evaluation.precision import map50_drop, rank
from models.matching import match, overlaps

pytestmark = pytest.mark.long


def random_set(seed: int, images: int = 40, classes: int = 3) -> tuple[list[Truth], list[Detections]]:
    rng = np.random.default_rng(seed)
    truths, answers = [], []
    for _ in range(images):
        corners = rng.uniform(0, 80, (rng.integers(0, 5), 2))
        boxes = np.hstack([corners, corners + rng.uniform(8, 30, corners.shape)]).astype(np.float32)
        ids = rng.integers(0, classes, len(boxes)).astype(np.int32)
        truths.append(Truth(boxes, ids))
        near = boxes + rng.normal(0, 3, boxes.shape).astype(np.float32)
        stray = rng.uniform(0, 80, (3, 2)).astype(np.float32)
        mine = np.vstack([near, np.hstack([stray, stray + 15])]).astype(np.float32)
        mine[:, 2:] = np.maximum(mine[:, 2:], mine[:, :2] + 1)
        own = np.concatenate([np.where(rng.random(len(ids)) < 0.8, ids, 0), rng.integers(0, classes, 3)])
        answers.append(Detections(mine, rng.random(len(mine)).astype(np.float32), own.astype(np.int32)))
    return truths, answers


@pytest.mark.parametrize("seed", range(5))
def test_map50_is_cocos_own(seed: int) -> None:
    truths, answers = random_set(seed)
    theirs = coco_precision(truths, answers, ("a", "b", "c"))
    assert rank(truths, answers).map50() == pytest.approx(theirs.map50, abs=1e-6)


CASES = [
    pytest.param([truth((BOX, 0))], [found((BOX, 0, 0.9))], 1.0, 1.0, id="found"),
    pytest.param([truth((BOX, 0))], [found()], 0.0, 0.0, id="nothing found"),
    pytest.param([truth((BOX, 0))], [found((shifted(9), 0, 0.9))], 0.0, 1.0, id="IoU 0.38: enough for pooled alone"),
    pytest.param(
        [truth((BOX, 0))], [found((BOX, 0, 0.9), (BOX, 0, 0.8))], 1.0, 1.0, id="a weaker double costs nothing"
    ),
    pytest.param(
        [truth((BOX, 0))],
        [found((BOX, 1, 0.9), (BOX, 0, 0.8))],
        1.0,
        0.0,
        id="pooled: a stronger wrong class uses the box up",
    ),
    pytest.param([truth((BOX, 0)), truth()], [found((BOX, 0, 0.5)), found((BOX, 0, 0.9))], 0.5, 0.5, id="false first"),
    pytest.param(
        [truth((BOX, 0), ([50, 50, 70, 70], 0))], [found((BOX, 0, 0.9))], 51 / 101, 0.5, id="half of them, 101 recalls"
    ),
]


@pytest.mark.parametrize(("truths", "answers", "map50", "pooled"), CASES)
def test_hand_made_cases(truths: list[Truth], answers: list[Detections], map50: float, pooled: float) -> None:
    rankings = rank(truths, answers)
    assert rankings.map50() == pytest.approx(map50, abs=1e-9)
    assert rankings.pooled_map33() == pytest.approx(pooled, abs=1e-9)


def test_a_class_that_does_not_occur_does_not_count() -> None:
    rankings = rank([truth((BOX, 2))], [found((BOX, 2, 0.9), (BOX, 0, 0.95))])
    assert list(rankings.classes) == [2]
    assert rankings.map50() == 1.0


def test_without_boxes_there_is_no_precision() -> None:
    rankings = rank([truth()], [found((BOX, 0, 0.9))])
    assert math.isnan(rankings.map50())
    assert math.isnan(rankings.pooled_map33())
    with pytest.raises(ModelError, match="1 images with truth, detections on 2"):
        rank([truth((BOX, 0))], [found(), found()])


def test_each_box_is_taken_once_by_the_strongest() -> None:
    taken = match(found((BOX, 0, 0.3), (shifted(2), 0, 0.9)), truth((BOX, 0)), 0.5, same_class=True)
    assert taken.tolist() == [-1, 0]


def test_overlap_of_known_boxes() -> None:
    table = overlaps(np.array([BOX], np.float32), np.array([BOX, shifted(10), shifted(40)], np.float32))
    assert table[0].tolist() == pytest.approx([1.0, 1 / 3, 0.0])


def test_resampling_images_weighs_them() -> None:
    truths, answers = random_set(3)
    doubled = rank([*truths, truths[0]], [*answers, answers[0]])
    weights = np.ones(len(truths))
    weights[0] = 2
    assert rank(truths, answers).map50(weights) == pytest.approx(doubled.map50(), abs=1e-9)
    assert rank(truths, answers).pooled_map33(weights) == pytest.approx(doubled.pooled_map33(), abs=1e-9)


def test_a_model_loses_nothing_against_itself() -> None:
    rankings = rank(*random_set(1))
    drop = map50_drop(rankings, rankings)
    assert (drop.value, drop.low, drop.high) == (0, 0, 0)


def test_the_intervals_of_a_drop_hold_the_true_one_as_often_as_they_say() -> None:
    """Two models of known quality on 60 fresh sets: about 95 % of the intervals hold the mean difference."""
    drops = []
    for seed in range(60):
        truths, answers = random_set(seed, 60, 1)
        worse = [Detections(a.boxes_xyxy[1:], a.scores[1:], a.class_ids[1:]) if len(a) > 3 else a for a in answers]
        drops.append(map50_drop(rank(truths, answers), rank(truths, worse), seed))
    true = float(np.mean([drop.value for drop in drops]))
    assert true > 0.05
    assert np.mean([drop.low <= true <= drop.high for drop in drops]) >= 0.85
