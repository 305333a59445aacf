"""The pages' own database: people, sessions, failed logins, and what was done by whom. Nothing else writes it."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from cloud_sync.pages.errors import PagesError

KEPT_ACTS = 1_000_000
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS people (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, language TEXT NOT NULL DEFAULT '',
  theme TEXT NOT NULL DEFAULT 'auto', created_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
  token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES people(name) ON DELETE CASCADE, csrf TEXT NOT NULL,
  began_s REAL NOT NULL, seen_s REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_by_name ON sessions (name, began_s);
CREATE TABLE IF NOT EXISTS browsers (
  token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES people(name) ON DELETE CASCADE, known_s REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS browsers_by_name ON browsers (name, known_s);
CREATE TABLE IF NOT EXISTS failures (at_s REAL NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS outcomes (
  act INTEGER PRIMARY KEY, at TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS outcomes_stay BEFORE UPDATE ON outcomes
  BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
CREATE TRIGGER IF NOT EXISTS outcomes_are_kept BEFORE DELETE ON outcomes
  WHEN old.act > (SELECT max(id) FROM audit) - {KEPT_ACTS}
  BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
CREATE INDEX IF NOT EXISTS audit_of_strangers ON audit (at) WHERE role = '';
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_kept BEFORE DELETE ON audit
  WHEN old.id > (SELECT max(id) FROM audit) - {KEPT_ACTS}
  BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
"""  # noqa: S608 - a number of ours
_BUSY_S = 5.0
_PRIMARY = 0xFF  # of an extended error code
_BESIDE_BYTES = 1 << 16  # of an empty log and its index


class PagesStore:
    """The database file, made where it is not there, readable by its owner alone.

    Args:
        path: of the file.

    Raises:
        PagesError: it cannot be opened or made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
            with self.transaction() as connection:
                connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise PagesError(f"cannot open the pages' database {path}: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection whose work is committed at the end, or undone where it raised. Raises sqlite3.Error."""
        there = f"file:{quote(str(self.path.absolute()))}?mode=rw"  # removed since, it is not made again empty
        try:
            connection = sqlite3.connect(there, timeout=_BUSY_S, uri=True)
        except sqlite3.OperationalError as error:
            said = f"the users of the pages cannot be read at {self.path}: {error}: if it was removed, as by a factory "
            raise sqlite3.OperationalError(f"{said}reset, add them anew with the command `user add`") from error
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            with connection:
                yield connection
        except sqlite3.OperationalError as error:
            if _is_for_room(error, self.path):
                full = sqlite3.OperationalError(f"the disk of {self.path} is full ({error}): make room on it")
                full.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise full from error
            raise
        finally:
            connection.close()


def _is_for_room(error: sqlite3.OperationalError, path: Path) -> bool:
    """On a full disk SQLite speaks of an I/O error where it cannot make its files beside the database."""
    if getattr(error, "sqlite_errorcode", 0) & _PRIMARY not in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
        return False
    try:
        return shutil.disk_usage(path.parent).free < _BESIDE_BYTES
    except OSError:
        return False


def _make(path: Path) -> None:
    """For its owner alone: made by root beside a service's files, it is the service's."""
    try:
        opened = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return
    try:
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(opened, folder.st_uid, folder.st_gid)
    finally:
        os.close(opened)
