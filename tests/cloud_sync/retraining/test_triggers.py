"""Which trigger starts a training, and what each of the others waits for: as tables."""

import dataclasses

import pytest

from cloud_sync.hub.retraining.triggers import (
    HOUR_MS,
    History,
    ProductFacts,
    Trigger,
    TriggerRules,
    weigh,
    weigh_by_hand,
)

NOW_MS = 1_790_000_000_000  # 2026-09-21 14:13 UTC
RULES = TriggerRules(every_h=0)
QUIET = ProductFacts(labels=500, new_labels=12)
DAY_MS = 24 * HOUR_MS
LONG_AGO = History(NOW_MS - 30 * DAY_MS, NOW_MS - 30 * DAY_MS + HOUR_MS)


def facts(**changed: object) -> ProductFacts:
    return dataclasses.replace(QUIET, **changed)


def rules(**changed: object) -> TriggerRules:
    return dataclasses.replace(RULES, **changed)


FIRES = [
    pytest.param(RULES, facts(new_labels=50), Trigger.NEW_LABELS, "50 of 50 new labels", id="enough labels"),
    pytest.param(RULES, facts(drifting=("north-1 focus",)), Trigger.DRIFT, "drift: north-1 focus", id="drift"),
    pytest.param(RULES, facts(new_classes=("ring",)), Trigger.NEW_CLASS, "new class ring", id="a class never seen"),
    pytest.param(
        RULES,
        facts(judged=40, overruled=3),
        Trigger.OVERRULES,
        "3 of 40 judged parts overruled, 7.5% of 5.0%",
        id="people overrule",
    ),
    pytest.param(
        rules(every_h=24), QUIET, Trigger.SCHEDULE, "every 24 h, due 2026-08-23 14:13 UTC", id="its day has come"
    ),
    pytest.param(
        RULES,
        facts(new_labels=99, new_classes=("ring",), drifting=("north-1 focus",)),
        Trigger.NEW_CLASS,
        "new class ring",
        id="of several the most telling",
    ),
]


@pytest.mark.parametrize(("rules_", "facts_", "trigger", "why"), FIRES)
def test_a_trigger_starts_a_training_and_says_why(
    rules_: TriggerRules, facts_: ProductFacts, trigger: Trigger, why: str
) -> None:
    found = weigh(rules_, facts_, LONG_AGO, NOW_MS)
    assert found.fires is not None
    assert (found.fires.trigger, found.fires.why, found.held) == (trigger, why, "")


WAITS = [
    pytest.param(RULES, QUIET, Trigger.NEW_LABELS, "12 of 50 new labels", id="labels"),
    pytest.param(RULES, QUIET, Trigger.DRIFT, "drift quiet", id="drift"),
    pytest.param(RULES, QUIET, Trigger.NEW_CLASS, "no new class", id="class"),
    pytest.param(RULES, facts(judged=19, overruled=19), Trigger.OVERRULES, "19 of 20 judged parts", id="few judged"),
    pytest.param(
        RULES,
        facts(judged=40, overruled=2),
        Trigger.OVERRULES,
        "2 of 40 judged parts overruled, 5.0% of 5.0%",
        id="at the limit is not above it",
    ),
    pytest.param(RULES, QUIET, Trigger.SCHEDULE, "off", id="no schedule"),
    pytest.param(rules(new_labels=0), facts(new_labels=900), Trigger.NEW_LABELS, "off", id="labels off"),
    pytest.param(rules(drift=False), facts(drifting=("a",)), Trigger.DRIFT, "off", id="drift off"),
    pytest.param(rules(new_class=False), facts(new_classes=("a",)), Trigger.NEW_CLASS, "off", id="class off"),
    pytest.param(rules(overrule_rate=0), facts(judged=40, overruled=40), Trigger.OVERRULES, "off", id="overrules off"),
    pytest.param(
        rules(every_h=31 * 24), QUIET, Trigger.SCHEDULE, "every 744 h, due 2026-09-22 14:13 UTC", id="not due"
    ),
]


@pytest.mark.parametrize(("rules_", "facts_", "trigger", "why"), WAITS)
def test_a_trigger_that_waits_says_for_what(
    rules_: TriggerRules, facts_: ProductFacts, trigger: Trigger, why: str
) -> None:
    found = weigh(rules_, facts_, LONG_AGO, NOW_MS)
    assert found.fires is None
    assert [(word.asks, word.why) for word in found.words if word.trigger is trigger] == [(False, why)]


ENOUGH = facts(new_labels=50)
SEVEN = tuple(NOW_MS - day * DAY_MS + HOUR_MS for day in range(7, 0, -1))
HELD = [
    pytest.param(
        ENOUGH, History(NOW_MS - HOUR_MS, under_way="cells-1"), "run cells-1 is under way", id="one at a time"
    ),
    pytest.param(ENOUGH, History(NOW_MS - 9, NOW_MS - HOUR_MS), "cool-down until 2026-09-22 13:13 UTC", id="cool-down"),
    pytest.param(
        ENOUGH,
        History(NOW_MS - 2 * DAY_MS, NOW_MS - 2 * DAY_MS, SEVEN),
        "budget: 7 of 7 runs in seven days, the next may start 2026-09-21 15:13 UTC",
        id="budget",
    ),
    pytest.param(
        facts(new_labels=0, drifting=("north-1",)),
        LONG_AGO,
        "no label is newer than the last training's: the same model would come of it",
        id="nothing to learn",
    ),
]


@pytest.mark.parametrize(("facts_", "history", "held"), HELD)
def test_what_holds_every_trigger_is_said(facts_: ProductFacts, history: History, held: str) -> None:
    found = weigh(RULES, facts_, history, NOW_MS)
    assert (found.fires, found.held) == (None, held)
    assert any(word.asks for word in found.words)


def test_the_cool_down_ends_to_the_millisecond() -> None:
    ended = History(NOW_MS - 2 * DAY_MS, NOW_MS - DAY_MS)
    assert weigh(RULES, ENOUGH, ended, NOW_MS - 1).fires is None
    assert weigh(RULES, ENOUGH, ended, NOW_MS).fires is not None


def test_the_oldest_run_leaves_the_budget_after_seven_days() -> None:
    history = History(SEVEN[-1], NOW_MS - 2 * DAY_MS, SEVEN)
    assert weigh(RULES, ENOUGH, history, NOW_MS + HOUR_MS - 1).fires is None
    assert weigh(RULES, ENOUGH, history, NOW_MS + HOUR_MS).fires is not None


def test_by_hand_passes_the_cool_down_and_says_so() -> None:
    found = weigh_by_hand(RULES, facts(new_labels=0), History(NOW_MS - 9, NOW_MS - HOUR_MS), NOW_MS)
    assert found.fires is not None
    assert found.fires.why == "asked for by hand, past the cool-down until 2026-09-22 13:13 UTC"


@pytest.mark.parametrize(
    ("facts_", "history", "held"),
    [
        pytest.param(facts(labels=0), History(), "no image of it has a label: nothing to learn from", id="no label"),
        pytest.param(QUIET, History(1, under_way="cells-1"), "run cells-1 is under way", id="under way"),
        pytest.param(
            QUIET,
            History(1, 2, SEVEN),
            "budget: 7 of 7 runs in seven days, the next may start 2026-09-21 15:13 UTC",
            id="budget",
        ),
    ],
)
def test_what_holds_a_training_by_hand_too_is_said(facts_: ProductFacts, history: History, held: str) -> None:
    found = weigh_by_hand(RULES, facts_, history, NOW_MS)
    assert (found.fires, found.held) == (None, held)


def test_a_budget_of_none_trains_nothing() -> None:
    found = weigh_by_hand(rules(budget_runs_a_week=0), QUIET, History(), NOW_MS)
    assert (found.fires, found.held) == (None, "budget: 0 of 0 runs in seven days")
