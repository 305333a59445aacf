"""Puts what arrived into the store: each record once, whatever came twice or came wrong.

One transaction holds everything that a call brings; after it has returned, all of it survives a power cut.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import sqlalchemy as sa

from cloud_sync.hub.store.engine import BUSY_TIMEOUT_S, open_engine
from cloud_sync.hub.store.errors import ContentError, StoreError
from cloud_sync.hub.store.tables import dead_letters, quarantine, records, stations
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import content_hash

T = TypeVar("T")

_SEQS_PER_QUERY = 500
_DEAD_LETTER_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """A record's identity."""

    station: str
    epoch: str
    stream: Stream
    seq: int


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A valid record and what can be asked of it without reading its bytes.

    Args:
        key: its identity.
        payload: its exact bytes.
        part_id: the inspected part.
        verdict: of an inspection; what the line was told, of an outcome.
        outcome: of an outcome: told, late, unconfirmed.
    """

    key: Key
    payload: bytes
    part_id: str
    verdict: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that came and is not our protocol; `station` is None where the topic names none."""

    topic: str
    payload: bytes
    reason: str
    station: str | None


@dataclass(frozen=True, slots=True)
class Inserted:
    """What one call did.

    Args:
        stored: records that are new.
        duplicates: records that came again with the same content.
        quarantined: identities that were held with other content; now in quarantine, where they may have been before.
    """

    stored: int
    duplicates: int
    quarantined: tuple[Key, ...]


class StoreWriter:
    """The collector's hand in the store. A context manager; made by one process, used by one thread.

    Args:
        place: a path (SQLite) or an SQLAlchemy URL; made where absent.
        busy_timeout_s: how long SQLite waits for another writer before it gives up.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, place: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._engine = open_engine(place, create=True, busy_timeout_s=busy_timeout_s)

    def commit(self, write: Callable[[sa.Connection], T]) -> T:
        """Run `write` in one transaction, and commit. Raises StoreError; then nothing of it is in the store."""
        try:
            with self._engine.begin() as connection:
                return write(connection)
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            kind = StoreError if is_fault_of_database(error) else ContentError
            raise kind(f"cannot write to {self._engine.url!r}: {cause}") from error

    def insert(self, new: Sequence[NewRecord], dead: Sequence[DeadLetter], at_ms: int) -> Inserted:
        """Commit all of it or nothing. Raises StoreError; then nothing of it is in the store."""
        return self.commit(lambda connection: write_records(connection, new, dead, (), at_ms))

    def close(self) -> None:
        """Give back what the database lent."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_records(
    connection: sa.Connection,
    new: Sequence[NewRecord],
    dead: Sequence[DeadLetter],
    heard: Collection[str],
    at_ms: int,
) -> Inserted:
    """Put records and dead letters in, and note that these stations were heard of. Raises SQLAlchemyError."""
    names = {record.key.station for record in new} | {letter.station for letter in dead if letter.station}
    _note_stations(connection, names | set(heard), at_ms)
    inserted = _insert_records(connection, new, at_ms)
    _add_absent(connection, dead_letters, [_dead_letter_row(letter, at_ms) for letter in dead])
    return inserted


def is_fault_of_database(error: Exception) -> bool:
    """Whether it lies with disk, server or connection and may pass; otherwise with what was to be written."""
    if not isinstance(error, sa.exc.DBAPIError):
        return isinstance(error, sa.exc.SQLAlchemyError)
    return not isinstance(error, sa.exc.DataError | sa.exc.IntegrityError | sa.exc.ProgrammingError)


def _insert_records(connection: sa.Connection, new: Sequence[NewRecord], at_ms: int) -> Inserted:
    held = _held(connection, (record.key for record in new))
    fresh: list[NewRecord] = []
    other: list[NewRecord] = []
    duplicates: Counter[str] = Counter()
    for record in new:
        digest = content_hash(record.payload)
        if record.key not in held:
            held[record.key] = digest
            fresh.append(record)
        elif held[record.key] == digest:
            duplicates[record.key.station] += 1
        else:
            other.append(record)
    _add(connection, records, [_record_row(record, at_ms) for record in fresh])
    _add_absent(connection, quarantine, [_quarantine_row(record, at_ms) for record in other])
    for station, count in duplicates.items():
        seen = sa.update(stations).where(stations.c.station == station)
        connection.execute(seen.values(duplicates=stations.c.duplicates + count))
    return Inserted(len(fresh), duplicates.total(), tuple(record.key for record in other))


def _held(connection: sa.Connection, keys: Iterable[Key]) -> dict[Key, str]:
    """Which of these identities the store holds, with the hash of what it holds."""
    seqs: dict[tuple[str, str, Stream], set[int]] = defaultdict(set)
    for key in keys:
        seqs[key.station, key.epoch, key.stream].add(key.seq)
    held: dict[Key, str] = {}
    for (station, epoch, stream), wanted in seqs.items():
        ordered = sorted(wanted)
        for start in range(0, len(ordered), _SEQS_PER_QUERY):
            some = ordered[start : start + _SEQS_PER_QUERY]
            query = sa.select(records.c.seq, records.c.sha256).where(
                records.c.station == station,
                records.c.epoch == epoch,
                records.c.stream == stream,
                records.c.seq.in_(some),
            )
            held.update((Key(station, epoch, stream, seq), digest) for seq, digest in connection.execute(query))
    return held


def _note_stations(connection: sa.Connection, names: set[str], at_ms: int) -> None:
    seen = sa.update(stations).where(stations.c.station.in_(names)).values(last_seen_at_ms=at_ms)
    if connection.execute(seen).rowcount == len(names):
        return
    known = set(connection.scalars(sa.select(stations.c.station).where(stations.c.station.in_(names))))
    times = {"first_seen_at_ms": at_ms, "last_seen_at_ms": at_ms}
    _add(connection, stations, [{"station": name, "duplicates": 0} | times for name in sorted(names - known)])


def _add(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)


def _add_absent(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Add those rows whose primary key the table does not hold."""
    for row in rows:
        same = [column == row[column.name] for column in table.primary_key]
        if connection.scalar(sa.select(sa.literal(1)).select_from(table).where(*same)) is None:
            connection.execute(sa.insert(table), row)


def _record_row(record: NewRecord, at_ms: int) -> dict[str, object]:
    facts = {"part_id": record.part_id, "verdict": record.verdict, "outcome": record.outcome}
    return _quarantine_row(record, at_ms) | facts


def _quarantine_row(record: NewRecord, at_ms: int) -> dict[str, object]:
    key = record.key
    identity = {"station": key.station, "epoch": key.epoch, "stream": key.stream, "seq": key.seq}
    return identity | {
        "sha256": content_hash(record.payload),
        "payload": record.payload,
        "received_at_ms": at_ms,
    }


def _dead_letter_row(letter: DeadLetter, at_ms: int) -> dict[str, object]:
    return {
        "sha256": content_hash(letter.topic.encode() + b"\n" + letter.payload),
        "station": letter.station,
        "topic": letter.topic,
        "reason": letter.reason,
        "payload": letter.payload[:_DEAD_LETTER_LIMIT_BYTES],
        "received_at_ms": at_ms,
    }
