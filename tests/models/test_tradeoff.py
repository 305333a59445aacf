"""Escapes against overkill at the threshold in use and at every other."""

import json

import numpy as np
import pytest

from models.errors import RequestError
from models.tradeoff import Defects, Point, TradeOff, at_threshold, in_words
from models.tradeoff_page import section

GOOD = np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32)


def trade(scores: list[float], kinds: list[str] | None = None, good: np.ndarray = GOOD) -> TradeOff:
    names = [f"{index}.png" for index in range(len(scores))]
    return at_threshold(names, kinds or [""] * len(scores), np.array(scores, np.float32), good)


def test_a_part_is_rejected_from_the_threshold_on() -> None:
    found = trade([0.5, 0.49, 0.9, 0.2])
    assert found.point == Point(0.5, 0.5, 0.2)


def test_none_of_five_missed_may_still_be_45_percent() -> None:
    found = trade([0.9] * 5)
    assert found.escape.value == 0
    assert "Too few defects to claim an escape rate: 0 of 5" in found.claim
    assert "up to 45%" in found.claim
    assert "up to 45%" in section(found)


def test_twenty_defects_are_a_claim() -> None:
    assert trade([0.9] * 19 + [0.1]).claim == (
        "1 of 20 labelled defective parts pass: an escape rate of 5.0%, at most 21.6% (95% sure)."
    )


def test_without_labels_the_page_says_that_escapes_are_not_known() -> None:
    assert "Escapes are NOT known" in section(None)


def test_rates_are_told_by_class_where_folders_name_them() -> None:
    found = trade([0.9, 0.1, 0.9], ["dent", "dent", "scratch"])
    assert {kind: rate.value for kind, rate in found.escape_by_kind.items()} == {"dent": 0.5, "scratch": 0.0}
    assert trade([0.9]).escape_by_kind == {}
    page = section(found)
    assert "dent" in page
    assert "1 of 2" in page


def test_the_curve_holds_every_threshold_that_makes_a_difference() -> None:
    random = np.random.default_rng(0)
    bad, good = random.normal(1, 1, 60).round(1), random.normal(0, 1, 80).round(1)
    found = trade(list(bad), good=good.astype(np.float32))
    curve = found.curve()
    assert (curve[0].escape, curve[0].overkill) == (0, 1)
    assert (curve[-1].escape, curve[-1].overkill) == (1, 0)
    for point in curve:
        assert point.escape == pytest.approx((bad.astype(np.float32) < np.float32(point.threshold)).mean())
        assert point.overkill == pytest.approx((good.astype(np.float32) >= np.float32(point.threshold)).mean())
    assert len(curve) == len(np.unique(np.concatenate([bad, good]))) + 1


def test_other_points_say_what_they_bring_and_cost() -> None:
    found = trade([0.35, 0.45, 0.6, 0.9])
    half, none, strict = found.others()
    assert (half.escape, half.overkill) == (0.25, 0.2)
    assert half.threshold == pytest.approx(0.45)
    assert (none.escape, none.overkill) == (0.0, 0.4)
    assert (strict.escape, strict.overkill) == (0.5, 0.0)
    assert in_words(found.point, none) == "escape 50.0% -> 0.0% would cost overkill 20.0% -> 40.0%"
    assert in_words(found.point, strict) == "overkill 20.0% -> 0.0% at escape 50.0% -> 50.0%"


def test_what_could_not_be_judged_is_rejected_whatever_the_threshold() -> None:
    nan = float("nan")
    defects = Defects(("a", "b"), ("", ""), np.array([nan, 0.2], np.float32), np.array([False, True]))
    found = TradeOff(defects, np.array([0.1, nan], np.float32), np.array([False, True]))
    assert found.at(1.0) == Point(1.0, 0.5, 0.5)
    assert found.curve()[-1].overkill == 0.5
    assert json.loads(json.dumps(found.as_json()))["parts"][0]["score"] is None


def test_a_recipe_has_the_last_word_on_the_point() -> None:
    """A defect too small for the recipe passes although its score is high."""
    defects = Defects(("a", "b"), ("", ""), np.array([0.9, 0.9], np.float32), np.array([True, False]))
    assert TradeOff(defects, GOOD, GOOD >= 0.5).point.escape == 0.5


@pytest.mark.parametrize(("bad", "good"), [([], GOOD), ([0.5], GOOD[:0])], ids=["no-defect", "no-good"])
def test_nothing_to_weigh_is_refused(bad: list[float], good: np.ndarray) -> None:
    with pytest.raises(RequestError, match="trade-off"):
        trade(bad, good=good)
