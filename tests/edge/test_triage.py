"""What becomes of an inspection behind the line's back: a sample, with why, within a budget; pure rules first."""

import random
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from edge_kit import MODEL, NOW, detections

from edge.decide.novelty import Novelty, describe
from edge.decide.triage import SHARES, WINDOW_MINUTES, Budget, TriageRules, reasons_of
from edge.domain.inspection import FrameInfo, View
from edge.domain.part import Verdict
from edge.domain.sample import SampleReason
from edge.record.samples import minute_of

RULES = TriageRules(per_hour=60, uncertain_within=0.05, candidate_from=0.4, audit_share=0.0)
AUDITED = TriageRules(audit_share=1.0)
U, C, N, A, D = (
    SampleReason.UNCERTAIN,
    SampleReason.CANDIDATE,
    SampleReason.NOVEL,
    SampleReason.AUDIT,
    SampleReason.DISAGREEMENT,
)


def seen(verdict: Verdict, *scores: float) -> View:
    reasons = () if verdict is Verdict.PASS else ("anomaly:1",)
    found = detections(*((1, 1, 9, 9, score) for score in scores))
    return View("top", verdict, reasons, FrameInfo(1, NOW, ""), found, ("anomaly",), MODEL)


@pytest.mark.parametrize(
    ("view", "threshold", "novel", "reasons"),
    [
        pytest.param(seen(Verdict.PASS, 0.2), 0.5, False, (), id="clearly good"),
        pytest.param(seen(Verdict.REJECT, 0.9), 0.5, False, (), id="clearly bad"),
        pytest.param(seen(Verdict.PASS, 0.46), 0.5, False, (U, C), id="just good"),
        pytest.param(seen(Verdict.REJECT, 0.54), 0.5, False, (U,), id="just bad"),
        pytest.param(seen(Verdict.PASS, 0.41), 0.5, False, (C,), id="a candidate below the rule"),
        pytest.param(
            seen(Verdict.PASS, 0.95), 0.5, False, (C,), id="found, and too small or outside the zones to count"
        ),
        pytest.param(seen(Verdict.REJECT, 0.9, 0.41), 0.5, False, (), id="a reject has candidates anyway"),
        pytest.param(seen(Verdict.PASS, 0.68), 0.7, False, (U, C), id="the recipe's own threshold"),
        pytest.param(seen(Verdict.PASS), 0.5, True, (N,), id="a picture unlike the others"),
        pytest.param(seen(Verdict.REJECT, 0.9), 0.5, True, (N,), id="a reject unlike the others"),
    ],
)
def test_each_reason_is_said_for_what_it_is_about(
    view: View, threshold: float, *, novel: bool, reasons: tuple[SampleReason, ...]
) -> None:
    assert reasons_of(view, {"anomaly": threshold}, RULES, "a/b/1", is_novel=novel) == reasons


def test_a_view_without_an_answer_or_with_a_picture_that_is_not_trusted_is_no_sample() -> None:
    blurred = View("top", Verdict.UNDECIDED, ("camera_blurred",), FrameInfo(1, NOW, ""), detections(), ("a",), MODEL)
    silent = View("top", Verdict.UNDECIDED, ("model_fault",), FrameInfo(1, NOW, ""), None, (), MODEL)
    for view in (blurred, silent):
        assert reasons_of(view, {}, AUDITED, "a/b/1", is_novel=True) == ()


def test_the_audit_is_of_parts_that_passed_and_after_a_restart_of_the_same() -> None:
    rules = TriageRules(audit_share=0.02)
    good, bad = seen(Verdict.PASS, 0.1), seen(Verdict.REJECT, 0.9)
    names = [f"press-3/{'e' * 32}/{seq}" for seq in range(5000)]
    chosen = [name for name in names if A in reasons_of(good, {}, rules, name, is_novel=False)]
    assert 70 < len(chosen) < 130
    assert chosen == [name for name in names if A in reasons_of(good, {}, rules, name, is_novel=False)]
    assert not [name for name in names if reasons_of(bad, {}, rules, name, is_novel=False)]


@pytest.mark.parametrize("per_hour", [1, 3, 7, 60, 1000])
def test_in_no_hour_more_is_kept_than_the_budget_says_whatever_comes(per_hour: int) -> None:
    chance, budget = random.Random(per_hour), Budget(per_hour)
    kept: list[int] = []
    second = 0
    for _ in range(6000):
        second += chance.choice((0, 0, 1, 20, 300))
        reasons = chance.sample(list(SHARES), chance.randint(1, 3))
        if budget.charge(reasons, second // 60) is not None:
            kept.append(second)
    assert len(kept) >= per_hour
    starts = range(len(kept) - per_hour)
    assert all(kept[first + per_hour] - kept[first] >= 3600 for first in starts)
    assert len(budget.kept) <= WINDOW_MINUTES * len(SHARES)


def test_one_reason_cannot_eat_what_is_set_aside_for_the_others() -> None:
    budget = Budget(100)
    flood = sum(budget.charge([U], 1000) is not None for _ in range(500))
    assert flood < 100 - sum(int(100 * share) for reason, share in SHARES.items() if reason is not U) + 1
    for reason in (D, N, C, A):
        got = sum(budget.charge([reason], 1000) is not None for _ in range(500))
        assert got >= int(100 * SHARES[reason]), reason


def test_what_is_set_aside_for_none_goes_to_the_better_reason() -> None:
    audits, disagreements = Budget(100), Budget(100)
    few = sum(audits.charge([A], 1000) is not None for _ in range(500))
    many = sum(disagreements.charge([D], 1000) is not None for _ in range(500))
    assert many - int(100 * SHARES[D]) > few - int(100 * SHARES[A])


def test_a_sample_of_two_reasons_is_charged_to_the_better_while_that_has_room() -> None:
    budget = Budget(20)
    charged = Counter(budget.charge([A, U], 1000) for _ in range(10))
    assert set(charged) <= {U, A, None}
    assert charged[U] >= int(20 * SHARES[U])
    assert charged[A] >= int(20 * SHARES[A])


def test_an_hour_later_there_is_room_again_and_a_clock_put_back_takes_none_away() -> None:
    budget = Budget(1)
    assert budget.charge([U], 1000) is U
    assert budget.charge([U], 1059) is None
    assert budget.charge([U], 1061) is U
    assert budget.charge([U], 500) is U  # three days back, say: what is in the future counts no more
    assert budget.charge([U], 501) is None


def test_what_was_not_kept_after_all_leaves_its_room() -> None:
    budget = Budget(1)
    assert budget.charge([U], 5) is U
    budget.give_back(U, 5)
    assert budget.charge([U], 5) is U


def test_a_minute_is_of_the_clock_that_everybody_has() -> None:
    assert minute_of(datetime(1970, 1, 1, 2, 3, 59, tzinfo=UTC)) == 123


def picture(chance: np.random.Generator, *, odd: bool = False) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A grey part with noise, brighter or darker by chance; an odd one has a checkerboard in a corner."""
    shown = 120 + chance.integers(-30, 30) + chance.normal(0, 6, (120, 160))
    if odd:
        shown[:60, :80] += np.where(np.indices((60, 80)).sum(0) // 8 % 2, 40, -40)
    return np.clip(shown, 0, 255).astype(np.uint8)


def test_a_picture_unlike_those_before_it_is_new_and_a_brighter_one_of_the_same_is_not() -> None:
    chance, memory = np.random.default_rng(3), Novelty(0.02)
    usual = [memory.sees(describe(picture(chance))) for _ in range(400)]
    assert sum(usual) <= 0.05 * 400
    assert memory.sees(describe(picture(chance, odd=True)))
    assert not memory.sees(describe(np.clip(picture(chance).astype(int) + 40, 0, 255).astype(np.uint8)))


def test_what_was_new_often_enough_is_usual_then() -> None:
    chance, memory = np.random.default_rng(4), Novelty(0.02)
    for _ in range(300):
        memory.sees(describe(picture(chance)))
    odd = [memory.sees(describe(picture(chance, odd=True))) for _ in range(100)]
    assert odd[0]
    assert sum(odd[50:]) < 10


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (3, 2), (2200, 1)], ids=str)
def test_a_picture_of_any_size_is_described(size: tuple[int, int]) -> None:
    described = describe(np.full(size, 7, np.uint8))
    assert described.shape == (128,)
    assert np.isfinite(described).all()
    assert not Novelty(0.5).sees(described)
