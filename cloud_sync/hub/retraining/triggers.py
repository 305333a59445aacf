"""Which trigger starts a training, and what each of the others waits for. No clock, no database.

- A training of the same labels makes the same model: every trigger but the one by hand waits for a new label.
- Cool-down and budget hold all of them; by hand passes the cool-down, and says so, and keeps to the budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS


class Trigger(StrEnum):
    """What can start a training, the most telling first."""

    BY_HAND = "by hand"
    NEW_CLASS = "new class"
    OVERRULES = "overrule rate"
    DRIFT = "drift"
    NEW_LABELS = "new labels"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class TriggerRules:
    """When a product's model is trained anew; what is None, False or 0 never triggers.

    Args:
        new_labels: with so many labels that no training has seen.
        drift: where a station says that its pictures changed.
        overrule_rate: where people overrule more than this share of what they judge.
        overrules_least: with fewer judged parts the share says nothing.
        new_class: where a label has a class that the last training did not know.
        every_h: hours from the start of one training to the next.
        cool_down_h: hours from the end of one training to the next.
        budget_runs_a_week: so many trainings in any seven days.
    """

    new_labels: int = 50
    drift: bool = True
    overrule_rate: float = 0.05
    overrules_least: int = 20
    new_class: bool = True
    every_h: float = 0
    cool_down_h: float = 24
    budget_runs_a_week: int = 7


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """What the store knows of a product since its last training began.

    Args:
        labels: images of it that have a label.
        new_labels: labels that are newer than those of the last training.
        new_classes: of these, the classes that the last training did not know.
        drifting: who says that its pictures changed: station, and what changed.
        judged: parts that a person judged.
        overruled: of these, those judged otherwise than the station did.
    """

    labels: int = 0
    new_labels: int = 0
    new_classes: tuple[str, ...] = ()
    drifting: tuple[str, ...] = ()
    judged: int = 0
    overruled: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """A product's trainings so far; times in milliseconds since 1970.

    Args:
        last_started_ms: when the last began; None: there was none.
        last_ended_ms: when the last ended; None: there was none, or it is under way.
        starts_ms: when each of the last seven days' trainings began, oldest first.
        under_way: the run that is under way; "" for none.
    """

    last_started_ms: int | None = None
    last_ended_ms: int | None = None
    starts_ms: tuple[int, ...] = ()
    under_way: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """One trigger: whether it asks for a training, and why, or what it waits for."""

    trigger: Trigger
    asks: bool
    why: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is to be done for a product now.

    Args:
        fires: the trigger that starts a training now; None: none does.
        held: what keeps triggers that ask from starting one; "" where nothing does.
        words: each trigger's own word, in the order of `Trigger`, by hand left out.
    """

    fires: Word | None
    held: str
    words: tuple[Word, ...]


def weigh(rules: TriggerRules, facts: ProductFacts, history: History, now_ms: int) -> Weighed:
    """Decide for one product, nobody having asked by hand."""
    words = tuple(
        rule(rules, facts, history, now_ms) for rule in (_new_class, _overrules, _drift, _new_labels, _schedule)
    )
    held = _holds(
        [_under_way(history), _nothing_new(facts), _cool_down(rules, history, now_ms), _budget(rules, history, now_ms)]
    )
    asking = next((word for word in words if word.asks), None)
    return Weighed(None if held else asking, held, words)


def weigh_by_hand(rules: TriggerRules, facts: ProductFacts, history: History, now_ms: int) -> Weighed:
    """Decide for one product whose training a person asks for."""
    if not facts.labels:
        return Weighed(None, "no image of it has a label: nothing to learn from", ())
    held = _holds([_under_way(history), _budget(rules, history, now_ms)])
    passed = _cool_down(rules, history, now_ms)
    why = f"asked for by hand, past the {passed}" if passed else "asked for by hand"
    word = Word(Trigger.BY_HAND, asks=True, why=why)
    return Weighed(None if held else word, held, (word,))


def _new_class(rules: TriggerRules, facts: ProductFacts, history: History, now_ms: int) -> Word:
    del history, now_ms
    if not rules.new_class:
        return Word(Trigger.NEW_CLASS, asks=False, why="off")
    if facts.new_classes:
        return Word(Trigger.NEW_CLASS, asks=True, why=f"new class {', '.join(facts.new_classes)}")
    return Word(Trigger.NEW_CLASS, asks=False, why="no new class")


def _overrules(rules: TriggerRules, facts: ProductFacts, history: History, now_ms: int) -> Word:
    del history, now_ms
    if not rules.overrule_rate:
        return Word(Trigger.OVERRULES, asks=False, why="off")
    if facts.judged < rules.overrules_least:
        return Word(Trigger.OVERRULES, asks=False, why=f"{facts.judged} of {rules.overrules_least} judged parts")
    share = facts.overruled / facts.judged if facts.judged else 0.0
    said = f"{facts.overruled} of {facts.judged} judged parts overruled, {share:.1%} of {rules.overrule_rate:.1%}"
    return Word(Trigger.OVERRULES, asks=share > rules.overrule_rate, why=said)


def _drift(rules: TriggerRules, facts: ProductFacts, history: History, now_ms: int) -> Word:
    del history, now_ms
    if not rules.drift:
        return Word(Trigger.DRIFT, asks=False, why="off")
    if facts.drifting:
        return Word(Trigger.DRIFT, asks=True, why=f"drift: {', '.join(facts.drifting)}")
    return Word(Trigger.DRIFT, asks=False, why="drift quiet")


def _new_labels(rules: TriggerRules, facts: ProductFacts, history: History, now_ms: int) -> Word:
    del history, now_ms
    if not rules.new_labels:
        return Word(Trigger.NEW_LABELS, asks=False, why="off")
    said = f"{facts.new_labels} of {rules.new_labels} new labels"
    return Word(Trigger.NEW_LABELS, asks=facts.new_labels >= rules.new_labels, why=said)


def _schedule(rules: TriggerRules, facts: ProductFacts, history: History, now_ms: int) -> Word:
    del facts
    if not rules.every_h:
        return Word(Trigger.SCHEDULE, asks=False, why="off")
    last_ms = history.last_started_ms
    if last_ms is None:
        return Word(Trigger.SCHEDULE, asks=True, why=f"every {rules.every_h:g} h, and there was none")
    due_ms = last_ms + round(rules.every_h * HOUR_MS)
    return Word(Trigger.SCHEDULE, asks=now_ms >= due_ms, why=f"every {rules.every_h:g} h, due {said_time(due_ms)}")


def _under_way(history: History) -> str:
    return f"run {history.under_way} is under way" if history.under_way else ""


def _nothing_new(facts: ProductFacts) -> str:
    return "" if facts.new_labels else "no label is newer than the last training's: the same model would come of it"


def _cool_down(rules: TriggerRules, history: History, now_ms: int) -> str:
    ended_ms = history.last_ended_ms
    until_ms = 0 if ended_ms is None else ended_ms + round(rules.cool_down_h * HOUR_MS)
    return f"cool-down until {said_time(until_ms)}" if now_ms < until_ms else ""


def _budget(rules: TriggerRules, history: History, now_ms: int) -> str:
    spent = [start_ms for start_ms in history.starts_ms if start_ms > now_ms - WEEK_MS]
    if len(spent) < rules.budget_runs_a_week:
        return ""
    again = f", the next may start {said_time(_freed_ms(spent, rules))}" if rules.budget_runs_a_week else ""
    return f"budget: {len(spent)} of {rules.budget_runs_a_week} runs in seven days{again}"


def _freed_ms(spent: Sequence[int], rules: TriggerRules) -> int:
    return spent[-rules.budget_runs_a_week] + WEEK_MS


def _holds(holds: Sequence[str]) -> str:
    return next(filter(None, holds), "")


def said_time(at_ms: int) -> str:
    """A moment as people read it, to the minute, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
