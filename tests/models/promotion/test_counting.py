"""What is counted of two judgements, and what the rules make of it, without a model: boxes, swaps, ties."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.dataset.records import Dataset, LabelledImage, Truth
from models.detections import Detections
from models.manifest import GateRecord
from models.promotion.counting import count
from models.promotion.holdout import Holdout
from models.promotion.judging import Judgement
from models.promotion.limits import PromotionLimits
from models.promotion.proof import ProofFigures, Reason
from models.promotion.rules import About, reasons
from models.spec import Precision

CLASSES = ("open", "short")
LIMITS = PromotionLimits(least_bad=1, least_good=1)
GATE = GateRecord(outcome="passed", reason="n=600", images=600)
ABOUT = About(Precision.INT8, GATE, (), CLASSES, CLASSES)
BOX = [[10, 10, 20, 20], [40, 40, 50, 50]]


def board(index: int, *, good: bool = False) -> LabelledImage:
    """One image with an open and a short on it, or with nothing."""
    truth = Truth.none() if good else Truth(np.array(BOX, np.float32), np.array([0, 1], np.int32))
    return LabelledImage(f"{index:03}.png", Path(f"{index:03}.png"), 64, 64, truth, not good, split="test")


def boards(bad: int, good: int) -> Holdout:
    images = tuple(board(index, good=index >= bad) for index in range(bad + good))
    return Holdout(
        Dataset(Path(), "coco", CLASSES, images),
        images,
        tuple("" if one.defective is False else "open" for one in images),
    )


def says(found: list[list[int]]) -> Judgement:
    """A detector that finds these of the two boxes, image by image."""
    each = tuple(
        Detections(
            np.array([BOX[i] for i in one], np.float32).reshape(-1, 4),
            np.full(len(one), 0.9, np.float32),
            np.array(one, np.int32),
        )
        for one in found
    )
    rejected = np.array([bool(one) for one in found], np.bool_)
    named = tuple(CLASSES[one[0]] if one else "" for one in found)
    return Judgement(rejected.astype(np.float32), rejected, np.zeros(len(found), np.bool_), named, (), each)


def unmet(found: ProofFigures, about: About = ABOUT, limits: PromotionLimits = LIMITS) -> set[str]:
    every: tuple[Reason, ...] = reasons(about, found, limits)
    return {reason.rule for reason in every if not reason.met}


def test_a_detector_that_forgot_a_class_is_refused_though_every_board_is_rejected() -> None:
    holdout = boards(30, 10)
    good = [[]] * 10
    found = count(holdout, says([[0]] * 30 + good), says([[0, 1]] * 30 + good))
    assert (found.escapes, found.boxes_by_class["short"].challenger_passed) == (0, 30)
    assert "boxes of short" in unmet(found)
    assert "boxes of short" in unmet(count(holdout, says([[0]] * 30 + good), None))


def test_a_box_more_or_less_is_chance_and_no_reason_to_refuse() -> None:
    holdout = boards(30, 10)
    good: list[list[int]] = [[]] * 10
    before = says([[0, 1]] * 29 + [[0]] + [[0, 1], *good[1:]])
    found = count(holdout, says([[0, 1]] * 27 + [[0]] * 3 + good), before)
    assert found.boxes_by_class["short"].rise == 2
    assert unmet(found) == set()


def test_one_image_more_that_is_rejected_is_chance_two_are_a_rise() -> None:
    holdout = boards(10, 20)
    caught: list[list[int]] = [[0, 1]] * 10
    before = says([*caught[1:], [], *[[]] * 20])
    one = count(holdout, says([*caught, [0], *[[]] * 19]), before)
    two = count(holdout, says([*caught, [0], [0], *[[]] * 18]), before)
    limits = replace(LIMITS, overkill_most=0.2)
    assert "overkill rises little" not in unmet(one, limits=limits)
    assert "overkill rises little" in unmet(two, limits=limits)


@pytest.mark.parametrize("learned", [None, ("a.png",)])
def test_what_it_learned_from_must_be_known_and_not_the_hold_out(learned: tuple[str, ...] | None) -> None:
    found = count(boards(5, 5), says([[0, 1]] * 5 + [[]] * 5), None)
    assert unmet(found, replace(ABOUT, learned=learned)) == {"hold-out unseen"}


def test_a_new_class_is_a_reason_to_change_where_nothing_else_is_better() -> None:
    same = says([[0, 1]] * 5 + [[]] * 5)
    found = count(boards(5, 5), same, same)
    assert unmet(found) == {"reason to change"}
    assert unmet(found, replace(ABOUT, new=("short",))) == set()
    assert unmet(found, replace(ABOUT, new=("short",), twin=True)) == {"reason to change"}


def test_undecided_is_rejected_so_it_misses_no_box_and_costs_overkill() -> None:
    nothing = says([[]] * 10)
    shut = replace(nothing, rejected=np.ones(10, np.bool_), undecided=np.ones(10, np.bool_))
    found = count(boards(5, 5), shut, None)
    assert (found.escapes, found.overkill, found.undecided) == (0, 5, 10)
    assert found.boxes_by_class["open"].challenger_passed == 0
    assert "overkill" in unmet(found)
