"""The station's one SQLite database: what it holds and how it is opened.

WAL with synchronous=FULL: a commit that returned survives a power cut.
"""

import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

from edge.domain.errors import StorageError

_SCHEMA_VERSION = "1"
_BUSY_TIMEOUT_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inspections (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    part_id TEXT NOT NULL,
    product TEXT NOT NULL,
    verdict TEXT NOT NULL,
    triggered_at TEXT NOT NULL,
    outcome TEXT,
    told_verdict TEXT,
    told_ms REAL
);
CREATE INDEX IF NOT EXISTS inspections_by_part ON inspections (part_id);
CREATE INDEX IF NOT EXISTS inspections_open ON inspections (seq) WHERE outcome IS NULL;
CREATE TABLE IF NOT EXISTS images (
    seq INTEGER NOT NULL REFERENCES inspections (seq),
    camera TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (seq, camera)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images_by_content ON images (sha256);
CREATE TABLE IF NOT EXISTS records (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (stream, seq)
);
CREATE TABLE IF NOT EXISTS outbox (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
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


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database for writing, making it if need be; for one thread at a time.

    Raises:
        StorageError: the file cannot be opened or made, is no database of ours, or is from a newer version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(path, read_only=False)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"cannot open the station's database {path}: {error}") from error
    return _checked(connection, path, _prepare)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the database read-only, beside a running writer. Raises StorageError."""
    try:
        connection = _connect(path, read_only=True)
    except sqlite3.Error as error:
        raise StorageError(f"cannot read the station's database {path}: {error}") from error
    return _checked(connection, path, lambda _connection: None)


def epoch_of(connection: sqlite3.Connection) -> str:
    """The database's random name, made with it: 32 hex digits."""
    return _meta(connection, "epoch")


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN; {_SCHEMA} COMMIT;")
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (_SCHEMA_VERSION,))
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (uuid.uuid4().hex,))


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


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _meta(connection, "schema")
    if version != _SCHEMA_VERSION:
        raise StorageError(
            f"{path} has schema {version}, this version reads {_SCHEMA_VERSION}: install the newer inspectd"
        )


def _meta(connection: sqlite3.Connection, key: str) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""
