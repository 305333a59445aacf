"""Group commit: one thread writes everything, and one fsync serves all that waited for the last one.

Invariants:
- `done` is called only after the commit that holds the work returned.
- A commit on a file system that has given up has failed, whatever fsync said: for some milliseconds after an error
  took its journal, ext4 answers fsync with success though nothing is on disk.
- A failed commit fails all of its works; none of them is half written.
- A work that is itself wrong fails alone, with RefusedError; the others of its group are written.
- While the disk refuses, works fail at once; the database is reopened until it takes writes again.
- What a failed fsync left in the write-ahead log is never built upon: the kernel may hold pages of it for written that
  are not, and a power cut would then take every commit behind them. Storage is back once the log begins anew.
"""

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from edge.domain.errors import StorageError
from edge.record.database import open_database
from edge.record.writable import check_writable

log = structlog.get_logger()
_GROUP_LIMIT = 64
_REOPEN_S = 1.0
_PATIENCE_S = 0.25
_WORKS_FAULT = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)


class RefusedError(StorageError):
    """A work is itself wrong: the disk is good, and writing it again would not help."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something to write.

    Args:
        write: runs inside the transaction, in the writer's thread.
        done: called after the commit.
        failed: called instead when it is not on disk.
    """

    write: Callable[[sqlite3.Connection], None]
    done: Callable[[], None]
    failed: Callable[[StorageError], None]


class GroupWriter:
    """The only writer of the station's database.

    Args:
        path: the database file.
        on_state: called from the thread with (storage works, why not) when that changes.

    Raises:
        StorageError: the database cannot be opened (from the constructor, so that a start fails loudly).
    """

    def __init__(self, path: Path, on_state: Callable[[bool, str], None]) -> None:
        self.failure: Exception | None = None
        self.commits = 0
        self._path = path
        self._on_state = on_state
        self._connection: sqlite3.Connection | None = open_database(path)
        self._queue: queue.Queue[Work] = queue.Queue()
        self._stop = threading.Event()
        self._why = ""
        self._reopen_s = 0.0
        self._busy_since_s = 0.0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Write what is queued, end the thread and close the database, waiting at most `timeout_s` seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._connection is not None and not self._thread.is_alive():
            self._connection.close()
            self._connection = None

    def submit(self, work: Work) -> None:
        """Queue a work; never blocks."""
        self._queue.put(work)

    def depth(self) -> int:
        """How many works wait."""
        return self._queue.qsize()

    def busy_s(self, now_s: float) -> float:
        """For how long the disk has been working on one and the same write; 0 when none waits for it."""
        since_s = self._busy_since_s
        return now_s - since_s if since_s else 0.0

    def _run(self) -> None:
        try:
            while not (self._stop.is_set() and self._queue.empty()):
                group = self._gather()
                self._busy_since_s = time.monotonic()
                if self._connection is None:
                    self._reopen()
                if group:
                    self._commit(group)
                self._busy_since_s = 0.0
        except Exception as error:  # noqa: BLE001 - the daemon must learn of it and stop
            self.failure = error

    def _gather(self) -> list[Work]:
        try:
            group = [self._queue.get(timeout=_PATIENCE_S)]
        except queue.Empty:
            return []
        while len(group) < _GROUP_LIMIT and not self._queue.empty():
            group.append(self._queue.get_nowait())
        return group

    def _commit(self, group: list[Work]) -> None:
        while group and self._connection is not None:
            try:
                refused = self._write(self._connection, group)
            except (sqlite3.Error, OSError) as error:
                self._lose(f"the station's database {self._path} refuses writes: {error}")
                break
            if refused is None:
                self.commits += 1
                for work in group:
                    work.done()
                return
            work, why = refused
            self._fail([work], RefusedError(f"a record cannot be written: {type(why).__name__}: {why}"))
            group = [other for other in group if other is not work]
        self._fail(group, StorageError(self._why))

    def _write(self, connection: sqlite3.Connection, group: list[Work]) -> tuple[Work, Exception] | None:
        connection.execute("BEGIN IMMEDIATE")
        for work in group:
            try:
                work.write(connection)
            except _WORKS_FAULT as error:
                connection.execute("ROLLBACK")
                return work, error
        connection.execute("COMMIT")
        check_writable(self._path.parent)
        return None

    def _fail(self, group: list[Work], error: StorageError) -> None:
        for work in group:
            work.failed(error)

    def _lose(self, why: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        if not self._why:
            self._on_state(False, why)
        self._why = why
        self._reopen_s = time.monotonic() + _REOPEN_S

    def _reopen(self) -> None:
        if time.monotonic() < self._reopen_s:
            return
        try:
            self._connection = open_database(self._path)
            self._begin_log_anew(self._connection)
            self._connection.execute("CREATE TABLE IF NOT EXISTS probe (at REAL)")
            self._connection.execute("DELETE FROM probe")
            self._connection.execute("INSERT INTO probe VALUES (?)", (time.time(),))
            check_writable(self._path.parent)
        except (StorageError, sqlite3.Error, OSError) as error:
            self._lose(str(error))
            return
        self._why = ""
        self._on_state(True, "")

    def _begin_log_anew(self, connection: sqlite3.Connection) -> None:
        """Bring all that the log holds into the database, synced, and empty it. Raises StorageError."""
        busy, _pages, _done = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StorageError(f"the log of {self._path} cannot be emptied yet: somebody reads it")
