"""Records into the database, each once: inside a transaction that somebody else begins and commits.

- The database decides what is new: a primary key holds each identity, whoever else inserts it at the same moment.
- What is new by the count of its epoch needs no look-up: a station's records come in the order of their numbers.
- Rows are written in the order of their keys, and counters last: two collectors lock in the same order, and short.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa

from cloud_sync.hub.store.arrivals import queue_arrivals
from cloud_sync.hub.store.counting import count_hours
from cloud_sync.hub.store.entries import DeadLetter, Inserted, Key, NewRecord, storable
from cloud_sync.hub.store.letters import keep_letters
from cloud_sync.hub.store.tables import records
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import content_hash

_SEQS_PER_QUERY = 500
_NAMES_PER_QUERY = 500
_HIGHEST = sa.text("SELECT station, epoch, stream, highest_seq FROM holdings WHERE station IN :names").bindparams(
    sa.bindparam("names", expanding=True)
)
_COLUMNS = (
    "station",
    "epoch",
    "stream",
    "seq",
    "part_id",
    "verdict",
    "outcome",
    "sha256",
    "payload",
    "received_at_ms",
)
_NAMES = ", ".join(_COLUMNS)
_ADD_SQLITE = f"INSERT INTO records ({_NAMES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
_ADD_POSTGRESQL = (
    f"INSERT INTO records ({_NAMES}) SELECT * FROM unnest(%(station)s::text[], %(epoch)s::text[], "  # noqa: S608
    "%(stream)s::text[], %(seq)s::bigint[], %(part_id)s::text[], %(verdict)s::text[], %(outcome)s::text[], "
    "%(sha256)s::text[], %(payload)s::bytea[], %(received_at_ms)s::bigint[]) "
    "ON CONFLICT DO NOTHING RETURNING station, epoch, stream, seq"
)
_QUARANTINE = sa.text(
    "INSERT INTO quarantine (station, epoch, stream, seq, sha256, payload, received_at_ms)"
    " VALUES (:station, :epoch, :stream, :seq, :sha256, :payload, :at_ms) ON CONFLICT DO NOTHING"
)
_HOLD = sa.text(
    "INSERT INTO holdings (station, epoch, stream, records, highest_seq, lost)"
    " VALUES (:station, :epoch, :stream, :records, :highest_seq, :lost)"
    " ON CONFLICT (station, epoch, stream) DO UPDATE SET records = holdings.records + excluded.records,"
    " lost = holdings.lost + excluded.lost,"
    " highest_seq = CASE WHEN excluded.highest_seq > holdings.highest_seq"
    " THEN excluded.highest_seq ELSE holdings.highest_seq END"
)
_SEE = sa.text(
    "INSERT INTO stations (station, first_seen_at_ms, last_seen_at_ms, duplicates)"
    " VALUES (:station, :at_ms, :at_ms, :duplicates)"
    " ON CONFLICT (station) DO UPDATE SET last_seen_at_ms = excluded.last_seen_at_ms,"
    " duplicates = stations.duplicates + excluded.duplicates"
)

_Row = tuple[object, ...]
_Place = tuple[str, str, Stream]  # station, epoch, stream


class _Hashed(NamedTuple):
    """A record with its content hash; sorts by identity, then by content."""

    key: Key
    sha256: str
    record: NewRecord


def write_records(
    connection: sa.Connection,
    new: Sequence[NewRecord],
    dead: Sequence[DeadLetter],
    heard: Collection[str],
    at_ms: int,
) -> Inserted:
    """Put records and dead letters in, and note that these stations were heard of. Raises SQLAlchemyError."""
    hashed = [_Hashed(record.key, content_hash(record.payload), record) for record in new]
    fresh, again, other = _sift(connection, hashed, at_ms)
    _quarantine(connection, other, at_ms)
    dropped = keep_letters(connection, dead, at_ms)
    queue_arrivals(connection, (item.key for item in fresh))
    _hold(connection, fresh)
    count_hours(connection, (item.record for item in fresh), at_ms)
    names = {record.key.station for record in new} | {letter.station for letter in dead if letter.station} | set(heard)
    _see(connection, names, Counter(key.station for key in again), at_ms)
    made = tuple(item.record.made_at_ms for item in fresh if item.record.made_at_ms is not None)
    return Inserted(len(fresh), len(again), tuple(item.key for item in other), tuple(dropped), made)


def _sift(
    connection: sa.Connection, hashed: Sequence[_Hashed], at_ms: int
) -> tuple[list[_Hashed], list[Key], list[_Hashed]]:
    """Insert what is new; says what that was, what came again, and what has other content than what is held."""
    first: dict[Key, _Hashed] = {}
    for item in hashed:
        first.setdefault(item.key, item)
    held = _held_before(connection, first)
    fresh = [first[key] for key in sorted(first.keys() - held.keys())]
    if lost := _add(connection, fresh, at_ms):  # another collector was quicker
        held |= _held(connection, lost)
        fresh = [item for item in fresh if item.key not in lost]
    new = {id(item) for item in fresh}
    holds = held | {item.key: item.sha256 for item in fresh}
    rest = [item for item in hashed if id(item) not in new]
    again = [item.key for item in rest if holds[item.key] == item.sha256]
    return fresh, again, sorted(item for item in rest if holds[item.key] != item.sha256)


def _held_before(connection: sa.Connection, keys: Iterable[Key]) -> dict[Key, str]:
    """Which of these identities the store holds, with the hash of what it holds."""
    seqs: dict[_Place, list[int]] = defaultdict(list)
    for station, epoch, stream, seq in keys:
        seqs[station, epoch, stream].append(seq)
    highest = _highest(connection, sorted({place[0] for place in seqs}))
    held: dict[Key, str] = {}
    for place, wanted in seqs.items():
        held |= _held_of(connection, place, sorted(seq for seq in wanted if seq <= highest.get(place, 0)))
    return held


def _highest(connection: sa.Connection, names: Sequence[str]) -> dict[_Place, int]:
    """The highest number held of each epoch of these stations."""
    highest: dict[_Place, int] = {}
    for start in range(0, len(names), _NAMES_PER_QUERY):
        found = connection.execute(_HIGHEST, {"names": names[start : start + _NAMES_PER_QUERY]})
        highest.update(((row[0], row[1], Stream(row[2])), row[3]) for row in found)
    return highest


def _held(connection: sa.Connection, keys: Iterable[Key]) -> dict[Key, str]:
    seqs: dict[_Place, list[int]] = defaultdict(list)
    for station, epoch, stream, seq in keys:
        seqs[station, epoch, stream].append(seq)
    held: dict[Key, str] = {}
    for place, wanted in seqs.items():
        held |= _held_of(connection, place, sorted(wanted))
    return held


def _held_of(connection: sa.Connection, place: _Place, ordered: list[int]) -> dict[Key, str]:
    held: dict[Key, str] = {}
    for start in range(0, len(ordered), _SEQS_PER_QUERY):
        some = ordered[start : start + _SEQS_PER_QUERY]
        query = sa.select(records.c.seq, records.c.sha256).where(
            records.c.station == place[0],
            records.c.epoch == place[1],
            records.c.stream == place[2],
            records.c.seq.in_(some),
        )
        held.update((Key(*place, seq), digest) for seq, digest in connection.execute(query))
    return held


def _add(connection: sa.Connection, fresh: Sequence[_Hashed], at_ms: int) -> set[Key]:
    """Insert them; says which of them were there after all."""
    if not fresh:
        return set()
    rows = [_row(item, at_ms) for item in fresh]
    if connection.dialect.name != "postgresql":
        return _add_alone(connection, fresh, rows)
    columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    added = connection.exec_driver_sql(_ADD_POSTGRESQL, columns)
    return {item.key for item in fresh} - {Key(row[0], row[1], Stream(row[2]), row[3]) for row in added}


def _add_alone(connection: sa.Connection, fresh: Sequence[_Hashed], rows: Sequence[_Row]) -> set[Key]:
    """As `_add`, in SQLite: it has one writer at a time, and we are it, so all of them are new.

    Unless a count is short, as where a program of the last version wrote on after the store was brought forward.
    """
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(_ADD_SQLITE, list(rows))
    except sa.exc.IntegrityError:
        lost = _held(connection, [item.key for item in fresh]).keys()
        if rest := [row for item, row in zip(fresh, rows, strict=True) if item.key not in lost]:
            connection.exec_driver_sql(_ADD_SQLITE, rest)
        return set(lost)
    return set()


def _row(item: _Hashed, at_ms: int) -> _Row:
    station, epoch, stream, seq = item.key
    record = item.record
    facts = (storable(record.part_id), record.verdict, record.outcome)
    return (station, epoch, stream.value, seq, *facts, item.sha256, record.payload, at_ms)


def _quarantine(connection: sa.Connection, other: Sequence[_Hashed], at_ms: int) -> None:
    rows = [
        {**item.key._asdict(), "sha256": item.sha256, "payload": item.record.payload, "at_ms": at_ms} for item in other
    ]
    if rows:
        connection.execute(_QUARANTINE, rows)


def _hold(connection: sa.Connection, fresh: Sequence[_Hashed]) -> None:
    names = ("station", "epoch", "stream", "records", "highest_seq", "lost")
    rows = []
    for place, group in groupby(fresh, lambda item: item.key[:3]):  # sorted by place, then by number
        items = list(group)
        lost = sum(item.record.lost for item in items)
        rows.append(dict(zip(names, (*place, len(items), items[-1].key.seq, lost), strict=True)))
    if rows:
        connection.execute(_HOLD, rows)


def _see(connection: sa.Connection, names: Collection[str], again: Counter[str], at_ms: int) -> None:
    rows = [{"station": name, "at_ms": at_ms, "duplicates": again[name]} for name in sorted(names)]
    if rows:
        connection.execute(_SEE, rows)
