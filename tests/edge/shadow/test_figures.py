"""What counts as what, part by part."""

from dataclasses import replace

import pytest
from edge_kit import MODEL, detections, view

from edge.decide.recipe import Recipe, Rule
from edge.domain.inspection import View
from edge.domain.part import Verdict
from edge.shadow.comparing import own_view
from edge.shadow.figures import Pair, ShadowFigures, began_again, counted
from models.detections import FloatArray
from models.spec import Kind

PASS, REJECT, UNDECIDED = Verdict.PASS, Verdict.REJECT, Verdict.UNDECIDED


def nowhere() -> FloatArray:
    return detections().boxes_xyxy


def failed() -> View:
    return replace(view(UNDECIDED), detections=None)


def pair(champion: Verdict, challenger: Verdict, camera: str = "top") -> Pair:
    return Pair(camera, view(champion, camera), failed() if challenger is UNDECIDED else view(challenger, camera))


@pytest.mark.parametrize(
    ("pairs", "counts"),
    [
        pytest.param([pair(PASS, PASS)], {}, id="both pass"),
        pytest.param([pair(REJECT, REJECT)], {"rejects": 1, "champion_rejects": 1}, id="both reject"),
        pytest.param([pair(PASS, REJECT)], {"disagreements": 1, "rejects": 1}, id="a further reject"),
        pytest.param(
            [pair(REJECT, PASS)],
            {"disagreements": 1, "champion_rejects": 1, "passes_of_rejects": 1},
            id="a reject that would pass",
        ),
        pytest.param([pair(PASS, UNDECIDED)], {"disagreements": 1, "undecided": 1}, id="no answer"),
        pytest.param(
            [pair(REJECT, PASS), pair(PASS, REJECT, "side")],
            {"rejects": 1, "champion_rejects": 1},
            id="two cameras: the part is a reject by either",
        ),
        pytest.param(
            [pair(REJECT, PASS), pair(PASS, PASS, "side")],
            {"disagreements": 1, "champion_rejects": 1, "passes_of_rejects": 1},
            id="two cameras: one part, one disagreement",
        ),
    ],
)
def test_a_part_is_counted_once_by_the_worst_of_its_cameras(pairs: list[Pair], counts: dict[str, int]) -> None:
    found = counted(ShadowFigures(), pairs)
    names = ("disagreements", "passes_of_rejects", "undecided", "rejects", "champion_rejects")
    assert {name: getattr(found, name) for name in names if getattr(found, name)} == counts
    assert (found.parts, found.skipped, found.faults) == (1, 0, 0)


def test_scores_are_those_of_parts_to_which_both_have_an_answer() -> None:
    found = counted(counted(ShadowFigures(), [pair(REJECT, PASS)]), [pair(REJECT, UNDECIDED)])
    assert found.scored == 1
    shown = found.as_figures()
    assert (shown["champion_score"], shown["score"], shown["score_gap"]) == (pytest.approx(0.9), 0, pytest.approx(0.9))


def test_shares_of_nothing_are_none_and_every_figure_is_a_number() -> None:
    assert set(ShadowFigures().as_figures().values()) == {0.0}
    found = ShadowFigures(parts=3, skipped=1, disagreements=1).as_figures()
    assert (found["share_seen"], found["disagreement_rate"]) == (0.75, pytest.approx(1 / 3, abs=1e-6))


def test_another_champion_takes_what_was_compared_and_leaves_the_challengers_own_faults() -> None:
    before = replace(counted(ShadowFigures(MODEL, MODEL, faults=2, slowest_ms=7.0), [pair(REJECT, PASS)]), skipped=4)
    assert began_again(before) == ShadowFigures(None, MODEL, faults=2, slowest_ms=7.0, restarts=1)


@pytest.mark.parametrize(("score", "verdict"), [(0.9, REJECT), (0.5, PASS)])
def test_a_picture_that_was_not_trusted_is_compared_by_what_the_champion_itself_said(
    score: float, verdict: Verdict
) -> None:
    recipe = Recipe(Kind.ANOMALY, "1", {"anomaly": Rule(0.6, 0, 0, nowhere())})
    doubted = View(
        "top", UNDECIDED, ("camera_frozen",), view().frame, detections((1, 1, 9, 9, score)), ("anomaly",), MODEL
    )
    found = own_view(doubted, recipe)
    assert (found.verdict, found.detections) == (verdict, doubted.detections)
