"""How far each release is, station by station, and ways to stop it, take it back or let it go on."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Form, Path
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.hub.plain import plain
from cloud_sync.hub.rollout.book import Rollout, read_decisions, read_rollout, read_rollouts, read_standings
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.stages import CANARY, REJECTS_ASKED, Asked, Standing, stage_name, withdrawal
from cloud_sync.hub.rollout.starting import resume_rollout, stop_rollout
from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.hub.store.overview import models_in_use
from cloud_sync.hub.store.rollout_tables import rollout_stations
from cloud_sync.hub.web.board import show_board
from cloud_sync.hub.web.hub import hub, now_ms
from cloud_sync.hub.web.workers import workers_alive
from cloud_sync.pages.acts import noted
from cloud_sync.pages.guard import Engineer, Operator
from cloud_sync.pages.showing import show

router = APIRouter()
ReleaseName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")]
_SHOWN = 50
_DECISIONS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a plan: for people, and where the rollout stands to it."""

    name: str
    number: int
    is_through: bool
    is_now: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate at one station: what was counted of how many, and the share that it may be at most."""

    word: str
    count: int
    of: int
    most: float
    is_kept: bool


@router.get("/rollouts")
def rollouts_page(request: Request, session: Operator) -> Response:  # noqa: ARG001 - the guard
    """The board: every rollout by its stage."""
    now = now_ms()
    with hub(request).reading() as connection:
        found = read_rollouts(connection)
        order = {"running": 0, "waiting": 1}
        found.sort(key=lambda one: order.get(one.state, 2))
        shown = found[:_SHOWN]
        counts = _counts(connection, [one.release for one in shown])
        in_use, alive = models_in_use(connection, now), workers_alive(connection, now)
    said = {"rollouts": shown, "total": len(found), "counts": counts, "in_use": in_use, "alive": alive}
    return show_board(request, "rollouts.html", now, stages=stages_of, **said)


@router.get("/rollouts/{release}")
def rollout_page(request: Request, session: Operator, release: ReleaseName) -> Response:  # noqa: ARG001 - the guard
    """One rollout: each station, what it counted, and what was decided when."""
    now = now_ms()
    with hub(request).reading() as connection:
        rollout = _found(connection, release)
        standings = read_standings(connection, rollout, now)
        told, alive = read_decisions(connection, release), workers_alive(connection, now)
    return show_board(
        request,
        "rollout.html",
        now,
        rollout=rollout,
        stages=stages_of(rollout),
        standings=standings,
        gates=lambda one: list(gates(rollout.plan, one)),
        told=told[-_DECISIONS_SHOWN:][::-1],
        told_total=len(told),
        alive=alive,
        left_out=[one.station for one in standings if one.state != "live"],
    )


@router.get("/rollouts/{release}/stop")
def ask_to_stop(request: Request, session: Engineer, release: ReleaseName) -> Response:  # noqa: ARG001 - the guard
    """Say whom it calls back, and ask."""
    with hub(request).reading() as connection:
        rollout = _found(connection, release)
        standings = read_standings(connection, rollout, now_ms())
    back = {name for name, _ in withdrawal(standings)}
    called = [one for one in standings if one.station in back]
    return show(request, "rollout_stop.html", rollout=rollout, called=called)


@router.post("/rollouts/{release}/stop")
@noted("rollout stop", lambda given: f"{given['release']}: {plain(given['why'])}")
def stop(
    request: Request, session: Engineer, release: ReleaseName, why: Annotated[str, Form(max_length=300)] = ""
) -> Response:
    """Call it back from every station, as `cloud rollout stop` does."""
    said = f"{session.person.name} stopped it" + (f": {plain(why)}" if why else "")
    stop_rollout(hub(request).config.cloud.store, release, said)
    return RedirectResponse(f"/rollouts/{release}", 303)


@router.get("/rollouts/{release}/resume")
def ask_to_resume(request: Request, session: Engineer, release: ReleaseName) -> Response:  # noqa: ARG001 - the guard
    """Say what going on means, and ask."""
    with hub(request).reading() as connection:
        rollout = _found(connection, release)
        standings = read_standings(connection, rollout, now_ms())
    left_out = [one.station for one in standings if one.state != "live"]
    return show(request, "rollout_resume.html", rollout=rollout, standings=standings, left_out=left_out)


@router.post("/rollouts/{release}/resume")
@noted("rollout resume", "{release}")
def resume(request: Request, session: Engineer, release: ReleaseName) -> Response:  # noqa: ARG001 - the guard
    """Begin it anew, or go on with stations that it left out, as `cloud rollout resume` does."""
    resume_rollout(hub(request).config.cloud.store, release)
    return RedirectResponse(f"/rollouts/{release}", 303)


def stages_of(rollout: Rollout) -> list[Stage]:
    """The stages of its plan; of one that is done all are through."""
    last, is_done = CANARY + len(rollout.plan.steps_percent), rollout.state == "done"
    return [
        Stage(
            stage_name(rollout.plan, number),
            number,
            is_done or number < rollout.stage,
            not is_done and number == rollout.stage,
        )
        for number in range(last + 1)
    ]


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


def _found(connection: sa.Connection, release: str) -> Rollout:
    rollout = read_rollout(connection, release)
    if rollout is None:
        raise HTTPException(404)
    return rollout


def _counts(connection: sa.Connection, shown: Sequence[str]) -> dict[str, dict[str, int]]:
    """Of each rollout how many stations are in which state; "" of those that were asked for nothing yet."""
    own = rollout_stations.c
    query = (
        sa.select(own.release, own.asked, jobs.c.state, sa.func.count())
        .outerjoin(jobs, sa.and_(jobs.c.station == own.station, jobs.c.job == own.job))
        .where(own.release.in_(shown))
        .group_by(own.release, own.asked, jobs.c.state)
    )
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for release, asked, state, count in connection.execute(query):
        found[release][(state or "asked") if asked != Asked.NOTHING.value else ""] += count
    return found
