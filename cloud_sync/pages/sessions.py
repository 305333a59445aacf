"""Who is logged in: a random token in a cookie, of which the database holds only the hash.

A session ends by logout, after half an hour unused, after twelve hours in any case, and with its person's password.
Failed logins are counted by name and by address; too many within a quarter of an hour, and nobody gets in that way.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from cloud_sync.pages import passwords
from cloud_sync.pages.accounts import person_of
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.people import Session
from cloud_sync.pages.store import PagesStore

IDLE_S = 30 * 60
LONGEST_S = 12 * 60 * 60
_WINDOW_S = 15 * 60
_PER_NAME = 10
_PER_ADDRESS = 30
_SEEN_EVERY_S = 60  # a page that asks every second need not write every second


class LoginRefusedError(PagesError):
    """Name or password is wrong, or there were too many tries."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class Begun:
    """A new session, and the token that its cookie carries."""

    token: str
    session: Session


class Sessions:
    """Every method raises sqlite3.Error where the disk refuses.

    Args:
        store: the pages' database.
        clock_s: the time, as time.time has it.
    """

    def __init__(self, store: PagesStore, clock_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock_s = clock_s

    def begin(self, name: str, password: str, address: str) -> Begun:
        """Log somebody in. Raises LoginRefusedError."""
        now_s = self._clock_s()
        with self._store.transaction() as connection:
            since = (now_s - _WINDOW_S,)
            connection.execute("DELETE FROM failures WHERE at_s < ?", since)
            by_name = connection.execute("SELECT count(*) FROM failures WHERE name = ?", (name,)).fetchone()[0]
            by_address = connection.execute("SELECT count(*) FROM failures WHERE address = ?", (address,)).fetchone()[0]
            row = connection.execute("SELECT * FROM people WHERE name = ?", (name,)).fetchone()
        if by_name >= _PER_NAME or by_address >= _PER_ADDRESS:
            raise LoginRefusedError("login.too_many")
        if not passwords.matches(None if row is None else row["password"], password):
            with self._store.transaction() as connection:
                connection.execute("INSERT INTO failures VALUES (?, ?, ?)", (now_s, name, address))
            raise LoginRefusedError("login.wrong")
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM failures WHERE name = ?", (name,))
            connection.execute("DELETE FROM sessions WHERE seen_s < ?", (now_s - IDLE_S,))
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", (_hash(token), name, csrf, now_s, now_s))
        return Begun(token, Session(person_of(row), csrf))

    def find(self, token: str) -> Session | None:
        """The session of a cookie's token; None where there is none, or it is over."""
        now_s = self._clock_s()
        with self._store.transaction() as connection:
            row = connection.execute(
                "SELECT people.*, csrf, began_s, seen_s FROM sessions JOIN people USING (name) WHERE token = ?",
                (_hash(token),),
            ).fetchone()
            if row is None:
                return None
            if now_s - row["seen_s"] > IDLE_S or now_s - row["began_s"] > LONGEST_S:
                connection.execute("DELETE FROM sessions WHERE token = ?", (_hash(token),))
                return None
            if now_s - row["seen_s"] > _SEEN_EVERY_S:
                connection.execute("UPDATE sessions SET seen_s = ? WHERE token = ?", (now_s, _hash(token)))
        return Session(person_of(row), row["csrf"])

    def end(self, token: str) -> None:
        """Log out."""
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE token = ?", (_hash(token),))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
