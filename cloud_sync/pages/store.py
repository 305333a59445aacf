"""The pages' own database: people, sessions, failed logins, and what was done by whom. Nothing else writes it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud_sync.pages.errors import PagesError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, language TEXT NOT NULL DEFAULT '',
  theme TEXT NOT NULL DEFAULT 'auto', created_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
  token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES people(name) ON DELETE CASCADE, csrf TEXT NOT NULL,
  began_s REAL NOT NULL, seen_s REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS failures (at_s REAL NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_kept BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
"""
_BUSY_S = 5.0


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
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with self.transaction() as connection:
                connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise PagesError(f"cannot open the pages' database {path}: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection whose work is committed at the end, or undone where it raised. Raises sqlite3.Error."""
        connection = sqlite3.connect(self.path, timeout=_BUSY_S)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            with connection:
                yield connection
        finally:
            connection.close()
