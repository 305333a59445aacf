"""The station's one SQLite database: what it holds and how it is opened.

- WAL with synchronous=FULL: a commit that returned survives a power cut.
- Rows say which epoch they were made in by its number in `epochs`; the newest epoch is the current one.
- A database of version 1 is brought to this version where it is opened for writing.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from edge.domain.errors import StorageError
from edge.record import words
from edge.record.counts import count_from_now_on
from edge.record.migrating import FROM_1, forget_copy, keep_copy, newer_ways_out

_SCHEMA_VERSION = "2"
_BUSY_TIMEOUT_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS inspections (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    part_id TEXT NOT NULL,
    product TEXT NOT NULL,
    verdict TEXT NOT NULL,
    triggered_at TEXT NOT NULL,
    outcome TEXT,
    told_verdict TEXT,
    told_ms REAL,
    epoch INTEGER NOT NULL DEFAULT 1 REFERENCES epochs (id)
);
CREATE INDEX IF NOT EXISTS inspections_by_part ON inspections (part_id);
CREATE INDEX IF NOT EXISTS inspections_open ON inspections (seq) WHERE outcome IS NULL;
CREATE INDEX IF NOT EXISTS inspections_by_time ON inspections (triggered_at);
CREATE INDEX IF NOT EXISTS inspections_not_passed ON inspections (verdict, seq) WHERE verdict <> 'PASS';
CREATE INDEX IF NOT EXISTS inspections_not_told ON inspections (outcome, seq) WHERE outcome <> 'told';
CREATE TABLE IF NOT EXISTS images (
    seq INTEGER NOT NULL REFERENCES inspections (seq),
    camera TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 1,
    good INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (seq, camera)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images_by_content ON images (sha256);
CREATE INDEX IF NOT EXISTS images_stored ON images (good, seq) WHERE stored;
CREATE TABLE IF NOT EXISTS records (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    payload BLOB NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 1 REFERENCES epochs (id),
    UNIQUE (stream, seq)
);
CREATE TABLE IF NOT EXISTS outbox (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 1 REFERENCES epochs (id),
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letters (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL REFERENCES epochs (id),
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    sha256 TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    value INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    camera TEXT NOT NULL,
    refused TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_value ON uploads (value DESC, seq) WHERE refused IS NULL;
CREATE TABLE IF NOT EXISTS samples (
    seq INTEGER NOT NULL,
    camera TEXT NOT NULL,
    reason TEXT NOT NULL,
    minute INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    PRIMARY KEY (seq, camera, reason)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS samples_charged ON samples (minute, reason) WHERE charged;
CREATE TABLE IF NOT EXISTS master_checks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    product TEXT NOT NULL,
    at TEXT NOT NULL,
    outcome TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS master_checks_by_product ON master_checks (product, seq);
"""


def open_database(path: Path, *, keeps_copy: bool = True) -> sqlite3.Connection:
    """Open the database for writing, making it if need be; for one thread at a time.

    Args:
        path: its file.
        keeps_copy: one of an earlier version is copied before it is brought forward; see `migrating`.

    Raises:
        StorageError: the file cannot be opened or made, is no database of ours, or is from a newer version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            found = _found_version(path)
            if found == "1" and keeps_copy:
                keep_copy(path, int(_SCHEMA_VERSION))
        connection = _connect(path, read_only=False)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"cannot open the station's database {path}: {error}") from error
    return _checked(connection, path, _prepare)


def forget_upgrade(path: Path, now_s: float) -> None:
    """Delete the copy that was made before an upgrade, once that has held for 30 days. Raises StorageError."""
    forget_copy(path, int(_SCHEMA_VERSION), now_s)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the database read-only, beside a running writer. Raises StorageError."""
    try:
        connection = _connect(path, read_only=True)
    except sqlite3.Error as error:
        raise StorageError(f"cannot read the station's database {path}: {error}") from error
    return _checked(connection, path, lambda _connection: None)


def epoch_of(connection: sqlite3.Connection) -> str:
    """The current epoch: 32 random hex digits, the first made with the database."""
    return current_epoch(connection)[1]


def current_epoch(connection: sqlite3.Connection) -> tuple[int, str]:
    """Number and name of the current epoch."""
    number, epoch = connection.execute("SELECT id, epoch FROM epochs ORDER BY id DESC LIMIT 1").fetchone()
    return int(number), str(epoch)


def schema_of(connection: sqlite3.Connection) -> tuple[str, str]:
    """The version of what is in it, empty where it is no database of a station, and the one written now."""
    return _version(connection), _SCHEMA_VERSION


def begin_epoch(connection: sqlite3.Connection) -> str:
    """Make a new epoch the current one, and say its name."""
    epoch = uuid.uuid4().hex
    connection.execute("INSERT INTO epochs (epoch) VALUES (?)", (epoch,))
    return epoch


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection)
        if found in {"", "1", _SCHEMA_VERSION}:  # a newer one is refused and left as it is
            _write_schema(connection, found)
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.rollback()
        raise


def _write_schema(connection: sqlite3.Connection, found: str) -> None:
    for statement in (FROM_1 if found == "1" else "").split(";") + _SCHEMA.split(";") + words.TABLE.split(";"):
        connection.execute(statement)
    words.catch_up_words(connection)
    count_from_now_on(connection)
    if not found:
        connection.execute("INSERT INTO meta VALUES ('schema', ?)", (_SCHEMA_VERSION,))
        begin_epoch(connection)


def _checked(
    connection: sqlite3.Connection, path: Path, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """The connection once it is prepared and of our version; closed when it is not."""
    try:
        prepare(connection)
        _check_version(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StorageError(f"cannot use the station's database {path}: {error}") from error
    except StorageError:
        connection.close()
        raise
    return connection


def _found_version(path: Path) -> str:
    """The version of a database that is only read, so that not a byte of a newer one changes. Raises StorageError."""
    with closing(_connect(path, read_only=True)) as reader, contextlib.suppress(sqlite3.DatabaseError):
        found = _version(reader)
        if _is_newer(found):
            _check_version(reader, path)
        return found
    return ""


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version == _SCHEMA_VERSION:
        return
    what = newer_ways_out(path, version) if _is_newer(version) else "`edge run` brings it up to date"
    raise StorageError(f"{path} has schema {version or 'none'}, this version reads {_SCHEMA_VERSION}: {what}")


def _is_newer(version: str) -> bool:
    return version.isdecimal() and int(version) > int(_SCHEMA_VERSION)


def _version(connection: sqlite3.Connection) -> str:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return ""
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    return str(row[0]) if row else ""
