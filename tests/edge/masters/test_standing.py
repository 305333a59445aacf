"""Whether a check of master parts still counts: a table over what was asked, what was found and what the clocks say."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edge.masters.check import conclude
from edge.masters.standing import LastCheck, Terms, may_check, standing
from edge.record.checks import CheckOutcome, MasterRecord

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOW_S = 50_000.0
NOTHING, REQUIRED, DAILY = Terms(), Terms(required=True), Terms(every_s=8 * 3600)
BOTH = Terms(required=True, every_s=8 * 3600)


def passed(hours_ago: float, *, in_run: bool = True, same: bool = True) -> LastCheck:
    at_s = NOW_S - hours_ago * 3600 if in_run else None
    return LastCheck(CheckOutcome.PASSED, "", NOON - timedelta(hours=hours_ago), at_s, same)


FAILED = LastCheck(CheckOutcome.FAILED, "'blot' is PASS, expected REJECT", NOON, NOW_S, same_eyes=True)


@pytest.mark.parametrize(
    ("terms", "last", "word", "ready"),
    [
        pytest.param(NOTHING, None, "never", True, id="nothing asked, nothing checked"),
        pytest.param(NOTHING, passed(500), "passed", True, id="nothing asked: a good one lasts"),
        pytest.param(NOTHING, passed(1, same=False), "outdated", True, id="nothing asked: a new bundle is said"),
        pytest.param(NOTHING, FAILED, "failed", False, id="a failed one counts though nothing is asked"),
        pytest.param(NOTHING, replace(FAILED, at_s=None), "failed", False, id="a failed one outlives the run"),
        pytest.param(NOTHING, replace(FAILED, same_eyes=False), "failed", False, id="and the bundle"),
        pytest.param(REQUIRED, None, "never", False, id="required, never checked"),
        pytest.param(REQUIRED, passed(90), "passed", True, id="required: since the start"),
        pytest.param(REQUIRED, passed(1, in_run=False), "outdated", False, id="required: before the start"),
        pytest.param(REQUIRED, passed(1, same=False), "outdated", False, id="required: before the bundle"),
        pytest.param(DAILY, None, "never", False, id="every 8 h, never checked"),
        pytest.param(DAILY, passed(7.5), "passed", True, id="every 8 h: half an hour left"),
        pytest.param(DAILY, passed(7.9), "due", True, id="every 8 h: six minutes left"),
        pytest.param(DAILY, passed(8.01), "expired", False, id="every 8 h: over"),
        pytest.param(DAILY, passed(7, in_run=False), "passed", True, id="every 8 h: an earlier run's counts"),
        pytest.param(DAILY, passed(9, in_run=False), "expired", False, id="every 8 h: an earlier run's, over"),
        pytest.param(DAILY, passed(1, in_run=False, same=False), "outdated", False, id="every 8 h: another bundle's"),
        pytest.param(BOTH, passed(1, in_run=False), "outdated", False, id="both: before the start"),
        pytest.param(BOTH, passed(9), "expired", False, id="both: over"),
        pytest.param(DAILY, replace(passed(9), at=NOON), "expired", False, id="a wall clock set back"),
        pytest.param(DAILY, replace(passed(1), at=NOON - timedelta(hours=9)), "expired", False, id="set forward"),
        pytest.param(DAILY, replace(passed(1), at=NOON + timedelta(hours=2)), "passed", True, id="this run knows"),
        pytest.param(DAILY, passed(-2, in_run=False), "expired", False, id="from the future, of an earlier run"),
    ],
)
def test_how_a_product_stands(terms: Terms, last: LastCheck | None, word: str, ready: bool) -> None:  # noqa: FBT001
    found = standing("blob", terms, last, NOON, NOW_S)
    assert (found.word, not found.why) == (word, ready)
    if found.why:
        assert "edge verify-masters" in found.why


def test_a_short_interval_warns_in_its_last_quarter() -> None:
    words = [standing("blob", Terms(every_s=60), passed(age / 3600), NOON, NOW_S).word for age in (44, 46, 61)]
    assert words == ["passed", "due", "expired"]


def master(name: str, expected: str, got: str | None, *, ok: bool, reasons: tuple[str, ...] = ()) -> MasterRecord:
    return MasterRecord.model_validate(
        {
            "name": name,
            "camera": "top",
            "sha256": "0" * 64,
            "expected": expected,
            "got": got,
            "reasons": reasons,
            "ok": ok,
        }
    )


GOOD, BAD = master("fine", "PASS", "PASS", ok=True), master("blot", "REJECT", "REJECT", ok=True)


@pytest.mark.parametrize(
    ("masters", "why"),
    [
        pytest.param([GOOD, BAD], "", id="all right"),
        pytest.param([GOOD], "there is no bad one", id="no bad one: a blind model would pass"),
        pytest.param([BAD], "there is no good one", id="no good one: a model that rejects all would pass"),
        pytest.param([], "there is no good one", id="none"),
        pytest.param(
            [GOOD, master("dent", "REJECT", "PASS", ok=False)], "'dent' is PASS, expected REJECT", id="escape"
        ),
        pytest.param(
            [BAD, master("shiny", "PASS", "UNDECIDED", ok=False, reasons=("camera_shifted",))],
            r"'shiny' is UNDECIDED \(camera_shifted\), expected PASS",
            id="undecided is wrong too",
        ),
        pytest.param(
            [GOOD, BAD, master("lost", "REJECT", None, ok=False)], "'lost' cannot be read", id="a lost picture"
        ),
        pytest.param(
            [GOOD, *(master(f"d{n}", "REJECT", "PASS", ok=False) for n in range(5))], "and 2 more", id="many wrong"
        ),
    ],
)
def test_what_a_check_comes_to(masters: list[MasterRecord], why: str) -> None:
    outcome, said = conclude("blob", masters)
    assert outcome is (CheckOutcome.FAILED if why else CheckOutcome.PASSED)
    assert re.search(why, said)
    assert bool(said) is bool(why)


def test_a_product_that_never_had_master_parts_has_none_to_fail_by() -> None:
    assert not may_check(NOTHING, known=False, has_masters=False)
    assert may_check(NOTHING, known=False, has_masters=True)
    assert may_check(REQUIRED, known=False, has_masters=False), "asked for, and none there: not ready"
    assert may_check(DAILY, known=False, has_masters=False)
    assert may_check(NOTHING, known=True, has_masters=False), "the folder was deleted"
