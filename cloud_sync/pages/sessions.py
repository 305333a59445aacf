"""Who is logged in: a random token in a cookie, of which the database holds only the hash.

A session ends by logout, after half an hour unused, after twelve hours in any case, and with its person's password. A
clock that was set back ends it too: nobody stays longer for it.

What a page asks for by itself is use of an operator's session: the screen at the line stays all shift. Who may change
things must be there: their session grows idle behind a page that keeps itself up to date.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from cloud_sync.pages import passwords
from cloud_sync.pages.accounts import person_of
from cloud_sync.pages.people import Role, Session
from cloud_sync.pages.store import PagesStore
from cloud_sync.pages.tries import From, LoginRefusedError, begin_try, digest, end_try, know_browser

IDLE_S = 30 * 60
LONGEST_S = 12 * 60 * 60
_SEEN_EVERY_S = 60  # a page that asks every second need not write every second
_BACK_S = 60.0
_SESSIONS = 20


@dataclass(frozen=True, slots=True)
class Begun:
    """A new session, the token that its cookie carries, and the one by which its browser is known again."""

    token: str
    session: Session
    browser: str


class Sessions:
    """Every method raises sqlite3.Error where the disk refuses.

    Args:
        store: the pages' database.
        clock_s: the time, as time.time has it.
    """

    def __init__(self, store: PagesStore, clock_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock_s = clock_s

    def begin(self, name: str, password: str, origin: From) -> Begun:
        """Log somebody in. Raises LoginRefusedError."""
        self.check(name, password, origin)
        now_s, token, csrf = self._clock_s(), secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        with self._store.transaction() as connection:
            row = connection.execute("SELECT * FROM people WHERE name = ?", (name,)).fetchone()
            if row is None:  # removed since
                raise LoginRefusedError("login.wrong")
            connection.execute("DELETE FROM sessions WHERE seen_s < ? OR began_s > ?", (now_s - IDLE_S, now_s))
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", (digest(token), name, csrf, now_s, now_s))
            connection.execute(
                "DELETE FROM sessions WHERE name = :name AND token NOT IN"
                " (SELECT token FROM sessions WHERE name = :name ORDER BY began_s DESC, rowid DESC LIMIT :most)",
                {"name": name, "most": _SESSIONS},
            )
            browser = know_browser(connection, name, origin.browser, now_s)
        return Begun(token, Session(person_of(row), csrf), browser)

    def check(self, name: str, password: str, origin: From) -> None:
        """Whether it is them; wrong tries are counted. Raises LoginRefusedError."""
        with self._store.transaction() as connection:
            tried = begin_try(connection, name, origin, self._clock_s())
            row = connection.execute("SELECT password FROM people WHERE name = ?", (name,)).fetchone()
        kept: str | None = None if row is None else row["password"]
        if not passwords.matches(kept, password) or kept is None:
            raise LoginRefusedError("login.wrong")
        fresh = passwords.hashed(password) if passwords.outdated(kept) else kept
        with self._store.transaction() as connection:
            end_try(connection, tried, name)
            connection.execute("UPDATE people SET password = ? WHERE name = ? AND password = ?", (fresh, name, kept))

    def find(self, token: str, *, by_itself: bool = False) -> Session | None:
        """The session of a cookie's token; None where there is none, or it is over.

        Args:
            token: the cookie's.
            by_itself: a page asks, and nobody did anything: a use of the session for an operator alone.
        """
        now_s = self._clock_s()
        with self._store.transaction() as connection:
            row = connection.execute(
                "SELECT people.*, csrf, began_s, seen_s FROM sessions JOIN people USING (name) WHERE token = ?",
                (digest(token),),
            ).fetchone()
            if row is None:
                return None
            idle_s = now_s - row["seen_s"]
            if not -_BACK_S <= idle_s <= IDLE_S or not -_BACK_S <= now_s - row["began_s"] <= LONGEST_S:
                connection.execute("DELETE FROM sessions WHERE token = ?", (digest(token),))
                return None
            used = not by_itself or row["role"] == Role.OPERATOR.value
            if used and idle_s > _SEEN_EVERY_S:
                connection.execute("UPDATE sessions SET seen_s = ? WHERE token = ?", (now_s, digest(token)))
        return Session(person_of(row), row["csrf"])

    def end(self, token: str) -> None:
        """Log out."""
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE token = ?", (digest(token),))
