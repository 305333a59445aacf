"""What was done by the pages, by whom, from where, and how it ended; written once, never changed.

The newest million acts are kept (some 200 MB), the database itself refuses to forget one of them. A stranger who fails
to log in is written a hundred times an hour, so that nobody fills the disk from outside.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud_sync.pages.store import KEPT_ACTS, PagesStore

STRANGERS_AN_HOUR = 100
_PRUNED_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One act; `outcome` is ok or what stood against it."""

    at: str
    name: str
    role: str
    address: str
    action: str
    subject: str
    outcome: str


class AuditLog:
    """Every method raises sqlite3.Error where the disk refuses."""

    def __init__(self, store: PagesStore) -> None:
        self._store = store

    def write(self, who: tuple[str, str], address: str, action: str, subject: str, outcome: str = "ok") -> None:
        """Note an act.

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
            "SELECT id, at, name, role, address, action, subject, outcome FROM audit"
            " WHERE id < ? ORDER BY id DESC LIMIT ?"
        )
        with self._store.transaction() as connection:
            rows = connection.execute(query, (before if before is not None else 2**62, most)).fetchall()
        return [(row[0], Entry(*row[1:])) for row in rows]


def _at() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _insert(connection: sqlite3.Connection, entry: Entry) -> None:
    values = (entry.at, entry.name[:100], entry.role, entry.address[:100], entry.action[:100])
    number = connection.execute(
        "INSERT INTO audit (at, name, role, address, action, subject, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*values, entry.subject[:500], entry.outcome[:500]),
    ).lastrowid
    if number is not None and number % _PRUNED_EVERY == 0:
        connection.execute("DELETE FROM audit WHERE id <= ?", (number - KEPT_ACTS,))
