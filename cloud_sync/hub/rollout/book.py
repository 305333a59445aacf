"""Rollouts as the store keeps them, read in the caller's transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cloud_sync.hub.rollout.plan import RolloutPlan, unpack_plan
from cloud_sync.hub.rollout.stages import Asked, Counts, Standing, stage_name
from cloud_sync.hub.store.distinct import values_of
from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.hub.store.rollout_tables import rollout_decisions, rollout_stations, rollouts
from cloud_sync.hub.store.tables import conditions, stations
from cloud_sync.wire.messages import HealthMessage

_RELEASE_ALARM = "release"
_NEWEST_FIRST = (rollouts.c.made_at_ms.desc(), rollouts.c.release)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout, as it stands.

    Args:
        release: its name, which is the rollout's id.
        product: whose model it is.
        attempt: how often it was begun.
        state: waiting, running, done or stopped.
        stage: of the plan's stages, from 0.
        stage_since_ms: when that began.
        why: what it waits for, or why it ended.
        plan: how.
        made_at_ms: when it was asked for.
        changed_at_ms: when state or stage changed.
    """

    release: str
    product: str
    attempt: int
    state: str
    stage: int
    stage_since_ms: int
    why: str
    plan: RolloutPlan
    made_at_ms: int
    changed_at_ms: int

    @property
    def stage_name(self) -> str:
        """For people."""
        return stage_name(self.plan, self.stage)


@dataclass(frozen=True, slots=True)
class Told:
    """What one decision was, and on what facts."""

    release: str
    number: int
    at_ms: int
    attempt: int
    stage: str
    what: str
    why: str
    facts: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a station was asked for last, by whichever rollout; `settled`: its own word agrees."""

    release: str
    job: str
    asked: Asked
    state: str

    @property
    def settled(self) -> bool:
        """Whether the station is where it was asked to be, or at its end."""
        if self.state in {"back", "rejected"}:
            return True
        return self.state in ({"shadow", "live"} if self.asked is Asked.SHADOW else {self.asked.value})


def read_rollouts(connection: sa.Connection) -> list[Rollout]:
    """All of them, the newest first. Raises PlanError, SQLAlchemyError."""
    return _read(connection, _told().order_by(*_NEWEST_FIRST))


def read_newest(connection: sa.Connection, limit: int) -> list[Rollout]:
    """Some: those that run, those that wait, then those that ended, the newest first; each state by its index.

    Raises PlanError, SQLAlchemyError.
    """
    some = {
        state: _read(connection, _told().where(rollouts.c.state == state).order_by(*_NEWEST_FIRST).limit(limit))
        for state in ("running", "waiting", "done", "stopped")
    }
    ended = sorted(some["done"] + some["stopped"], key=lambda one: (-one.made_at_ms, one.release))
    return (some["running"] + some["waiting"] + ended)[:limit]


def watched(known: Sequence[Rollout]) -> list[Rollout]:
    """Those that are done and still in use: of each product the newest that was not stopped.

    Args:
        known: all, the newest first.
    """
    newest: dict[str, Rollout] = {}
    for one in known:
        if one.state in {"running", "done"}:
            newest.setdefault(one.product, one)
    return [one for one in newest.values() if one.state == "done"]


def read_rollout(connection: sa.Connection, release: str) -> Rollout | None:
    """One of them; None where there is none of this name."""
    return next(iter(_read(connection, _told().where(rollouts.c.release == release))), None)


def read_decisions(connection: sa.Connection, release: str, newest: int | None = None) -> list[Told]:
    """What was decided of a rollout, in order: all of it, or the newest, without the facts of all stations."""
    columns: list[sa.ColumnElement[Any]] = [rollout_decisions.c[name] for name in Told.__slots__]
    if newest is not None:
        columns[-1] = sa.literal("")
    mine = sa.select(*columns).where(rollout_decisions.c.release == release)
    found = connection.execute(mine.order_by(rollout_decisions.c.number.desc()).limit(newest))
    return [Told(*row) for row in found][::-1]


def read_claims(connection: sa.Connection, release: str | None = None) -> dict[str, Claim]:
    """Of each station that was asked for anything: the newest. What a station hears is one offer at a time.

    Args:
        connection: to the store.
        release: only the stations of this rollout, whatever they were asked for since.
    """
    newest = _newest_asked(connection, release)
    own, releases = rollout_stations.c, sorted(set(newest.values()))
    query = (
        sa.select(own.station, own.release, own.job, own.asked, jobs.c.state)
        .join(jobs, sa.and_(same_job(), jobs.c.name.in_(releases)))
        .where(own.release.in_(releases), own.asked != Asked.NOTHING.value)
    )
    return {
        row.station: Claim(row.release, row.job, Asked(row.asked), row.state)
        for row in connection.execute(query)
        if newest.get(row.station) == row.release
    }


def read_standings(connection: sa.Connection, rollout: Rollout, now_ms: int) -> tuple[Standing, ...]:
    """What is known of each station of a rollout, in the order of their turn."""
    own, claims = rollout_stations.c, read_claims(connection, rollout.release)
    others = rollouts.c.release.in_(sorted({claim.release for claim in claims.values()}))
    found = connection.execute(sa.select(rollouts.c.release, rollouts.c.state).where(others))
    states: dict[str, str] = {row[0]: row[1] for row in found}
    query = (
        sa.select(rollout_stations, jobs.c.state, jobs.c.why, jobs.c.figures, jobs.c.changed_at_ms)
        .add_columns(stations.c.last_seen_at_ms, conditions.c.state.label("online"))
        .add_columns(conditions.c.health, conditions.c.health_at_ms)
        .outerjoin(jobs, sa.and_(same_job(), jobs.c.name == rollout.release))
        .outerjoin(stations, stations.c.station == own.station)
        .outerjoin(conditions, conditions.c.station == own.station)
        .where(own.release == rollout.release)
        .order_by(own.place)
    )
    return tuple(_standing(row, claims, states, now_ms) for row in connection.execute(query).mappings())


def _told() -> "sa.Select[tuple[Any, ...]]":
    return sa.select(*(rollouts.c[name] for name in Rollout.__slots__))


def _read(connection: sa.Connection, query: "sa.Select[tuple[Any, ...]]") -> list[Rollout]:
    rows = connection.execute(query)
    return [Rollout(**{**row._asdict(), "plan": unpack_plan(row.plan)}) for row in rows]


def _newest_asked(connection: sa.Connection, release: str | None) -> dict[str, str]:
    """Of each station the release that it was asked for last: one look into an index each, whatever was before."""
    if release is None:
        names = values_of(rollout_stations.c.station, "station")
    else:
        names = sa.select(rollout_stations.c.station).where(rollout_stations.c.release == release).subquery()
    asked = rollout_stations.alias("asked")
    mine = asked.c.station == names.c.station, asked.c.asked != Asked.NOTHING.value
    last = sa.select(asked.c.release).where(*mine).order_by(asked.c.asked_at_ms.desc(), asked.c.release.desc())
    query = sa.select(names.c.station, last.limit(1).correlate(names).scalar_subquery())
    return {row[0]: row[1] for row in connection.execute(query) if row[1] is not None}


def _standing(found: sa.RowMapping, claims: Mapping[str, Claim], states: Mapping[str, str], now_ms: int) -> Standing:
    asked_at_ms = found["asked_at_ms"] or 0
    heard = max(found["last_seen_at_ms"] or 0, asked_at_ms)
    changed = max(found["changed_at_ms"] or 0, asked_at_ms)
    is_asked = bool(found["job"])
    return Standing(
        station=found["station"],
        asked=Asked(found["asked"]),
        state=found["state"] or "asked",
        why=found["why"] or "",
        counts=counts_in(found["figures"] or "{}"),
        online=found["online"] == "online",
        silent_ms=max(0, now_ms - heard) if is_asked else 0,
        idle_ms=max(0, now_ms - changed) if is_asked else 0,
        trouble=_trouble(found, asked_at_ms) if is_asked else (),
        busy=_busy(found["release"], claims.get(found["station"]), states),
    )


def same_job() -> sa.ColumnElement[bool]:
    """Condition: the offer of a rollout's station; name its releases too, for offers are found by them."""
    own = rollout_stations.c
    return sa.and_(jobs.c.name == own.release, jobs.c.station == own.station, jobs.c.job == own.job)


def counts_in(figures: str) -> Counts:
    """What a station counted, out of its word; what it left out is 0."""
    said = json.loads(figures)
    return Counts(**{name: int(said.get(name, 0)) for name in Counts.__slots__})


def faults_now(connection: sa.Connection, station: str) -> list[str]:
    """What is wrong with a station before it is asked for anything."""
    health = connection.scalar(sa.select(conditions.c.health).where(conditions.c.station == station))
    return sorted(_wrong(HealthMessage.unpack(health.encode()))) if health else []


def _wrong(health: HealthMessage) -> set[str]:
    said = {f"fault {name}" for name in health.faults}
    if _RELEASE_ALARM in health.alarms:
        said.add(f"alarm {_RELEASE_ALARM}: {health.alarms[_RELEASE_ALARM]}")
    return said if health.ready else {*said, "not ready"}


def _trouble(found: sa.RowMapping, asked_at_ms: int) -> tuple[str, ...]:
    """What is wrong now and was not before; what was said before it was asked tells nothing."""
    if not found["health"] or (found["health_at_ms"] or 0) <= asked_at_ms:
        return ()
    return tuple(sorted(_wrong(HealthMessage.unpack(found["health"].encode())) - set(json.loads(found["faults"]))))


def _busy(release: str, claim: Claim | None, states: Mapping[str, str]) -> str:
    """Why a station cannot be asked now: it hears one offer at a time."""
    if claim is None or claim.release == release:
        return ""
    if states.get(claim.release) == "running":
        return f"{claim.release} is rolling out to it"
    waits = claim.asked is Asked.BACK and not claim.settled
    return f"it has not gone back from {claim.release} yet" if waits else ""
