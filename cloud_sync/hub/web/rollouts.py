"""How far each release is, station by station, and ways to stop it, take it back or let it go on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Form, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.hub.plain import plain
from cloud_sync.hub.rollout.book import (
    Rollout,
    read_decisions,
    read_newest,
    read_rollout,
    read_standings,
    same_job,
)
from cloud_sync.hub.rollout.stages import CANARY, Asked, stage_name, withdrawal
from cloud_sync.hub.rollout.starting import resume_rollout, stop_rollout
from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.hub.store.overview import models_in_use
from cloud_sync.hub.store.rollout_tables import rollout_decisions, rollout_stations, rollouts
from cloud_sync.hub.web.board import show_board
from cloud_sync.hub.web.hub import hub, now_ms
from cloud_sync.hub.web.rollout_stations import LOOK, MOST, NOT_ASKED, stations_page
from cloud_sync.hub.web.workers import workers_alive
from cloud_sync.pages.acts import noted
from cloud_sync.pages.guard import Engineer, Operator
from cloud_sync.pages.showing import show

router = APIRouter()
ReleaseName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")]
_COUNTED_MOST = 1000
_DECISIONS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a plan: for people, and where the rollout stands to it."""

    name: str
    number: int
    is_through: bool
    is_now: bool


@router.get("/rollouts")
def rollouts_page(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    most: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """The board: rollouts by their stage, those under way first."""
    now = now_ms()
    with hub(request).reading() as connection:
        shown = read_newest(connection, most)
        total = _some(connection, sa.select(rollouts.c.state))
        counts = _counts(connection, [one.release for one in shown])
        in_use, alive = models_in_use(connection, now), workers_alive(connection, now)
    said = {"rollouts": shown, "total": total, "most": most, "counts": counts, "in_use": in_use, "alive": alive}
    return show_board(request, "rollouts.html", now, stages=stages_of, **said)


@router.get("/rollouts/{release}")
def rollout_page(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    release: ReleaseName,
    show: Annotated[str, Query(pattern=r"^[a-z_]{0,16}$")] = "",
    text: Annotated[str, Query(max_length=63)] = "",
    first: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """One rollout: its stations, what each counted, and what was decided when."""
    now = now_ms()
    with hub(request).reading() as connection:
        rollout = _found(connection, release)
        standings = read_standings(connection, rollout, now)
        told, alive = read_decisions(connection, release, _DECISIONS_SHOWN), workers_alive(connection, now)
        mine = sa.select(rollout_decisions.c.number).where(rollout_decisions.c.release == release)
        told_total = _some(connection, mine)
    page = stations_page(rollout.plan, standings, show, text.strip(), first)
    return show_board(
        request,
        "rollout.html",
        now,
        rollout=rollout,
        stages=stages_of(rollout),
        canary=standings[0].station if standings else "",
        page=page,
        place=request.url.path,
        asked={"show": show, "text": text},
        shows=[LOOK, *sorted(page.counts.keys() - {LOOK, NOT_ASKED}), NOT_ASKED],
        first=page.first,
        most=MOST,
        of_all=len(standings),
        told=told[::-1],
        told_total=told_total,
        alive=alive,
        left_out=any(one.state != "live" for one in standings),
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


def _some(connection: sa.Connection, query: "sa.Select[tuple[Any]]") -> int:
    """How many rows, counted up to a limit."""
    some = query.limit(_COUNTED_MOST).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0


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
        .outerjoin(jobs, sa.and_(same_job(), jobs.c.name.in_(shown)))
        .where(own.release.in_(shown))
        .group_by(own.release, own.asked, jobs.c.state)
    )
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for release, asked, state, count in connection.execute(query):
        found[release][(state or "asked") if asked != Asked.NOTHING.value else ""] += count
    return found
