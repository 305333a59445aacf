"""Answers questions about the store; changes nothing."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import sqlalchemy as sa

from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.fleet import Intruder, StationView, fleet, intruders
from cloud_sync.hub.store.tables import dead_letters, quarantine, records, stations
from cloud_sync.wire.outbox import Stream


@dataclass(frozen=True, slots=True)
class StationCounts:
    """What the store holds of one station: records by stream, inspections by verdict, outcomes by outcome."""

    station: str
    last_seen_at_ms: int
    duplicates: int
    streams: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    dead_letters: int = 0


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record without its bytes."""

    station: str
    epoch: str
    stream: str
    seq: int
    part_id: str
    verdict: str | None
    outcome: str | None
    sha256: str


class StoreReader:
    """Reads a store, also while a collector writes to it. A context manager.

    Args:
        place: a path (SQLite) or an SQLAlchemy URL of a store that exists.

    Raises:
        StoreError: it is absent, cannot be opened, or has another schema.
    """

    def __init__(self, place: str) -> None:
        self._engine = open_engine(place, create=False)

    def stations(self) -> list[StationCounts]:
        """Each station that was heard of, by name. Raises StoreError."""
        with self._reading() as connection:
            streams = _tally(connection, records.c.stream)
            verdicts = _tally(connection, records.c.verdict, Stream.INSPECTIONS)
            outcomes = _tally(connection, records.c.outcome, Stream.OUTCOMES)
            quarantined = _count(connection, quarantine.c.station)
            dead = _count(connection, dead_letters.c.station)
            known = connection.execute(sa.select(stations).order_by(stations.c.station)).all()
        return [
            StationCounts(
                station=row.station,
                last_seen_at_ms=row.last_seen_at_ms,
                duplicates=row.duplicates,
                streams=streams[row.station],
                verdicts=verdicts[row.station],
                outcomes=outcomes[row.station],
                quarantined=quarantined.get(row.station, 0),
                dead_letters=dead.get(row.station, 0),
            )
            for row in known
        ]

    def dead_letters(self) -> int:
        """How many dead letters there are, also of no known station. Raises StoreError."""
        with self._reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(dead_letters)) or 0

    def fleet(self) -> list[StationView]:
        """Each station as an operator wants to see it, by name. Raises StoreError."""
        with self._reading() as connection:
            return fleet(connection)

    def intruders(self, station: str | None = None) -> Iterator[Intruder]:
        """What is in quarantine, beside what was there first. Raises StoreError."""
        with self._reading() as connection:
            yield from intruders(connection, station)

    def records(self, station: str | None = None) -> Iterator[StoredRecord]:
        """All records, or one station's, in the order of their identity. Raises StoreError."""
        columns = [records.c[name] for name in StoredRecord.__slots__]
        query = sa.select(*columns).order_by(*records.primary_key)
        if station is not None:
            query = query.where(records.c.station == station)
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=1000).execute(query):
                yield StoredRecord(*row)

    def payload(self, station: str, epoch: str, stream: Stream, seq: int) -> bytes | None:
        """One record's exact bytes, None if the store does not hold it. Raises StoreError."""
        identity = {"station": station, "epoch": epoch, "stream": stream, "seq": seq}
        query = sa.select(records.c.payload).where(*(records.c[name] == value for name, value in identity.items()))
        with self._reading() as connection:
            return connection.scalar(query)

    def close(self) -> None:
        """Give back what the database lent."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(f"cannot read {self._engine.url!r}: {getattr(error, 'orig', None) or error}") from error


def _tally(
    connection: sa.Connection, column: sa.ColumnElement[str], stream: Stream | None = None
) -> dict[str, dict[str, int]]:
    query = sa.select(records.c.station, column, sa.func.count()).where(column.is_not(None))
    if stream is not None:
        query = query.where(records.c.stream == stream)
    tally: dict[str, dict[str, int]] = defaultdict(dict)
    for station, value, count in connection.execute(query.group_by(records.c.station, column)):
        tally[station][value] = count
    return tally


def _count(connection: sa.Connection, station: sa.ColumnElement[str]) -> dict[str, int]:
    counted = sa.select(station, sa.func.count()).where(station.is_not(None)).group_by(station)
    return {row[0]: row[1] for row in connection.execute(counted)}
