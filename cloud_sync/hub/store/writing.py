"""Puts what arrived into the store: each record once, whatever came twice or came wrong.

One transaction holds everything that a call brings; after it has returned, all of it survives a power cut.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeVar

import sqlalchemy as sa

from cloud_sync.hub.store.engine import BUSY_TIMEOUT_S, open_engine
from cloud_sync.hub.store.entries import DeadLetter, Inserted, Key, NewRecord
from cloud_sync.hub.store.errors import ContentError, StoreError
from cloud_sync.hub.store.inserting import write_records

__all__ = ["DeadLetter", "Inserted", "Key", "NewRecord", "StoreWriter", "is_fault_of_database"]

T = TypeVar("T")

_AT_FAULT = (sa.exc.DataError, sa.exc.IntegrityError)


class StoreWriter:
    """The collector's hand in the store. A context manager; made by one process, used by one thread.

    Args:
        place: a path (SQLite) or an SQLAlchemy URL; made where absent, brought forward where older.
        busy_timeout_s: how long SQLite waits for another writer before it gives up.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, place: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._engine = open_engine(place, create=True, busy_timeout_s=busy_timeout_s)

    def commit(self, write: Callable[[sa.Connection], T]) -> T:
        """Run `write` in one transaction, and commit.

        Raises:
            ContentError: the database works and refuses what was to be written.
            StoreError: the database fails. In both cases nothing of it is in the store, unless the connection broke
                in the very commit: do the same again, since it is the same however often it is done.
        """
        try:
            with self._engine.begin() as connection:
                done = write(connection)
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            kind = StoreError if is_fault_of_database(error) else ContentError
            raise kind(f"cannot write to {self._engine.url!r}: {cause}") from error
        self._check_writable()
        return done

    def insert(self, new: Sequence[NewRecord], dead: Sequence[DeadLetter], at_ms: int) -> Inserted:
        """Commit all of it or nothing. Raises StoreError; then nothing of it is in the store."""
        return self.commit(lambda connection: write_records(connection, new, dead, (), at_ms))

    def close(self) -> None:
        """Give back what the database lent."""
        self._engine.dispose()

    def _check_writable(self) -> None:
        """Raises StoreError where SQLite's file system takes no changes any more.

        For some milliseconds after an error took its journal, ext4 answers fsync with success though nothing is on
        disk. A change of a time must pass the journal: the first makes ext4 see it, the second is told.
        """
        file = self._engine.url.database
        if self._engine.dialect.name != "sqlite" or not file:
            return
        try:
            for _ in range(2):
                os.utime(Path(file).parent)
        except OSError as error:
            raise StoreError(
                f"the file system of {file} has given up: {error}: see to the disk, start again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_fault_of_database(error: Exception) -> bool:
    """Whether it lies with disk, server or connection and may pass; otherwise with what was to be written."""
    if isinstance(error, sa.exc.ProgrammingError):  # by the server's word a right or a table is missing
        return getattr(error.orig, "sqlstate", None) is not None
    if isinstance(error, sa.exc.DBAPIError):
        return error.connection_invalidated or not isinstance(error, _AT_FAULT)
    return isinstance(error, sa.exc.SQLAlchemyError)
