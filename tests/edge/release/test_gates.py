"""What a station holds a release against, in shadow and on probation."""

import pytest

from cloud_sync.wire.messages import Probation
from edge.release.gates import Answer, Beside, Decided, judge_live, judge_shadow

LIMITS = Probation(parts=100, disagreement_most=0.05, undecided_most=0.01, reject_shift_most=0.1, escape_most=0.5)
GOOD = Beside(parts=100, rejects=10, champion_rejects=11, disagreements=1, passes_of_rejects=1)


def test_a_model_that_agrees_and_rejects_may_decide() -> None:
    assert judge_shadow([GOOD], LIMITS, rejects_masters=False).answer is Answer.PASSED


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        pytest.param(Beside(parts=3, faults=1), "it broke, 1 times", id="one NaN"),
        pytest.param(Beside(parts=2, undecided=2), "left undecided", id="two undecided of few"),
        pytest.param(Beside(parts=6, disagreements=6, rejects=6), "judged otherwise", id="rejects everything"),
        pytest.param(Beside(parts=100, disagreements=6, champion_rejects=6), "judged otherwise", id="disagrees"),
    ],
)
def test_a_bad_model_fails_as_soon_as_it_cannot_pass_any_more(counts: Beside, why: str) -> None:
    found = judge_shadow([counts], LIMITS, rejects_masters=True)
    assert found.answer is Answer.FAILED
    assert why in found.why


def test_always_pass_fails_by_the_rejects_it_passes_though_it_disagrees_on_few() -> None:
    """6 of 1,000 parts: well inside of what it may disagree on."""
    counts = Beside(parts=1000, disagreements=6, champion_rejects=6, passes_of_rejects=6)
    found = judge_shadow([counts], LIMITS, rejects_masters=False)
    assert found.answer is Answer.FAILED
    assert "rejected by the model in use are passed" in found.why


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param(Beside(parts=1000), id="nothing was bad"),
        pytest.param(Beside(parts=1000, disagreements=2, champion_rejects=2, passes_of_rejects=2), id="passed both"),
        pytest.param(
            Beside(parts=1000, disagreements=3, champion_rejects=4, passes_of_rejects=3, rejects=1), id="passed most"
        ),
    ],
)
def test_what_was_not_seen_to_reject_does_not_pass(counts: Beside) -> None:
    assert judge_shadow([counts], LIMITS, rejects_masters=False).answer is Answer.WAIT


def test_bad_master_parts_stand_for_rejects_where_the_line_has_none() -> None:
    assert judge_shadow([Beside(parts=1000)], LIMITS, rejects_masters=True).answer is Answer.PASSED


def test_too_few_parts_wait() -> None:
    assert judge_shadow([Beside(parts=99, champion_rejects=9, rejects=9)], LIMITS, rejects_masters=True).answer is (
        Answer.WAIT
    )


def test_one_product_does_not_hide_behind_another() -> None:
    other = Beside(parts=100, disagreements=20, rejects=20)
    total = [Beside(parts=900, rejects=90, champion_rejects=90), other]
    assert judge_shadow(total, LIMITS, rejects_masters=True).answer is Answer.FAILED


def test_few_parts_of_one_product_count_with_those_of_another() -> None:
    both = [Beside(parts=60, rejects=6, champion_rejects=6), Beside(parts=50, rejects=5, champion_rejects=5)]
    assert judge_shadow(both, LIMITS, rejects_masters=False).answer is Answer.PASSED


@pytest.mark.parametrize(
    ("counts", "answer"),
    [
        pytest.param(Decided(parts=100, rejects=12), Answer.PASSED, id="as in shadow"),
        pytest.param(Decided(parts=99, rejects=12), Answer.WAIT, id="too few parts"),
        pytest.param(Decided(parts=1, faults=1), Answer.FAILED, id="broke on its first part"),
        pytest.param(Decided(parts=4, undecided=2), Answer.FAILED, id="cannot decide"),
        pytest.param(Decided(parts=21, rejects=21), Answer.FAILED, id="rejects everything"),
        pytest.param(Decided(parts=100, rejects=0), Answer.PASSED, id="rejects nothing, and a tenth was expected"),
        pytest.param(Decided(parts=100, rejects=21), Answer.FAILED, id="rejects twice as many"),
    ],
)
def test_probation(counts: Decided, answer: Answer) -> None:
    assert judge_live(counts, 0.1, LIMITS).answer is answer


def test_a_model_that_passes_what_it_rejected_in_shadow_goes_back() -> None:
    assert judge_live(Decided(parts=100, rejects=15), 0.3, LIMITS).answer is Answer.FAILED
