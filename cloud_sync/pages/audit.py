"""What was done by the pages, by whom, from where, and how it ended; written once, never changed.

An act is written before it is done, and its outcome after it, in a table of its own: an act without one is open.
Versions before wrote one line when all was over; those lines hold their outcome themselves.

The newest million acts are kept (some 250 MB), the database itself refuses to forget one of them. A stranger who fails
to log in is written a hundred times an hour, so that nobody fills the disk from outside.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.store import KEPT_ACTS, PagesStore

STRANGERS_AN_HOUR = 100
OK = "ok"
OPEN = "open"  # begun; how it ended is not written
_PRUNED_EVERY = 1000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One act; `outcome` is ok, open, or what stood against it."""

    at: str
    name: str
    role: str
    address: str
    action: str
    subject: str
    outcome: str

    @property
    def is_open(self) -> bool:
        """Whether nobody wrote how it ended: it may have been done, or not, or is under way."""
        return self.outcome == OPEN


class NotNotedError(PagesError):
    """The audit log does not take what was asked for, so it was not done.

    Args:
        why: what the disk says.
        is_full: the disk has no room.
    """

    def __init__(self, why: str, *, is_full: bool) -> None:
        super().__init__(
            f"nothing was done, for the audit log cannot be written: {why}: make room on its disk, and repeat"
        )
        self.why = why
        self.is_full = is_full


@dataclass(slots=True)
class Act:
    """One that is under way; what is set here is written at its end.

    Args:
        outcome: ok, or what stood against it.
        subject: what it was done to, where that is known better now than when it was asked for.
        goes_on: it is not over with the block of `noting`: whoever says so ends it by `end_act`.
        number: its own.
    """

    outcome: str = OK
    subject: str = ""
    goes_on: bool = False
    number: int = 0


class AuditLog:
    """Every method raises sqlite3.Error where the disk refuses."""

    def __init__(self, store: PagesStore) -> None:
        self._store = store

    def begin(self, who: tuple[str, str], address: str, action: str, subject: str) -> int:
        """Note what will be done, and that its end is not known; its number. Arguments as those of `write`."""
        with self._store.transaction() as connection:
            return _insert(connection, Entry(_at(), *who, address, action, subject, OPEN))

    def end(self, number: int, outcome: str, subject: str = "") -> None:
        """Note how an act ended, once.

        Args:
            number: of `begin`.
            outcome: ok, or why not.
            subject: what it was done to, where that is known better by now.
        """
        row = (number, _at(), subject[:500], outcome[:500])
        with self._store.transaction() as connection:
            connection.execute("INSERT INTO outcomes (act, at, subject, outcome) VALUES (?, ?, ?, ?)", row)

    def write(self, who: tuple[str, str], address: str, action: str, subject: str, outcome: str = OK) -> None:
        """Note what was done and is no act that could stand unnoted, such as a login.

        Args:
            who: name and role.
            address: from where it was asked.
            action: the route's word, as `rollback`.
            subject: what it was done to.
            outcome: ok, or why not.
        """
        with self._store.transaction() as connection:
            _insert(connection, Entry(_at(), *who, address, action, subject, outcome))

    def write_stranger(self, name: str, address: str, outcome: str) -> None:
        """Note a login that failed, while there are not too many of them; the last one says so.

        Args:
            name: as it was given; only a user's is written, for people type passwords there.
            address: from where it was asked.
            outcome: why it failed.
        """
        since = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
        with self._store.transaction() as connection:
            connection.execute("BEGIN IMMEDIATE")
            query = "SELECT count(*) FROM audit WHERE role = '' AND at > ?"
            written = connection.execute(query, (since,)).fetchone()[0]
            if written >= STRANGERS_AN_HOUR:
                return
            known = connection.execute("SELECT 1 FROM people WHERE name = ?", (name,)).fetchone()
            subject = name if known else "no user of ours"
            if written == STRANGERS_AN_HOUR - 1:
                outcome = f"{outcome} (failed logins of the next hour are not written: there were {written + 1})"
            _insert(connection, Entry(_at(), name if known else "", "", address, "login", subject, outcome))

    def newest(self, most: int = 200, before: int | None = None) -> Sequence[tuple[int, Entry]]:
        """The last acts with their numbers, newest first; `before` a number, for the page after."""
        query = (
            "SELECT id, audit.at, name, role, address, action, coalesce(nullif(outcomes.subject, ''), audit.subject),"
            " coalesce(outcomes.outcome, audit.outcome) FROM audit LEFT JOIN outcomes ON act = id"
            " WHERE id < ? ORDER BY id DESC LIMIT ?"
        )
        with self._store.transaction() as connection:
            rows = connection.execute(query, (before if before is not None else 2**62, most)).fetchall()
        return [(row[0], Entry(*row[1:])) for row in rows]


@contextmanager
def noting(audit: AuditLog, who: tuple[str, str], address: str, action: str, subject: str) -> Iterator[Act]:
    """Write down an act before and after the block that does it.

    Args:
        audit: where.
        who: name and role.
        address: from where it was asked.
        action: the word.
        subject: what it is done to.

    Raises:
        NotNotedError: it cannot be written down; the block did not begin.
    """
    try:
        number = audit.begin(who, address, action, subject)
    except sqlite3.Error as error:
        raise NotNotedError(str(error), is_full=_is_full(error)) from error
    act = Act(number=number)
    try:
        yield act
    except Exception as error:
        act.outcome = str(error) or type(error).__name__ if act.outcome == OK else act.outcome
        end_act(audit, act)
        raise
    if not act.goes_on:
        end_act(audit, act)


def end_act(audit: AuditLog, act: Act) -> None:
    """What was done is done: where the disk does not take its outcome, the act stays open."""
    try:
        audit.end(act.number, act.outcome, act.subject)
    except sqlite3.Error as error:
        _LOG.error("act %d of the audit log stays open, its outcome was %r: %s", act.number, act.outcome, error)


def _at() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _insert(connection: sqlite3.Connection, entry: Entry) -> int:
    values = (entry.at, entry.name[:100], entry.role, entry.address[:100], entry.action[:100])
    number = connection.execute(
        "INSERT INTO audit (at, name, role, address, action, subject, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*values, entry.subject[:500], entry.outcome[:500]),
    ).lastrowid
    assert number is not None  # noqa: S101 - it was inserted
    if number % _PRUNED_EVERY == 0:
        connection.execute("DELETE FROM outcomes WHERE act <= ?", (number - KEPT_ACTS,))
        connection.execute("DELETE FROM audit WHERE id <= ?", (number - KEPT_ACTS,))
    return number


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
