"""The station's records: whether its database is whole and of this version, and what waits in it, and why."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.doctor.reading import open_unchanged
from edge.doctor.rooms import DATABASE_S
from edge.record.counts import counts_under, read_counts
from edge.record.database import schema_of
from edge.record.migrating import copy_path

_LONG = timedelta(hours=1)
_LOG_BYTES = 256_000_000
_STEPS = 10_000


def records(around: Around) -> Iterator[Finding]:
    """Everything but the database's own check."""
    path = around.data_dir / "station.db"
    if not path.exists():
        yield ok("records", "database", "none yet: the station makes it at its first start")
        return
    try:
        with closing(open_unchanged(path, in_use=around.daemon is not None)) as connection:
            found, ours = schema_of(connection)
            yield _version(around, found, ours)
            if found == ours:
                yield from _contents(around, connection)
    except sqlite3.Error as error:
        yield fault("records.unreadable", "database", f"{path} cannot be read: {error}", option=around.config_option)
    log_bytes = _size(around, "-wal")
    if log_bytes > _LOG_BYTES:
        yield fault("records.long-log", "write-ahead log", f"{log_bytes / 1e6:.0f} MB", option=around.config_option)


def _version(around: Around, found: str, ours: str) -> Finding:
    said = f"schema {found or 'none'}, this version writes {ours}; {_size(around) / 1e6:.1f} MB"
    if found == ours:
        return ok("records", "database", said)
    if found.isdecimal() and int(found) > int(ours):
        copy = copy_path(around.data_dir / "station.db", int(found))
        return fault("records.newer", "database", said, copy=_there(copy) or "FILE", option=around.config_option)
    if found:
        return fault("records.older", "database", said, option=around.config_option)
    return fault("records.foreign", "database", f"{around.data_dir / 'station.db'} is no database of a station")


def _there(copy: Path) -> str:
    return str(copy) if copy.exists() else ""


def _size(around: Around, end: str = "") -> int:
    path = around.data_dir / f"station.db{end}"
    return path.stat().st_size if path.exists() else 0


def _contents(around: Around, connection: sqlite3.Connection) -> Iterator[Finding]:
    counts, option = read_counts(connection), around.config_option
    yield _waiting(around, connection, sum(counts_under(counts, "outbox").values()))
    if dead := sum(counts_under(counts, "dead").values()):
        yield fault("records.dead-letters", "dead letters", f"{dead} records can never be sent", option=option)
    if lost := sum(counts_under(counts, "lost").values()):
        yield fault("records.lost", "lost records", f"{lost} were given up unsent because the disk was full")
    refused = connection.execute("SELECT count(*) FROM uploads WHERE refused IS NOT NULL").fetchone()[0]
    if refused:
        yield fault("records.refused-images", "images", f"{refused} were refused by the cloud for good", option=option)
    yield from _others(around, connection)


def _waiting(around: Around, connection: sqlite3.Connection, rows: int) -> Finding:
    query = (
        "SELECT triggered_at FROM outbox JOIN inspections USING (seq)"
        " WHERE stream = 'inspections' ORDER BY outbox.seq LIMIT 1"
    )
    row = connection.execute(query).fetchone() if rows else None
    since = None if row is None else datetime.fromisoformat(row[0])
    found = f"{rows} records wait for the cloud{'' if since is None else f', the oldest of {since:%Y-%m-%d %H:%M} UTC'}"
    sends = around.config is not None and around.config.sync.broker is not None
    if sends and since is not None and around.now - since > _LONG:
        return fault("records.waiting-long", "waiting", found, option=around.config_option)
    return ok("records", "waiting", found)


def _others(around: Around, connection: sqlite3.Connection) -> Iterator[Finding]:
    """Records of another station's, which this one's link would never be let send."""
    if around.config is None or around.config.sync.broker is None:
        return
    query = "SELECT payload FROM outbox JOIN records USING (stream, seq) ORDER BY seq LIMIT 1"
    row = connection.execute(query).fetchone()
    maker = "" if row is None else str(json.loads(row[0]).get("station", ""))
    if maker and maker != around.config.station.id:
        found = f"records of station {maker!r} wait, and this is {around.config.station.id!r}"
        yield fault("records.other-station", "waiting", found, other=maker, option=around.config_option)


def whole(around: Around) -> Iterator[Finding]:
    """The database's own check of itself, for as long as there is time; not beside a running line."""
    path = around.data_dir / "station.db"
    if around.quick or around.daemon is not None or not path.exists():
        return
    yield checked(around, DATABASE_S)


def checked(around: Around, limit_s: float) -> Finding:
    """What `PRAGMA quick_check` says within a time, seconds."""
    path, until_s = around.data_dir / "station.db", time.monotonic() + limit_s
    try:
        with closing(open_unchanged(path, in_use=False)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS)
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if time.monotonic() > until_s:
            found = f"{_size(around) / 1e6:.0f} MB were not read through within {limit_s:g} s"
            return fault("records.not-checked", "database", found, file=path)
        return fault("records.damaged", "database", f"its own check ends with: {error}", option=around.config_option)
    except sqlite3.DatabaseError as error:
        return fault("records.damaged", "database", f"its own check ends with: {error}", option=around.config_option)
    if said == ["ok"]:
        return ok("records", "whole", "the database's own check finds nothing")
    return fault("records.damaged", "database", f"its own check says: {'; '.join(said)}", option=around.config_option)
