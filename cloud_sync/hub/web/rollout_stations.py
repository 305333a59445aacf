"""The stations of a rollout as its page shows them: who needs a look comes first. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.stages import REJECTS_ASKED, Asked, Standing
from cloud_sync.hub.web.board import page_from

MOST = 100  # on one page
NOT_ASKED = "not_asked"
LOOK = "look"
_ENDS = frozenset({"rejected", "back"})


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate at one station: what was counted of how many, and the share that it may be at most."""

    word: str
    count: int
    of: int
    most: float
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One station with its gates."""

    standing: Standing
    gates: tuple[Gate, ...]
    needs_look: bool


@dataclass(frozen=True, slots=True)
class StationsPage:
    """Some of the stations and how many come before, how many are as was asked for, and how many are in each state."""

    stations: Sequence[Shown]
    first: int
    total: int
    counts: Mapping[str, int]


def stations_page(plan: RolloutPlan, standings: Sequence[Standing], show: str, text: str, first: int) -> StationsPage:
    """The stations that are asked for, who needs a look first, then in the order of their turn.

    Args:
        plan: what each gate allows.
        standings: all of them, in the order of their turn.
        show: a state, `NOT_ASKED`, `LOOK`; "" for all.
        text: a part of the station's id.
        first: how many come before this page; past the end it is the last page.
    """
    shown = [_shown(plan, one) for one in standings]
    counts = Counter(_word(one.standing) for one in shown)
    counts[LOOK] = sum(one.needs_look for one in shown)
    asked = [one for one in shown if _fits(one, show) and text.lower() in one.standing.station]
    asked.sort(key=lambda one: not one.needs_look)
    first = page_from(first, len(asked), MOST)
    return StationsPage(asked[first : first + MOST], first, len(asked), counts)


def gates(plan: RolloutPlan, one: Standing) -> Iterator[Gate]:
    """The gates that hold in the state that a station is in, as `stages` weighs them."""
    counts = one.counts
    if one.state == "shadow":
        asked = max(counts.parts, plan.shadow_parts)
        rejects = max(counts.champion_rejects, REJECTS_ASKED)
        shift = abs(counts.rejects - counts.champion_rejects)
        yield _gate("disagreement", counts.disagreements, counts.parts, plan.disagreement_most, asked)
        yield _gate("escape", counts.passes_of_rejects, counts.champion_rejects, plan.escape_most, rejects)
        yield _gate("shift", shift, counts.parts, plan.reject_shift_most, asked)
        yield _gate("undecided", counts.undecided, counts.parts, plan.undecided_most, asked)
    elif one.state == "live":
        asked = max(counts.parts, plan.live_parts)
        yield _gate("undecided", counts.undecided, counts.parts, plan.undecided_most, asked)
    if one.state in {"shadow", "live"}:
        yield Gate("faults", counts.faults, counts.parts, 0.0, not counts.faults)


def _gate(word: str, count: int, of: int, most: float, asked: int) -> Gate:
    return Gate(word, count, of, most, count <= most * asked)


def _shown(plan: RolloutPlan, one: Standing) -> Shown:
    own = tuple(gates(plan, one))
    broken = any(not gate.is_kept for gate in own)
    is_asked = one.asked is not Asked.NOTHING
    away = is_asked and (not one.online or one.state in _ENDS)
    return Shown(one, own, broken or bool(one.trouble) or bool(one.busy) or away)


def _word(one: Standing) -> str:
    return one.state if one.asked is not Asked.NOTHING else NOT_ASKED


def _fits(one: Shown, show: str) -> bool:
    if show == LOOK:
        return one.needs_look
    return not show or _word(one.standing) == show
