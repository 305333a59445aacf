"""How records leave the station's database: what the cloud has, silently; what it has not, with a tombstone.

Invariants:
- Mark, record and tombstone go and come in one transaction: what was given up is counted exactly once.
- The newest inspections stay, and every one whose outcome is not known yet: they are being written to.
- An inspection's row stays as long as one of its images lies on the disk.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import LossRecord
from edge.record.counts import add_to_count, next_number
from edge.record.database import current_epoch
from edge.record.inspections import insert_record, next_seq

NEWEST_KEPT = 1000
_OF_AN_INSPECTION = (Stream.INSPECTIONS, Stream.OUTCOMES, Stream.IMAGES)
WITH_OWN_NUMBERS = (Stream.LOSSES, Stream.FEEDBACK, Stream.SAMPLES)
_SCAN_ROWS = 1024
_OLD = (
    "SELECT seq, outcome IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM outbox WHERE stream IN ('inspections', 'outcomes', 'images') AND seq = old.seq)"
    " AND NOT EXISTS (SELECT 1 FROM dead_letters"
    " WHERE stream IN ('inspections', 'outcomes', 'images') AND seq = old.seq)"
    " FROM (SELECT seq FROM records WHERE stream = 'inspections' AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?) AS old"
    " JOIN inspections USING (seq) ORDER BY seq"
)
_UNSENT = (
    "SELECT seq, outcome IS NOT NULL AND (verdict = 'PASS' OR NOT ?)"
    " FROM (SELECT seq FROM outbox WHERE stream = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?) AS waiting"
    " JOIN inspections USING (seq) ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class Found:
    """Inspections that may go, how far was looked, and whether that was to the end."""

    seqs: tuple[int, ...]
    looked_to_seq: int
    at_end: bool


def newest_to_go(connection: sqlite3.Connection) -> int:
    """The newest inspection that may go."""
    return next_seq(connection) - 1 - NEWEST_KEPT


def find_history(connection: sqlite3.Connection, after_seq: int, limit: int) -> Found:
    """The oldest inspections after a number of which the cloud has everything; looks at a bounded number of them."""
    return _found(connection, _OLD, (after_seq, newest_to_go(connection), _SCAN_ROWS), after_seq, limit)


def find_unsent(
    connection: sqlite3.Connection, stream: Stream, after_seq: int, limit: int, *, only_good: bool
) -> Found:
    """The oldest inspections after a number of which a record of this stream waits; looks at a bounded number."""
    values = (only_good, stream.value, after_seq, newest_to_go(connection), _SCAN_ROWS)
    return _found(connection, _UNSENT, values, after_seq, limit)


def forget_history(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Delete everything of inspections of which the cloud has everything."""
    connection.executemany(
        "DELETE FROM records WHERE stream = ? AND seq = ?",
        [(stream.value, seq) for seq in seqs for stream in _OF_AN_INSPECTION],
    )
    connection.executemany("DELETE FROM images WHERE seq = ? AND NOT stored", [(seq,) for seq in seqs])
    forget_bare_inspections(connection, seqs)


def forget_bare_inspections(connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Delete the rows of inspections that have neither a record nor an image on the disk any more."""
    connection.executemany(
        "DELETE FROM inspections WHERE seq = ?"
        " AND NOT EXISTS (SELECT 1 FROM records WHERE stream = 'inspections' AND seq = inspections.seq)"
        " AND NOT EXISTS (SELECT 1 FROM images WHERE seq = inspections.seq AND stored)",
        [(seq,) for seq in seqs],
    )


def forget_settled(connection: sqlite3.Connection, stream: Stream, limit: int) -> None:
    """Delete the oldest records of a stream that counts its own, as far as the cloud has them."""
    query = (
        "DELETE FROM records WHERE stream = ?1 AND seq IN (SELECT seq FROM records AS old WHERE stream = ?1"
        " AND NOT EXISTS (SELECT 1 FROM outbox WHERE stream = ?1 AND seq = old.seq)"
        " AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE stream = ?1 AND seq = old.seq) ORDER BY seq LIMIT ?2)"
    )
    connection.execute(query, (stream.value, limit))


def give_up_unsent(connection: sqlite3.Connection, station: str, seqs: Sequence[int], why: str, at: datetime) -> None:
    """Delete everything of inspections that the cloud never saw, and write for each stream what that was.

    Their dead letters are among it: a mark that is left without its record could neither be sent nor settled.
    """
    for stream in _OF_AN_INSPECTION:
        lost = [row for seq in seqs if (row := _mark(connection, stream, seq)) is not None]
        lost.sort(key=lambda row: (row[1], row[0]))
        for _, same in groupby(lost, lambda row: row[1]):
            _write_tombstone(connection, station, stream, list(same), why, at)
        marks = [(stream.value, seq) for seq, _, _ in lost]
        connection.executemany("DELETE FROM outbox WHERE stream = ? AND seq = ?", marks)
        connection.executemany("DELETE FROM dead_letters WHERE stream = ? AND seq = ?", marks)
    forget_history(connection, seqs)


def give_up_samples(connection: sqlite3.Connection, station: str, limit: int, why: str, at: datetime) -> None:
    """Delete the oldest samples that the cloud never saw, and write what that was; their verdicts stay."""
    query = (
        "SELECT mark.seq, epochs.epoch, '' FROM (SELECT seq, epoch FROM outbox WHERE stream = ?1"
        " UNION SELECT seq, epoch FROM dead_letters WHERE stream = ?1 ORDER BY seq LIMIT ?2) AS mark"
        " JOIN epochs ON epochs.id = mark.epoch ORDER BY epochs.epoch, mark.seq"
    )
    lost = connection.execute(query, (Stream.SAMPLES.value, limit)).fetchall()
    for _, same in groupby(lost, lambda row: row[1]):
        _write_tombstone(connection, station, Stream.SAMPLES, list(same), why, at)
    marks = [(Stream.SAMPLES.value, seq) for seq, _, _ in lost]
    for table in ("outbox", "dead_letters", "records"):
        connection.executemany(f"DELETE FROM {table} WHERE stream = ? AND seq = ?", marks)  # noqa: S608 - our own text


def ranges_of(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as [first, last] runs."""
    found: list[tuple[int, int]] = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found


def _found(connection: sqlite3.Connection, query: str, values: tuple[object, ...], after_seq: int, limit: int) -> Found:
    chosen: list[int] = []
    looked = 0
    for seq, may_go in connection.execute(query, values):
        looked, after_seq = looked + 1, seq
        if may_go:
            chosen.append(seq)
            if len(chosen) == limit:
                return Found(tuple(chosen), after_seq, at_end=False)
    return Found(tuple(chosen), after_seq, at_end=looked < _SCAN_ROWS)


def _mark(connection: sqlite3.Connection, stream: Stream, seq: int) -> tuple[int, str, str] | None:
    """(seq, epoch, verdict) of a record that waits, or is a dead letter."""
    query = (
        "SELECT mark.seq, epochs.epoch, verdict FROM"
        " (SELECT seq, epoch FROM outbox WHERE stream = ?1 AND seq = ?2"
        " UNION SELECT seq, epoch FROM dead_letters WHERE stream = ?1 AND seq = ?2) AS mark"
        " JOIN epochs ON epochs.id = mark.epoch JOIN inspections ON inspections.seq = mark.seq"
    )
    row = connection.execute(query, (stream.value, seq)).fetchone()
    return None if row is None else (int(row[0]), str(row[1]), str(row[2]))


def _write_tombstone(
    connection: sqlite3.Connection,
    station: str,
    stream: Stream,
    lost: Sequence[tuple[int, str, str]],
    why: str,
    at: datetime,
) -> None:
    number, epoch = current_epoch(connection)
    verdicts = [verdict for _, _, verdict in lost] if stream is Stream.INSPECTIONS else []
    content = {
        "station": station,
        "epoch": epoch,
        "seq": next_number(connection, Stream.LOSSES),
        "stream": stream.value,
        "of_epoch": lost[0][1],
        "ranges": ranges_of(seq for seq, _, _ in lost),
        "records": len(lost),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        "why": why,
        "at": at,
    }
    insert_record(connection, Stream.LOSSES, LossRecord.model_validate(content), number)
    add_to_count(connection, f"lost:{stream.value}", len(lost))
