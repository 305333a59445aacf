"""What is written of a rollout, each in the caller's transaction, and the offer as it goes out."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from cloud_sync.hub.files.releases import Release, open_job
from cloud_sync.hub.rollout.book import Claim, Rollout, faults_now
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.stages import Asked, Standing
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.file_tables import releases
from cloud_sync.hub.store.rollout_tables import rollout_decisions, rollout_stations, rollouts
from cloud_sync.wire.messages import Job, Probation

_LOCK = 0x726F6C6C  # any number that no other program at this database takes


def lock(connection: sa.Connection) -> None:
    """Until this transaction ends nobody else writes of rollouts: what is decided rests on what others are at."""
    if connection.dialect.name == "postgresql":  # SQLite's transaction began as a writer, which is lock enough
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def ask(connection: sa.Connection, rollout: Rollout, station: str, asked: Asked, now_ms: int) -> None:
    """Write that a station is asked for something; its offer is opened where there is none."""
    mine = rollout_stations.c.release == rollout.release, rollout_stations.c.station == station
    held = connection.execute(sa.select(rollout_stations.c.job, rollout_stations.c.faults).where(*mine)).one()
    changed: dict[str, object] = {"asked": asked.value, "asked_at_ms": now_ms}
    if not held.job:
        release = release_named(connection, rollout.release)
        changed |= {
            "job": open_job(connection, station, release).job,
            "faults": json.dumps(faults_now(connection, station)),
        }
    connection.execute(sa.update(rollout_stations).where(*mine).values(**changed))


def tell(
    connection: sa.Connection, rollout: Rollout, what: str, why: str, facts: Sequence[Standing], now_ms: int
) -> None:
    """Write down a decision with what it was made on, for good."""
    mine = rollout_decisions.c.release == rollout.release
    number = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(rollout_decisions.c.number), 0)).where(mine))
    row = {"release": rollout.release, "number": int(number or 0) + 1, "at_ms": now_ms, "attempt": rollout.attempt}
    row |= {"stage": rollout.stage_name, "what": what, "why": storable(why)}
    row["facts"] = storable(json.dumps([asdict(one) for one in facts]))
    connection.execute(sa.insert(rollout_decisions).values(**row))


def change(connection: sa.Connection, rollout: Rollout, **values: object) -> None:
    """Write what changed of a rollout."""
    connection.execute(sa.update(rollouts).where(rollouts.c.release == rollout.release).values(**values))


def job_of(connection: sa.Connection, plan: RolloutPlan, claim: Claim) -> Job:
    """The offer as it goes out."""
    release = release_named(connection, claim.release)
    stage = claim.asked.value
    parts = plan.shadow_parts if claim.asked is Asked.SHADOW else plan.live_parts
    limits = {name: getattr(plan, name) for name in Probation.model_fields if name != "parts"}
    probation = Probation.model_validate({**limits, "parts": parts})
    fields = {"name": release.name, "size_bytes": release.size_bytes, "sha256": release.sha256, "stage": stage}
    return Job.model_validate({"job": claim.job, "kind": "release", "probation": probation, **fields})


def release_named(connection: sa.Connection, name: str) -> Release:
    """A release that is there. Raises SQLAlchemyError where it is not."""
    columns = releases.c.name, releases.c.sha256, releases.c.size_bytes
    return Release(*connection.execute(sa.select(*columns).where(releases.c.name == name)).one())
