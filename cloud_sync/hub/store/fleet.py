"""The stations as an operator wants to see them, and what was put in quarantine; reads, changes nothing."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from cloud_sync.hub.store.label_tables import drift_signs, samples
from cloud_sync.hub.store.tables import (
    conditions,
    dead_letter_hours,
    dead_letters,
    holdings,
    quarantine,
    records,
    stations,
)
from cloud_sync.wire.messages import HealthMessage


@dataclass(frozen=True, slots=True)
class StationView:
    """One station. Times are milliseconds since 1970 by the collector's clock; counts are of all its epochs.

    Args:
        station: its id.
        state: online, offline; None if it never said.
        since_ms: since when.
        last_seen_at_ms: when the last message came.
        version: of its program; "" if it never said.
        epoch: its current one; None if it never said.
        epochs: how many of its epochs the store holds records of.
        resets: how often it was told to begin a new epoch.
        records: what the store holds.
        lost: records that it gave up unsent and sent tombstones for.
        quarantined: records that came under an identity already taken.
        dead_letters: messages that were not our protocol and are kept.
        dropped: further ones, beyond the limit of an hour.
        health: its last word on how it is; None if it never said.
        health_at_ms: when that came.
        samples: images that it kept for training, of which the store knows.
        drift: what drifts there now, each as product, camera and sign.
    """

    station: str
    state: str | None
    since_ms: int | None
    last_seen_at_ms: int
    version: str
    epoch: str | None
    epochs: int
    resets: int
    records: int
    lost: int
    quarantined: int
    dead_letters: int
    dropped: int
    health: HealthMessage | None = field(default=None)
    health_at_ms: int | None = None
    samples: int = 0
    drift: tuple[str, ...] = ()

    @property
    def waiting(self) -> int | None:
        """How many records wait at the station, as it said last; None if it never said."""
        return None if self.health is None else sum(self.health.outbox.values())


@dataclass(frozen=True, slots=True)
class Intruder:
    """A record in quarantine, beside the one that was there first."""

    station: str
    epoch: str
    stream: str
    seq: int
    received_at_ms: int
    sha256: str
    payload: bytes
    held_sha256: str
    held_payload: bytes


def fleet(connection: sa.Connection) -> list[StationView]:
    """Each station that was heard of, by name. Raises SQLAlchemyError."""
    held = _held(connection)
    said = {row.station: row for row in connection.execute(sa.select(conditions))}
    quarantined = _per_station(connection, quarantine.c.station, sa.func.count())
    letters = _per_station(connection, dead_letters.c.station, sa.func.count())
    dropped = _per_station(connection, dead_letter_hours.c.station, sa.func.sum(dead_letter_hours.c.dropped))
    kept = _per_station(connection, samples.c.station, sa.func.count())
    drifts = _drifts(connection)
    views = []
    for row in connection.execute(sa.select(stations).order_by(stations.c.station)):
        name, word = row.station, said.get(row.station)
        epochs, count, lost = held.get(name, (0, 0, 0))
        views.append(
            StationView(
                station=name,
                state=word.state if word else None,
                since_ms=word.since_ms if word else None,
                last_seen_at_ms=row.last_seen_at_ms,
                version=(word.version or "") if word else "",
                epoch=word.epoch if word else None,
                epochs=epochs,
                resets=word.resets if word else 0,
                records=count,
                lost=lost,
                quarantined=quarantined.get(name, 0),
                dead_letters=letters.get(name, 0),
                dropped=dropped.get(name, 0),
                health=HealthMessage.unpack(word.health.encode()) if word and word.health else None,
                health_at_ms=word.health_at_ms if word else None,
                samples=kept.get(name, 0),
                drift=tuple(drifts[name]),
            )
        )
    return views


def intruders(connection: sa.Connection, station: str | None) -> Iterator[Intruder]:
    """What is in quarantine, of one station or of all, by identity. Raises SQLAlchemyError."""
    same = [quarantine.c[name] == records.c[name] for name in ("station", "epoch", "stream", "seq")]
    names = ("station", "epoch", "stream", "seq", "received_at_ms", "sha256", "payload")
    columns = [*(quarantine.c[name] for name in names), records.c.sha256, records.c.payload]
    query = sa.select(*columns).join(records, sa.and_(*same))
    if station is not None:
        query = query.where(quarantine.c.station == station)
    query = query.order_by(*quarantine.primary_key)
    for row in connection.execution_options(yield_per=500).execute(query):
        yield Intruder(*row)


def _drifts(connection: sa.Connection) -> dict[str, list[str]]:
    """Of each station the signs that stand at alarm."""
    table = drift_signs.c
    query = sa.select(table.station, table.product, table.camera, table.sign).where(table.alarm)
    found: dict[str, list[str]] = defaultdict(list)
    for station, *sign in connection.execute(query.order_by(*drift_signs.primary_key)):
        found[station].append(" ".join(word for word in sign if word))
    return found


def _held(connection: sa.Connection) -> dict[str, tuple[int, int, int]]:
    """Of each station: epochs, records, records lost."""
    table = holdings.c
    sums = (sa.func.count(table.epoch.distinct()), sa.func.sum(table.records), sa.func.sum(table.lost))
    query = sa.select(table.station, *sums).group_by(table.station)
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in connection.execute(query)}


def _per_station(
    connection: sa.Connection, station: sa.ColumnElement[str], what: sa.ColumnElement[int]
) -> dict[str, int]:
    query = sa.select(station, what).where(station.is_not(None)).group_by(station)
    return {row[0]: int(row[1]) for row in connection.execute(query)}
