"""What waits at a station for the cloud, read beside a running daemon: quick, however many rows there are."""

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cloud_sync.wire.outbox import Stream
from edge.domain.errors import StorageError
from edge.record.counts import counts_under, read_counts
from edge.record.database import epoch_of, open_reader
from edge.record.inspections import next_seq
from edge.record.letting_go import WITH_OWN_NUMBERS

_SAMPLE_ROWS = 500
_DEAD_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Lane:
    """What waits of one stream.

    Args:
        rows: records that the cloud has not acknowledged.
        bytes: their size; of more than 1,000 rows, as the first and last 500 suggest.
        oldest_at: when the oldest of them was made, by its own word; None where there is none.
    """

    rows: int
    bytes: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that can never be sent, and why."""

    stream: str
    seq: int
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class Spool:
    """All that a station keeps for the cloud.

    Args:
        epoch: the one it counts in.
        next_seq: the number of the next inspection.
        lanes: what waits, by stream.
        dead: how many dead letters there are, by stream.
        dead_letters: the newest of them.
        losses: records that were given up unsent because the disk was full, by stream.
        uploads: images that wait.
        uploads_refused: images that the cloud refused for good.
        database_bytes: the database with its journal.
        disk_free_bytes: what the file system has left for us.
    """

    epoch: str
    next_seq: int
    lanes: Mapping[Stream, Lane]
    dead: Mapping[str, int]
    dead_letters: tuple[DeadLetter, ...]
    losses: Mapping[str, int]
    uploads: int
    uploads_refused: int
    database_bytes: int
    disk_free_bytes: int

    @property
    def rows(self) -> int:
        """Records that wait, of all streams."""
        return sum(lane.rows for lane in self.lanes.values())


def read_spool(path: Path) -> Spool:
    """Read what waits in the database. Raises StorageError."""
    try:
        with closing(open_reader(path)) as connection:
            connection.execute("BEGIN")  # one moment for all figures
            return _spool(connection, path)
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StorageError(f"cannot read what waits in {path}: {error}") from error


def _spool(connection: sqlite3.Connection, path: Path) -> Spool:
    counts = read_counts(connection)
    waiting = counts_under(counts, "outbox")
    uploads = dict(connection.execute("SELECT refused IS NULL, count(*) FROM uploads GROUP BY 1").fetchall())
    return Spool(
        epoch=epoch_of(connection),
        next_seq=next_seq(connection),
        lanes={stream: _lane(connection, stream, waiting.get(stream.value, 0)) for stream in Stream},
        dead=counts_under(counts, "dead"),
        dead_letters=_dead_letters(connection),
        losses=counts_under(counts, "lost"),
        uploads=uploads.get(1, 0),
        uploads_refused=uploads.get(0, 0),
        database_bytes=database_bytes(path),
        disk_free_bytes=free_bytes(path.parent),
    )


def stations_waiting(path: Path) -> set[str]:
    """The stations that the oldest waiting records of each stream were made by. Raises StorageError."""
    query = "SELECT payload FROM outbox JOIN records USING (stream, seq) WHERE stream = ? ORDER BY seq LIMIT 1"
    try:
        with closing(open_reader(path)) as connection:
            found = [connection.execute(query, (stream.value,)).fetchone() for stream in Stream]
    except sqlite3.Error as error:
        raise StorageError(f"cannot read what waits in {path}: {error}") from error
    return {station for row in found if row is not None and (station := _station_of(row[0]))}


def database_bytes(path: Path) -> int:
    """How much the database takes, its journal included. Raises OSError."""
    parts = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    return sum(part.stat().st_size for part in parts if part.exists())


def free_bytes(folder: Path) -> int:
    """What the folder's file system has left for such as us. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _lane(connection: sqlite3.Connection, stream: Stream, rows: int) -> Lane:
    if not rows:
        return Lane(0, 0, None)
    sizes: dict[int, int] = {}
    for order in ("ASC", "DESC"):
        query = (
            "SELECT seq, length(payload) FROM outbox JOIN records USING (stream, seq)"  # noqa: S608 - our own text
            f" WHERE stream = ? ORDER BY seq {order} LIMIT ?"
        )
        sizes |= dict(connection.execute(query, (stream.value, _SAMPLE_ROWS)).fetchall())
    size_bytes = round(sum(sizes.values()) / len(sizes) * rows) if sizes else 0
    return Lane(rows, size_bytes, _oldest_at(connection, stream))


def _oldest_at(connection: sqlite3.Connection, stream: Stream) -> datetime | None:
    """When the lowest number that waits was made: an inspection's trigger, or what the record says of itself."""
    query = (
        "SELECT triggered_at, payload FROM outbox JOIN records USING (stream, seq)"
        " LEFT JOIN inspections ON inspections.seq = outbox.seq WHERE stream = ? ORDER BY outbox.seq LIMIT 1"
    )
    row = connection.execute(query, (stream.value,)).fetchone()
    if row is None:
        return None
    triggered_at, payload = row
    if stream not in WITH_OWN_NUMBERS:
        return None if triggered_at is None else datetime.fromisoformat(triggered_at)
    at = json.loads(payload).get("at")
    return None if at is None else datetime.fromisoformat(at)


def _station_of(payload: bytes) -> str:
    """Who made a record; empty where that cannot be read, which is no reason to stop a line."""
    try:
        return str(json.loads(payload)["station"])
    except (ValueError, LookupError, TypeError):
        return ""


def _dead_letters(connection: sqlite3.Connection) -> tuple[DeadLetter, ...]:
    query = "SELECT stream, seq, reason, at FROM dead_letters ORDER BY at DESC, stream, seq LIMIT ?"
    return tuple(DeadLetter(*row) for row in connection.execute(query, (_DEAD_SHOWN,)).fetchall())
