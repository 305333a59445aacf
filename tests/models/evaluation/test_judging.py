"""Escape, overkill, confusion, thresholds, champion against challenger, the gate with labels, and the page."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from judged_kit import BOX, exam, found, shifted, truth, unseen
from pictures_kit import painted_dataset

from models.detections import Detections
from models.errors import GateError
from models.evaluate import Estimate
from models.evaluation.coco import coco_precision
from models.evaluation.compare import Answer, Side, compare
from models.evaluation.exam import exam_of
from models.evaluation.operating import best_threshold, operate, without_false
from models.evaluation.precision import rank
from models.evaluation.report import PageFacts, write_page
from models.evaluation.result import evaluate
from models.gate import Outcome
from models.labelled_gate import Measured, Turned, judge_labelled, turned

TRUTHS = [truth((BOX, 0)), truth((BOX, 1)), truth((BOX, 0)), truth(), truth()]
FOUND = [
    found((BOX, 0, 0.9)),
    found((BOX, 0, 0.8)),
    found((BOX, 0, 0.4)),
    found((BOX, 1, 0.7)),
    found((BOX, 1, 0.3)),
]
BAD = [True, True, True, False, False]


def test_escapes_overkill_and_misses_are_counted_at_the_threshold() -> None:
    at = operate(TRUTHS, BAD, FOUND, 2)
    assert at.escape is not None
    assert at.overkill is not None
    assert (at.escape.value, at.overkill.value, at.missed.value) == (1 / 3, 0.5, 1 / 3)
    assert at.false == 1
    assert at.confusion.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert {class_id: rate.value for class_id, rate in at.missed_by_class.items()} == {0: 0.5, 1: 0.0}
    assert at.escape.low < 1 / 3 < at.escape.high


def test_a_lower_threshold_trades_escapes_for_overkill() -> None:
    at = operate(TRUTHS, BAD, FOUND, 2, 0.25)
    assert at.escape is not None
    assert at.overkill is not None
    assert (at.escape.value, at.overkill.value) == (0.0, 1.0)


def test_a_defective_image_without_boxes_can_escape_too() -> None:
    at = operate([truth()], [True], [found()], 1)
    assert at.escape is not None
    assert at.escape.value == 1.0
    assert at.overkill is None


def test_the_best_threshold_lies_between_the_last_right_one_and_the_first_wrong_one() -> None:
    answers = [found((BOX, 0, 0.9)), found((BOX, 0, 0.6)), found((shifted(40), 0, 0.2))]
    rankings = rank([truth((BOX, 0)), truth((BOX, 0)), truth()], answers)
    assert best_threshold(rankings.pooled) == pytest.approx(0.4)
    assert best_threshold(rank([truth((BOX, 0))], [found()]).pooled) == 0.5
    assert best_threshold(rank([truth((BOX, 0))], [found((BOX, 0, 0.6))]).pooled) == pytest.approx(0.45)


def fleet(hits: int, count: int, *, score: float = 0.9) -> list[Detections]:
    """Answers on `count` images with one box each, of which the first `hits` are found."""
    return [found((BOX, 0, score)) if index < hits else found() for index in range(count)]


COMPARED = [
    pytest.param(60, 60, Answer.NO_DIFFERENCE, id="the same"),
    pytest.param(60, 61, Answer.NO_DIFFERENCE, id="one more: chance"),
    pytest.param(60, 90, Answer.BETTER, id="thirty fewer escapes"),
    pytest.param(90, 60, Answer.WORSE, id="thirty more escapes"),
]


@pytest.mark.parametrize(("champion", "challenger", "answer"), COMPARED)
def test_only_what_is_more_than_chance_counts(champion: int, challenger: int, answer: Answer) -> None:
    sides = Side(fleet(champion, 100)), Side(fleet(challenger, 100))
    result = compare(unseen([truth((BOX, 0))] * 100), *sides)
    assert result.answer is answer
    assert result.escapes is not None
    assert result.escapes.only_champion == max(0, challenger - champion)
    assert result.overkill is None


def test_fewer_escapes_bought_with_overkill_are_worse() -> None:
    truths = [truth((BOX, 0))] * 50 + [truth()] * 50
    champion = [found((BOX, 0, 0.9))] * 50 + [found()] * 50
    challenger = [found((BOX, 0, 0.9))] * 100
    sides = Side(champion), Side(challenger)
    assert compare(unseen(truths), *sides).answer is Answer.WORSE


def test_places_that_move_make_a_challenger_worse_though_no_part_escapes() -> None:
    truths = [truth((BOX, 0))] * 60
    moved = [found((shifted(14), 0, 0.9))] * 60
    result = compare(unseen(truths), Side(fleet(60, 60)), Side(moved))
    assert result.escapes is not None
    assert result.escapes.only_challenger == 0
    assert result.map50_gain is not None
    assert result.map50_gain.high < 0
    assert result.answer is Answer.WORSE


def test_four_more_escapes_are_still_chance() -> None:
    """Four to nothing has p = 0.125; a level of 0.4 would call it proven."""
    truths = [truth((BOX, 0))] * 40 + [truth((BOX, 1))] * 40
    other = [found((BOX, 1, 0.9))] * 40
    weak = fleet(36, 40) + other
    for index in range(36, 40):
        weak[index] = found((BOX, 0, 0.45))
    result = compare(unseen(truths), Side(fleet(40, 40) + other), Side(weak))
    assert result.escapes is not None
    assert (result.escapes.only_challenger, result.answer) == (4, Answer.NO_DIFFERENCE)


def test_what_is_undecided_is_rejected() -> None:
    """By the line, and so in every figure: a bad part cannot escape that way, a good one is overkill."""
    at = operate([truth((BOX, 0)), truth()], [True, False], [found(), found()], 1, undecided=[0, 1])
    assert at.escape is not None
    assert at.overkill is not None
    assert (at.escape.value, at.overkill.value) == (0.0, 1.0)
    truths = [truth((BOX, 0))] * 40 + [truth()] * 40
    plain = fleet(40, 80)
    blind = compare(unseen(truths), Side(plain), Side(fleet(30, 80), undecided=list(range(30, 40))))
    assert blind.escapes is not None
    assert blind.escapes.only_challenger == 0
    stopped = compare(unseen(truths), Side(plain), Side(plain, undecided=list(range(40, 80))))
    assert stopped.overkill is not None
    assert (stopped.overkill.only_challenger, stopped.answer) == (40, Answer.WORSE)


def test_golden_references_count_for_overkill_and_not_for_precision() -> None:
    """Published figures are over a dataset's images; what is found on a golden reference is overkill all the same."""
    truths, answers = [truth((BOX, 0))] * 4 + [truth()] * 4, fleet(4, 4) + [found((BOX, 0, 0.95))] * 4
    golden = [False] * 4 + [True] * 4
    plain, marked = (evaluate(unseen(truths, golden=marks), answers) for marks in (None, golden))
    assert plain.map50 < 0.9
    assert (marked.map50, marked.pooled_map33, marked.map50_95) == pytest.approx((1.0, 1.0, 1.0))
    for result in (plain, marked):
        assert result.operating.overkill is not None
        assert (result.operating.overkill.value, result.operating.false) == (1.0, 4)
    assert marked.as_json()["golden_images"] == 4
    part = unseen(truths, golden=golden).part([7, 0])
    assert (part.golden, part.images_own) == ((True, False), [1])


def test_many_images_with_hardly_a_box_prove_nothing() -> None:
    assert judge_labelled(measured(0.0, 0.0, images=600, boxes=5)).outcome is Outcome.NOT_PROVEN
    assert judge_labelled(measured(0.0, 0.0, images=600, boxes=100)).outcome is Outcome.PASSED


def test_a_golden_reference_that_was_learned_from_is_no_held_out_good_frame(tmp_path: Path) -> None:
    """The usual station has one reference for all images."""
    pairs = painted_dataset(tmp_path, 6, reference=True)
    shared = pairs.images[0].reference
    images = tuple(dataclasses.replace(image, reference=shared) for image in pairs.images[:4])
    train, test = (dataclasses.replace(pairs, images=part) for part in (images[:2], (*images[2:], *pairs.images[4:])))
    assert sum(exam_of(test, compares=False).golden) == 3
    assert sum(exam_of(test, compares=False, learned=train).golden) == 2


def test_without_a_label_there_is_no_gain_to_speak_of() -> None:
    result = compare(unseen([truth()] * 4), Side([found()] * 4), Side([found()] * 4))
    assert result.map50_gain is None
    assert json.loads(json.dumps(result.as_json(), allow_nan=False))["map50_gain"] is None


def test_a_false_detection_is_seen_though_a_labelled_box_is_found_too() -> None:
    truths = [truth((BOX, 0)), truth((BOX, 0)), truth()]
    answers = [found((BOX, 1, 0.9)), found((BOX, 0, 0.9), (shifted(40), 0, 0.6)), found((BOX, 0, 0.4))]
    assert without_false(truths, answers).tolist() == [True, False, True]


def measured(drop: float, low: float, images: int = 600, boxes: int = 5000) -> Measured:
    return Measured("map50", 0.9, 0.9 - drop, Estimate(drop, low, 2 * drop - low, 0.95), images, boxes)


GATE = [
    pytest.param(measured(0.001, -0.001), Outcome.PASSED, id="inside the budget"),
    pytest.param(measured(-0.01, -0.02), Outcome.PASSED, id="a gain"),
    pytest.param(measured(0.003, -0.001), Outcome.FAILED, id="over the budget, enough images"),
    pytest.param(measured(0.003, -0.001, 170, 1100), Outcome.FAILED, id="over the budget, enough boxes"),
    pytest.param(measured(0.003, -0.001, 100, 300), Outcome.NOT_PROVEN, id="over the budget, too few to say"),
    pytest.param(measured(0.003, 0.001, 100, 300), Outcome.FAILED, id="over the budget beyond doubt"),
    pytest.param(measured(0.03, -0.001, 100, 300), Outcome.FAILED, id="ten budgets"),
    pytest.param(measured(0.0, -0.001, 100, 300), Outcome.NOT_PROVEN, id="nothing lost, too few to say"),
]


@pytest.mark.parametrize(("found_out", "outcome"), GATE)
def test_the_gate(found_out: Measured, outcome: Outcome) -> None:
    result = judge_labelled(found_out)
    assert result.outcome is outcome
    assert result.allows == (outcome is not Outcome.FAILED)
    assert str(found_out.images) in result.reason


TURNED = [
    pytest.param(Turned("boxes", 30, 28, 5000), True, id="as many won as lost"),
    pytest.param(Turned("boxes", 12, 1, 5000), False, id="lost beyond chance"),
    pytest.param(Turned("defective images", 1, 0, 5), True, id="one of few is chance"),
    pytest.param(Turned("defective images", 2, 0, 5), False, id="two of five"),
    pytest.param(Turned("good images", 5, 0, 400), True, id="five to nothing, p = 0.06"),
    pytest.param(Turned("good images", 6, 0, 400), False, id="six to nothing, p = 0.03"),
]


@pytest.mark.parametrize(("case", "allowed"), TURNED)
@pytest.mark.parametrize("images", [100, 600])
def test_what_turns_at_the_threshold_counts_whatever_the_metric_says(
    case: Turned,
    allowed: bool,  # noqa: FBT001 - a table's row
    images: int,
) -> None:
    result = judge_labelled(dataclasses.replace(measured(0.0, -0.001, images, 300), turned=(case,)))
    assert result.allows is allowed
    assert str(case) in result.reason


def test_a_model_that_finds_nothing_proves_nothing_of_its_quantized_form() -> None:
    blind = Measured("map50", 0.0, 0.0, Estimate(0.0, 0.0, 0.0, 0.95), 600, 5000)
    result = judge_labelled(blind)
    assert result.outcome is Outcome.NOT_PROVEN
    assert "finds nothing" in result.reason


def test_turned_cases_are_counted_pair_by_pair() -> None:
    right = np.array([True, True, False, False])
    assert turned("boxes", right, np.array([True, False, True, True])) == Turned("boxes", 1, 2, 4)


def test_good_images_alone_show_overkill(tmp_path: Path) -> None:
    result = evaluate(exam(tmp_path, [truth(), truth()]), [found(), found((BOX, 0, 0.9))])
    plain = result.as_json()
    assert (plain["map50"], plain["pooled_map33"], plain["missed"]) == (None, None, None)
    assert result.operating.overkill is not None
    assert result.operating.overkill.value == 0.5
    page = tmp_path / "deep" / "page.html"
    write_page(page, PageFacts("good", "fine", fine=True, story=[], evaluation=result))
    assert "not measured" in page.read_text(encoding="utf-8")


def test_a_model_that_lets_most_bad_parts_through_says_so(tmp_path: Path) -> None:
    sat = exam(tmp_path, TRUTHS)
    assert any("not fit for a line" in note for note in evaluate(sat, [found()] * 5).notes)
    assert not any("not fit for a line" in note for note in evaluate(sat, FOUND).notes)


def test_boxes_beyond_cocos_hundred_count_too() -> None:
    places = [
        [10.0 * column, 10.0 * row, 10.0 * column + 8, 10.0 * row + 8] for row in range(12) for column in range(15)
    ]
    everything = truth(*((place, 0) for place in places))
    assert coco_precision([everything], [found(*((p, 0, 0.9) for p in places))], ["dent"]).map50_95 > 0.99


def test_frames_on_which_nothing_could_be_missed_prove_nothing() -> None:
    with pytest.raises(GateError, match="cannot show a loss"):
        judge_labelled(measured(0.0, 0.0, 600, 0))


@pytest.fixture
def page(tmp_path: Path) -> str:
    sat = exam(tmp_path, TRUTHS)
    facts = PageFacts("<title>", "not & proven", fine=False, story=[("Data", "<x>")], evaluation=evaluate(sat, FOUND))
    write_page(tmp_path / "page.html", facts)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_page_needs_no_other_file_and_escapes_every_name(page: str) -> None:
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "&lt;b&gt;scratch&lt;/b&gt;" in page
    assert "<b>scratch" not in page
    assert "1 &lt;i&gt;.png" in page
    assert "not &amp; proven" in page


def test_a_class_that_is_called_like_a_broken_formula_breaks_no_page(tmp_path: Path) -> None:
    sat = dataclasses.replace(exam(tmp_path, TRUTHS), classes=(r"$\frac{$", "a$b"))
    facts = PageFacts("t", "h", fine=False, story=[], evaluation=evaluate(sat, FOUND))

    write_page(tmp_path / "page.html", facts)

    assert r"$\frac{$" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_page_shows_the_images_with_mistakes_and_no_others(page: str) -> None:
    shown = re.findall(r"<figcaption>(\d)", page)
    assert sorted(shown) == ["1", "2", "3"]


def test_what_the_set_could_not_show_is_said(tmp_path: Path) -> None:
    sat = exam(tmp_path, TRUTHS[:1])
    found_out = evaluate(sat, FOUND[:1])
    assert "no good images in the set: overkill is not measured" in found_out.notes
    assert found_out.as_json()["overkill"] is None
    assert any("scratch" in note for note in found_out.notes)
    assert np.isclose(found_out.map50, 1.0)


def test_the_page_about_a_model_that_finds_nothing_warns_of_nothing(tmp_path: Path) -> None:
    """Warnings are errors here; a newcomer once read one of matplotlib's between the lines of the answer."""
    nothing = evaluate(exam(tmp_path, TRUTHS), [Detections.none() for _ in TRUTHS])
    write_page(tmp_path / "page.html", PageFacts("blind", "weak", fine=False, story=[], evaluation=nothing))
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")
