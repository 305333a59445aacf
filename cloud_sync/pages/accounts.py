"""The people who may log in."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from cloud_sync.pages import passwords
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.people import LANGUAGES, THEMES, Person, Role, check_name
from cloud_sync.pages.store import PagesStore


class Accounts:
    """People with their roles and hashed passwords. Every method raises sqlite3.Error where the disk refuses."""

    def __init__(self, store: PagesStore) -> None:
        self._store = store

    def add(self, name: str, role: Role, password: str) -> Person:
        """Let somebody in. Raises PagesError: the name is taken or no name, or the password may not be one."""
        check_name(name)
        kept = passwords.hashed(passwords.check_password(name, password))
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with self._store.transaction() as connection:
                connection.execute(
                    "INSERT INTO people (name, role, password, created_at) VALUES (?, ?, ?, ?)",
                    (name, role.value, kept, created_at),
                )
        except sqlite3.IntegrityError as error:
            raise PagesError(f"there is a user {name!r}: change it with `user role` or `user password`") from error
        return Person(name, role, created_at=created_at)

    def everybody(self) -> Sequence[Person]:
        """All of them, by name."""
        with self._store.transaction() as connection:
            return [person_of(row) for row in connection.execute("SELECT * FROM people ORDER BY name")]

    def remove(self, name: str) -> None:
        """Let somebody in no more; their sessions end. Raises PagesError."""
        self._change(name, "DELETE FROM people WHERE name = :name", {})

    def set_role(self, name: str, role: Role) -> None:
        """Give somebody another role; it holds from their next request on. Raises PagesError."""
        self._change(name, "UPDATE people SET role = :role WHERE name = :name", {"role": role.value})

    def set_password(self, name: str, password: str) -> None:
        """Give somebody another password; their sessions end, and they may try again at once. Raises PagesError."""
        kept = passwords.hashed(passwords.check_password(name, password))
        with self._store.transaction() as connection:
            if not connection.execute("UPDATE people SET password = ? WHERE name = ?", (kept, name)).rowcount:
                raise _unknown(name)
            for table in ("sessions", "browsers", "failures"):
                connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # noqa: S608 - one of these three

    def set_looks(self, name: str, language: str, theme: str) -> None:
        """How somebody wants to see the pages. Raises PagesError."""
        if language not in LANGUAGES or theme not in THEMES:
            raise PagesError(f"language is one of {', '.join(LANGUAGES)} and theme of {', '.join(THEMES)}")
        values = {"language": language, "theme": theme}
        self._change(name, "UPDATE people SET language = :language, theme = :theme WHERE name = :name", values)

    def _change(self, name: str, statement: str, values: dict[str, str]) -> None:
        with self._store.transaction() as connection:
            if not connection.execute(statement, values | {"name": name}).rowcount:
                raise _unknown(name)


def person_of(row: sqlite3.Row) -> Person:
    """A row of people as a person."""
    return Person(row["name"], Role(row["role"]), row["language"], row["theme"], row["created_at"])


def _unknown(name: str) -> PagesError:
    return PagesError(f"there is no user {name!r}")
