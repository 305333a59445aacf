"""The outbox's marks: which records the cloud has not acknowledged, and which of them can never be sent."""

import sqlite3
from collections.abc import Sequence

from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream


def forget(connection: sqlite3.Connection, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:
    """Delete exactly these marks of an epoch, dead letters as well: what arrived after all is no longer one."""
    named = [(stream.value, span.first, span.last, epoch) for span in ranges]
    for table in ("outbox", "dead_letters"):
        query = (
            f"DELETE FROM {table} WHERE stream = ? AND seq BETWEEN ? AND ?"  # noqa: S608 - our own text
            " AND epoch = (SELECT id FROM epochs WHERE epoch = ?)"
        )
        connection.executemany(query, named)


def bury(connection: sqlite3.Connection, rows: Sequence[OutboxRow], reason: str, at: str) -> None:
    """Move marks to the dead letters; one that is in the outbox no more is left alone."""
    marks = [(row.stream.value, row.seq) for row in rows]
    move = (
        "INSERT INTO dead_letters SELECT stream, seq, epoch, ?, ? FROM outbox WHERE stream = ? AND seq = ?"
        " ON CONFLICT DO UPDATE SET reason = excluded.reason, at = excluded.at"
    )
    connection.executemany(move, [(reason, at, *mark) for mark in marks])
    connection.executemany("DELETE FROM outbox WHERE stream = ? AND seq = ?", marks)


def revive(connection: sqlite3.Connection, stream: Stream | None) -> int:
    """Move the dead letters of a stream, or of all, back to the outbox; says how many."""
    name = "" if stream is None else stream.value
    connection.execute(
        "INSERT INTO outbox SELECT stream, seq, epoch FROM dead_letters WHERE ? IN ('', stream) ON CONFLICT DO NOTHING",
        (name,),
    )
    return connection.execute("DELETE FROM dead_letters WHERE ? IN ('', stream)", (name,)).rowcount
