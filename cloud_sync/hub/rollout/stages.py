"""How far a release may go, decided from what the stations said. Pure: no store, no clock, no broker.

The stages: shadow on the canary, the canary decides by it, then each share of the stations, the last of them all.

- A station's share of the way only grows: asked for nothing, to look (shadow), to decide (live), to go back. Nobody is
  asked twice for the same, and nobody who went back is asked again.
- Never are more stations asked to decide than the stage's share of all, rounded down, and the canary.
- Any gate that fails stops the rollout, everywhere. What only lacks something waits, and says for what.
- A station of which nothing was heard for the plan's patience, or no part, holds up no other; what it was asked for
  stays with the broker, and it goes on when it is back. It has proven nothing: a step of which nobody but the canary
  did goes no further, and at the end it is named. Without its canary a rollout has no ground: it stops.
- One that decides by it and has stood still in a fault for that long is no silent one: it stops the rollout.
- A part that the station left undecided counts against the release, whatever the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cloud_sync.hub.rollout.plan import RolloutPlan

SHADOW, CANARY = 0, 1
REJECTS_ASKED = 10  # of so many parts that the model in use rejects, the share that may pass is reckoned at least
_MINUTE_MS = 60_000
_NAMED_MOST = 8


class Asked(StrEnum):
    """What a station was asked for, in this order."""

    NOTHING = ""
    SHADOW = "shadow"
    LIVE = "live"
    BACK = "back"


class What(StrEnum):
    """What is decided of a rollout."""

    WAIT = "wait"
    ADVANCE = "advance"
    DONE = "done"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Counts:
    """What a station counted since the state began that it is in; see `JobState`."""

    parts: int = 0
    skipped: int = 0
    disagreements: int = 0
    undecided: int = 0
    rejects: int = 0
    champion_rejects: int = 0
    passes_of_rejects: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one station.

    Args:
        station: its id.
        asked: what it was asked for.
        state: its own last word of this offer; `asked` where it did not answer yet.
        why: likewise.
        counts: likewise.
        online: whether it says that it is.
        silent_ms: how long nothing was heard of it.
        idle_ms: how long its word did not change and no part was counted, since it was asked.
        trouble: what is wrong with it that was not before it was asked.
        busy: why it cannot be asked now, such as another release that it has not gone back from.
    """

    station: str
    asked: Asked = Asked.NOTHING
    state: str = "asked"
    why: str = ""
    counts: Counts = Counts()
    online: bool = True
    silent_ms: int = 0
    idle_ms: int = 0
    trouble: tuple[str, ...] = ()
    busy: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done: of the rollout, and what stations are to be asked for."""

    what: What
    why: str
    asks: tuple[tuple[str, Asked], ...] = ()


def stage_name(plan: RolloutPlan, stage: int) -> str:
    """For people."""
    if stage <= CANARY:
        return ("shadow", "canary")[stage]
    return f"{plan.steps_percent[stage - CANARY - 1]} %"


def share(plan: RolloutPlan, stage: int, stations: int) -> int:
    """How many of all stations may decide by the release in a stage."""
    if stage <= CANARY:
        return stage
    return max(1, stations * plan.steps_percent[stage - CANARY - 1] // 100)


def decide(plan: RolloutPlan, stage: int, stage_age_ms: int, stations: Sequence[Standing]) -> Decision:
    """What comes next.

    Args:
        plan: what each stage asks.
        stage: `SHADOW`, `CANARY`, then one for each step of the plan.
        stage_age_ms: how long this stage has lasted.
        stations: all of the rollout, in the order of their turn; the first is the canary.
    """
    if failed := next(_failures(plan, stations), None):
        return Decision(What.STOP, failed, withdrawal(stations))
    if asks := _asks(plan, stage, stations):
        return Decision(What.WAIT, f"asked {listed([name for name, _ in asks])}", asks)
    if lack := next(_lacks(plan, stage, stage_age_ms, stations), None):
        return Decision(What.WAIT, lack)
    left_ms = plan.min_minutes * _MINUTE_MS - stage_age_ms
    if left_ms > 0:
        return Decision(What.WAIT, f"all are through; this stage lasts {left_ms / _MINUTE_MS:.1f} minutes more")
    if stage == CANARY + len(plan.steps_percent):
        return Decision(What.DONE, all_through(plan, stations))
    return Decision(What.ADVANCE, f"{stage_name(plan, stage)} is through")


def withdrawal(stations: Sequence[Standing]) -> tuple[tuple[str, Asked], ...]:
    """Everybody who was asked for anything is asked to go back: also who only looked, or has not answered yet."""
    return tuple((one.station, Asked.BACK) for one in stations if one.asked in {Asked.SHADOW, Asked.LIVE})


def is_back(one: Standing) -> bool:
    """Whether a station that was asked to go back did, or never took it."""
    return one.asked is Asked.NOTHING or one.state in {"back", "rejected"}


def failure_of(plan: RolloutPlan, one: Standing) -> str:
    """What a station says against the release; "" for nothing."""
    if one.asked not in {Asked.SHADOW, Asked.LIVE}:
        return ""
    if one.state in {"rejected", "back"}:
        return f"{one.station} {'rejected it' if one.state == 'rejected' else 'went back'}: {one.why or 'no reason'}"
    if one.state == "live" and one.asked is Asked.SHADOW:
        return f"{one.station} decides by it, and was only asked to look"
    why = _against(plan, one)
    return f"{one.station} in {one.state}: {why}" if why else ""


def stands_still(plan: RolloutPlan, one: Standing) -> str:
    """What keeps a station that decides by the release from counting parts, for longer than the patience; ""."""
    if one.asked is not Asked.LIVE or one.state != "live" or one.idle_ms <= plan.patience_minutes * _MINUTE_MS:
        return ""
    return f"{one.station} stands still since it decides by it: {', '.join(one.trouble)}" if one.trouble else ""


def has_proven(plan: RolloutPlan, one: Standing) -> bool:
    """Whether a station decided so many parts by it as the plan asks, and decides on."""
    return one.state == "live" and one.counts.parts >= plan.live_parts


def all_through(plan: RolloutPlan, stations: Sequence[Standing]) -> str:
    """Who decides by it, and who has not proven it: silent ones count as such, and are named."""
    late = [one.station for one in stations if not has_proven(plan, one)]
    text = f"{len(stations) - len(late)} of {len(stations)} stations decide by it"
    return f"{text}; not proven at these, and they follow when they are back: {listed(late)}" if late else text


def listed(names: Sequence[str]) -> str:
    """A few names, and how many more."""
    more = len(names) - _NAMED_MOST
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED_MOST])} and {more} more"


def _failures(plan: RolloutPlan, stations: Sequence[Standing]) -> Iterator[str]:
    patience_ms = plan.patience_minutes * _MINUTE_MS
    for one in stations:
        if why := failure_of(plan, one) or stands_still(plan, one):
            yield why
    canary = stations[0]
    if canary.asked in {Asked.SHADOW, Asked.LIVE} and canary.silent_ms > patience_ms:
        yield f"nothing was heard of the canary {canary.station} for {canary.silent_ms / _MINUTE_MS:.0f} minutes"
    if canary.asked is Asked.LIVE and canary.trouble and canary.idle_ms > patience_ms:
        yield f"the canary {canary.station} stands still: {', '.join(canary.trouble)}"


def _against(plan: RolloutPlan, one: Standing) -> str:
    if one.state == "shadow":
        return _against_shadow(plan, one.counts)
    return _against_live(plan, one.counts) if one.state == "live" else ""


def _against_shadow(plan: RolloutPlan, counts: Counts) -> str:
    asked = max(counts.parts, plan.shadow_parts)
    if counts.faults:
        return f"it broke on {counts.faults} of {counts.parts + counts.faults} parts"
    if counts.undecided > plan.undecided_most * asked:
        return _share("left undecided", counts.undecided, counts.parts, plan.undecided_most)
    if counts.passes_of_rejects > plan.escape_most * max(counts.champion_rejects, REJECTS_ASKED):
        what = "that the model in use rejects are passed"
        return _share(what, counts.passes_of_rejects, counts.champion_rejects, plan.escape_most)
    if counts.disagreements > plan.disagreement_most * asked:
        what = "judged otherwise than by the model in use"
        return _share(what, counts.disagreements, counts.parts, plan.disagreement_most)
    if abs(counts.rejects - counts.champion_rejects) > plan.reject_shift_most * asked:
        said = f"it rejects {counts.rejects} of {counts.parts} parts, the model in use {counts.champion_rejects}"
        return f"{said}: at most {plan.reject_shift_most:.1%} apart"
    return ""


def _against_live(plan: RolloutPlan, counts: Counts) -> str:
    if counts.faults:
        return f"it broke, or gave no answer, on {counts.faults} of {counts.parts} parts"
    if counts.undecided > plan.undecided_most * max(counts.parts, plan.live_parts):
        return _share("left undecided", counts.undecided, counts.parts, plan.undecided_most)
    return ""


def _share(what: str, count: int, of: int, most: float) -> str:
    return f"{count} of {of} parts {what}: at most {most:.1%} may be"


def _asks(plan: RolloutPlan, stage: int, stations: Sequence[Standing]) -> tuple[tuple[str, Asked], ...]:
    canary = stations[0]
    if stage == SHADOW:
        return ((canary.station, Asked.SHADOW),) if canary.asked is Asked.NOTHING and not canary.busy else ()
    room = share(plan, stage, len(stations)) - sum(one.asked in {Asked.LIVE, Asked.BACK} for one in stations)
    if stage == CANARY:
        return ((canary.station, Asked.LIVE),) if canary.asked is Asked.SHADOW and room > 0 else ()
    free = [one for one in stations[1:] if one.asked is Asked.NOTHING and not one.busy]
    chosen = sorted(free, key=lambda one: not one.online)[: max(0, room)]  # who is there goes before who is not
    return tuple((one.station, Asked.LIVE) for one in chosen)


def _lacks(plan: RolloutPlan, stage: int, stage_age_ms: int, stations: Sequence[Standing]) -> Iterator[str]:
    """What is still missing, station by station."""
    if stage == SHADOW:
        if stations[0].busy:
            yield f"{stations[0].station}: {stations[0].busy}"
        yield from _lack_of(stations[0], "shadow", plan.shadow_parts)
        return
    patience_ms = plan.patience_minutes * _MINUTE_MS
    for one in stations:
        holds_up = one is stations[0] or max(one.silent_ms, one.idle_ms) <= patience_ms
        if one.asked is Asked.LIVE and holds_up:
            yield from _lack_of(one, "live", plan.live_parts)
        elif one.busy and stage_age_ms <= patience_ms and stage == CANARY + len(plan.steps_percent):
            yield f"{one.station}: {one.busy}"
    if CANARY < stage < CANARY + len(plan.steps_percent):
        yield from _lacks_proof(plan, [one for one in stations[1:] if one.asked is Asked.LIVE])


def _lacks_proof(plan: RolloutPlan, followers: Sequence[Standing]) -> Iterator[str]:
    """Silence is no proof: where none of a step's stations decided enough parts, the step showed nothing."""
    if followers and not any(has_proven(plan, one) for one in followers):
        silent = listed([one.station for one in followers])
        yield f"nobody but the canary has proven it, and nothing is heard of {silent}"


def _lack_of(one: Standing, state: str, parts: int) -> Iterator[str]:
    if not one.online:
        yield f"{one.station} is offline"
    elif one.state != state:
        said = "did not answer yet" if one.state == "asked" else f"is at {one.state}"
        yield f"{one.station} {said}{f' ({one.why})' if one.why else ''}, and goes on to {state}"
    elif one.trouble:
        yield f"{one.station}: {', '.join(one.trouble)}"
    elif one.counts.parts < parts:
        skipped = f", and had no time for {one.counts.skipped}" if one.counts.skipped else ""
        yield f"{one.station} counted {one.counts.parts} of {parts} parts in {state}{skipped}"
