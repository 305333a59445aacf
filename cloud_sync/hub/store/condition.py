"""How the store itself is: what came last, what is not yet seen to, what was held back; reads, changes nothing."""

from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.store.file_tables import files
from cloud_sync.hub.store.hour_tables import HOUR_MS
from cloud_sync.hub.store.label_tables import arrivals
from cloud_sync.hub.store.overview import LETTERS_H
from cloud_sync.hub.store.tables import (
    conditions,
    dead_letter_hours,
    dead_letters,
    holdings,
    quarantine,
    records,
    stations,
)

COUNTED_MOST = 10_000
_PAYLOAD_SHOWN = 600


@dataclass(frozen=True, slots=True)
class Condition:
    """How the store is.

    Args:
        last_heard_at_ms: when anything came last; None where nothing ever did.
        online: stations that say that they are online.
        records: all that are held.
        lost: what stations gave up unsent.
        unseen: records that are stored and not yet seen to, at most `COUNTED_MOST`.
        faulty: of these, those that could not be seen to.
        open_files: files that are on their way.
        refused_files: files that were none of ours.
        dead_letters: messages of the last `LETTERS_H` hours that were not our protocol, kept or not.
        quarantined: records that came under an identity already taken.
    """

    last_heard_at_ms: int | None
    online: int
    records: int
    lost: int
    unseen: int
    faulty: int
    open_files: int
    refused_files: int
    dead_letters: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter; of its bytes the beginning."""

    station: str | None
    topic: str
    reason: str
    received_at_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """One record in quarantine, beside the one that was there first; of their bytes the beginning."""

    station: str
    epoch: str
    stream: str
    seq: int
    received_at_ms: int
    came: bytes
    held: bytes


def condition(connection: sa.Connection, now_ms: int) -> Condition:
    """How it is now. Raises SQLAlchemyError."""
    hours = dead_letter_hours.c
    recent = sa.select(sa.func.sum(hours.kept + hours.dropped)).where(hours.hour > now_ms // HOUR_MS - LETTERS_H)
    sums = connection.execute(sa.select(sa.func.sum(holdings.c.records), sa.func.sum(holdings.c.lost))).one()
    open_states = files.c.state.in_(("open", "sent"))
    return Condition(
        last_heard_at_ms=connection.scalar(sa.select(sa.func.max(stations.c.last_seen_at_ms))),
        online=_count(connection, sa.select(conditions.c.station).where(conditions.c.state == "online")),
        records=int(sums[0] or 0),
        lost=int(sums[1] or 0),
        unseen=_count(connection, sa.select(arrivals.c.seq).where(arrivals.c.fault.is_(None))),
        faulty=_count(connection, sa.select(arrivals.c.seq).where(arrivals.c.fault.is_not(None))),
        open_files=_count(connection, sa.select(files.c.sha256).where(open_states)),
        refused_files=_count(connection, sa.select(files.c.sha256).where(files.c.state == "refused")),
        dead_letters=int(connection.scalar(recent) or 0),
        quarantined=_count(connection, sa.select(quarantine.c.seq)),
    )


def letters(connection: sa.Connection, most: int) -> list[Letter]:
    """The newest dead letters. Raises SQLAlchemyError."""
    table = dead_letters.c
    beginning = sa.func.substr(table.payload, 1, _PAYLOAD_SHOWN, type_=sa.LargeBinary)
    query = sa.select(table.station, table.topic, table.reason, table.received_at_ms, beginning)
    return [Letter(*row) for row in connection.execute(query.order_by(table.received_at_ms.desc()).limit(most))]


def held_back(connection: sa.Connection, most: int) -> list[Held]:
    """What is in quarantine, by identity. Raises SQLAlchemyError."""
    same = [quarantine.c[name] == records.c[name] for name in ("station", "epoch", "stream", "seq")]
    names = ("station", "epoch", "stream", "seq", "received_at_ms", "payload")
    query = sa.select(*(quarantine.c[name] for name in names), records.c.payload).join(records, sa.and_(*same))
    found = connection.execute(query.order_by(*quarantine.primary_key).limit(most))
    return [Held(*row[:5], row[5][:_PAYLOAD_SHOWN], row[6][:_PAYLOAD_SHOWN]) for row in found]


def _count(connection: sa.Connection, query: sa.Select[tuple[object]]) -> int:
    """How many rows, at most `COUNTED_MOST`: a page may not take longer the worse things are."""
    some = query.limit(COUNTED_MOST).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0
