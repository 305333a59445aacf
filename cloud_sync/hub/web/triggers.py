"""What begins a training of each product: where each trigger stands, what it waits for, and what holds all of them."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.labels.facts import images_by_class, labels_seq
from cloud_sync.hub.retraining.cloud_toml import ProductSection
from cloud_sync.hub.retraining.gathering import product_facts
from cloud_sync.hub.retraining.runs import Run, history_of
from cloud_sync.hub.retraining.triggers import HOUR_MS, History, ProductFacts, TriggerRules, Weighed, weigh
from cloud_sync.hub.web.board import show_board
from cloud_sync.hub.web.hub import Hub, hub, now_ms
from cloud_sync.pages.guard import Operator

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Gauge:
    """One trigger: its word, whether it asks or is off, how far it is, and what it has of what it needs.

    Args:
        word: its key among the words.
        state: asks, quiet, off.
        have: what was counted.
        need: what it waits for; 0 where it has no such number.
        about: names, such as the new classes.
        due_ms: when it is due, of a schedule.
    """

    word: str
    state: str
    have: float = 0
    need: float = 0
    about: str = ""
    due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ProductGauges:
    """One product: its triggers, and what holds those that ask."""

    product: str
    weighed: Weighed
    gauges: tuple[Gauge, ...]
    facts: ProductFacts
    cool_until_ms: int | None
    spent: int
    budget: int
    under_way: Run | None
    last: Run | None


@router.get("/triggers")
def triggers_page(request: Request, session: Operator) -> Response:  # noqa: ARG001 - the guard
    """Every product of cloud.toml."""
    here, now = hub(request), now_ms()
    found = [_gauged(here, product, now) for product in here.config.product]
    return show_board(request, "triggers.html", now, products=found)


def _gauged(here: Hub, product: ProductSection, now: int) -> ProductGauges:
    past = here.runs().of(product.id)
    with here.reading() as connection:
        newest = labels_seq(connection)
        total = here.counted.of("by class", product.id, newest, lambda: images_by_class(connection, product.id))
        facts = product_facts(connection, product.id, past, total)
    rules, history = product.triggers.rules, history_of(past, now)
    ended = history.last_ended_ms
    cool_until = None if ended is None else ended + round(rules.cool_down_h * HOUR_MS)
    return ProductGauges(
        product.id,
        weigh(rules, facts, history, now),
        gauges(rules, facts, history, now),
        facts,
        cool_until if cool_until is not None and cool_until > now else None,
        len(history.starts_ms),
        rules.budget_runs_a_week,
        next((run for run in past if run.result is None), None),
        next((run for run in past if run.result is not None), None),
    )


def gauges(rules: TriggerRules, facts: ProductFacts, history: History, now: int) -> tuple[Gauge, ...]:
    """Each trigger, in the order in which they are weighed; `weigh` alone decides, this says how far each is."""
    asks = {word.trigger.name.lower(): word.asks for word in weigh(rules, facts, history, now).words}
    off = {
        "new_class": not rules.new_class,
        "overrules": not rules.overrule_rate,
        "drift": not rules.drift,
        "new_labels": not rules.new_labels,
        "schedule": not rules.every_h,
    }
    due = None if history.last_started_ms is None else history.last_started_ms + round(rules.every_h * HOUR_MS)
    numbers: dict[str, dict[str, object]] = {
        "new_class": {"about": ", ".join(facts.new_classes)},
        "overrules": _overrules(rules, facts),
        "drift": {"about": ", ".join(facts.drifting)},
        "new_labels": {"have": facts.new_labels, "need": rules.new_labels},
        "schedule": {"have": rules.every_h, "due_ms": due},
    }
    states = {word: "off" if off[word] else "asks" if asks[word] else "quiet" for word in off}
    return tuple(Gauge(word, states[word], **numbers[word]) for word in off)  # type: ignore[arg-type]


def _overrules(rules: TriggerRules, facts: ProductFacts) -> dict[str, object]:
    """Judged parts until they are enough, then the share that was overruled."""
    if facts.judged < rules.overrules_least:
        return {"have": facts.judged, "need": rules.overrules_least, "about": "judged"}
    return {"have": facts.overruled / max(facts.judged, 1), "need": rules.overrule_rate}
