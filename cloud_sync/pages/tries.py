"""How often somebody may try to log in.

- One name from one address: ten wrong tries in a quarter of an hour. All names from one address: thirty. One name from
  everywhere: a hundred.
- A browser in which somebody logged in before counts by itself: a stranger who knows their name keeps nobody out.
- A try counts before its password is looked at, so many at once are no more than many in turn.
- A clock that was set back forgives: what failed in the future is forgotten.
"""

import hashlib
import ipaddress
import secrets
import sqlite3
from dataclasses import dataclass

from cloud_sync.pages.errors import PagesError

WINDOW_S = 15 * 60
PER_NAME_AND_ADDRESS = 10
PER_ADDRESS = 30
PER_NAME = 100
KNOWN_S = 180 * 24 * 60 * 60
_BROWSERS = 20


class LoginRefusedError(PagesError):
    """Name or password is wrong, or there were too many tries; `word` is the key of what to say."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class From:
    """Where a login comes from: the address, and the token by which a browser is known again ("" for none)."""

    address: str
    browser: str = ""


def begin_try(connection: sqlite3.Connection, name: str, origin: From, now_s: float) -> int:
    """Count a try, and give its number, to be forgotten where it succeeds. Raises LoginRefusedError: no more now."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM failures WHERE NOT at_s BETWEEN ? AND ?", (now_s - WINDOW_S, now_s))
    known = _is_known(connection, name, origin.browser, now_s)
    place = f"browser {digest(origin.browser)}" if known else _network(origin.address)
    limits = [("name = :name AND address = :place", PER_NAME_AND_ADDRESS)]
    if not known:
        limits += [("address = :place", PER_ADDRESS), ("name = :name", PER_NAME)]
    for where, most in limits:
        query = f"SELECT count(*) FROM failures WHERE {where}"  # noqa: S608 - one of the three above
        if connection.execute(query, {"name": name, "place": place}).fetchone()[0] >= most:
            raise LoginRefusedError("login.too_many")
    return connection.execute("INSERT INTO failures VALUES (?, ?, ?)", (now_s, name, place)).lastrowid or 0


def end_try(connection: sqlite3.Connection, number: int, name: str) -> None:
    """It was them: this try, and their wrong ones from the same place, count no more."""
    place = "(SELECT address FROM failures WHERE rowid = ?)"
    connection.execute(f"DELETE FROM failures WHERE name = ? AND address = {place}", (name, number))  # noqa: S608


def know_browser(connection: sqlite3.Connection, name: str, browser: str, now_s: float) -> str:
    """The token by which this person's browser is known from now on: the one it has, or a new one."""
    if not _is_known(connection, name, browser, now_s):
        browser = secrets.token_urlsafe(32)
    connection.execute("INSERT OR REPLACE INTO browsers VALUES (?, ?, ?)", (digest(browser), name, now_s))
    connection.execute(
        "DELETE FROM browsers WHERE name = :name AND token NOT IN"
        " (SELECT token FROM browsers WHERE name = :name ORDER BY known_s DESC LIMIT :most)",
        {"name": name, "most": _BROWSERS},
    )
    return browser


def digest(token: str) -> str:
    """What the database holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _is_known(connection: sqlite3.Connection, name: str, browser: str, now_s: float) -> bool:
    query = "SELECT 1 FROM browsers WHERE token = ? AND name = ? AND known_s > ?"
    found = connection.execute(query, (digest(browser), name, now_s - KNOWN_S)).fetchone() if browser else None
    return found is not None


def _network(address: str) -> str:
    """An IPv6 neighbour has 2**64 addresses to ask from: they count as one."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is None:
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)
