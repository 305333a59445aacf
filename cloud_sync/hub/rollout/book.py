"""Rollouts as the store keeps them, read in the caller's transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.rollout.plan import RolloutPlan, unpack_plan
from cloud_sync.hub.rollout.stages import Asked, Counts, Standing, stage_name
from cloud_sync.hub.store.file_tables import jobs
from cloud_sync.hub.store.rollout_tables import rollout_decisions, rollout_stations, rollouts
from cloud_sync.hub.store.tables import conditions, stations
from cloud_sync.wire.messages import HealthMessage

_RELEASE_ALARM = "release"


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
    columns = [rollouts.c[name] for name in Rollout.__slots__]
    rows = connection.execute(sa.select(*columns).order_by(rollouts.c.made_at_ms.desc(), rollouts.c.release))
    return [Rollout(**{**row._asdict(), "plan": unpack_plan(row.plan)}) for row in rows]


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
    return next((one for one in read_rollouts(connection) if one.release == release), None)


def read_decisions(connection: sa.Connection, release: str) -> list[Told]:
    """All that was decided of a rollout, in order."""
    columns = [rollout_decisions.c[name] for name in Told.__slots__]
    mine = sa.select(*columns).where(rollout_decisions.c.release == release)
    return [Told(*row) for row in connection.execute(mine.order_by(rollout_decisions.c.number))]


def read_claims(connection: sa.Connection) -> dict[str, Claim]:
    """Of each station that was asked for anything: the newest. What a station hears is one offer at a time."""
    own = rollout_stations.c
    query = (
        sa.select(own.station, own.release, own.job, own.asked, jobs.c.state)
        .join(jobs, sa.and_(jobs.c.station == own.station, jobs.c.job == own.job))
        .where(own.asked != Asked.NOTHING.value)
        .order_by(own.asked_at_ms, own.release)
    )
    return {row.station: Claim(row.release, row.job, Asked(row.asked), row.state) for row in connection.execute(query)}


def read_standings(connection: sa.Connection, rollout: Rollout, now_ms: int) -> tuple[Standing, ...]:
    """What is known of each station of a rollout, in the order of their turn."""
    own, claims = rollout_stations.c, read_claims(connection)
    states = {one.release: one.state for one in read_rollouts(connection)}
    query = (
        sa.select(rollout_stations, jobs.c.state, jobs.c.why, jobs.c.figures, jobs.c.changed_at_ms)
        .add_columns(stations.c.last_seen_at_ms, conditions.c.state.label("online"))
        .add_columns(conditions.c.health, conditions.c.health_at_ms)
        .outerjoin(jobs, sa.and_(jobs.c.station == own.station, jobs.c.job == own.job))
        .outerjoin(stations, stations.c.station == own.station)
        .outerjoin(conditions, conditions.c.station == own.station)
        .where(own.release == rollout.release)
        .order_by(own.place)
    )
    return tuple(_standing(row, claims, states, now_ms) for row in connection.execute(query).mappings())


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
