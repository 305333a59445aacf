"""What was done by the pages, by whom, from where, and how it ended; written once, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud_sync.pages.store import PagesStore


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
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (at, name, role, address, action, subject, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (at, who[0][:100], who[1], address, action, subject[:500], outcome[:500]),
            )

    def newest(self, most: int = 200, before: int | None = None) -> Sequence[tuple[int, Entry]]:
        """The last acts with their numbers, newest first; `before` a number, for the page after."""
        query = (
            "SELECT id, at, name, role, address, action, subject, outcome FROM audit"
            " WHERE id < ? ORDER BY id DESC LIMIT ?"
        )
        with self._store.transaction() as connection:
            rows = connection.execute(query, (before if before is not None else 2**62, most)).fetchall()
        return [(row[0], Entry(*row[1:])) for row in rows]
