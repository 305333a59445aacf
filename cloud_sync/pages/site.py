"""What one site is made of: a station's or a cloud's pages say it once, and everything shared goes by it."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from cloud_sync.pages.accounts import Accounts
from cloud_sync.pages.audit import AuditLog
from cloud_sync.pages.people import Role
from cloud_sync.pages.sessions import Sessions
from cloud_sync.pages.store import PagesStore
from cloud_sync.pages.tries import From
from cloud_sync.pages.words import OURS, Words

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A page in the menu: its path, the key of its word, the role that sees it, the key that opens it."""

    path: str
    word: str
    role: Role = Role.OPERATOR
    key: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One site.

    Args:
        kind: `station` or `cloud`.
        title: what stands in the head: the station's id.
        database: of the pages' own.
        folder: the package of the site, with templates/, static/ and words/ of its own.
        menu: its pages; the first one is home.
        hosts: the names and addresses that the pages are asked for by.
        secure: served over TLS.
        faults: what HTTP status an expected error of the site becomes; its message is shown.
        away: of these, those that say that something is away: the key of what is then said before the message.
        uploads: the routes that take more than a form's bytes from who is logged in, and how many.
    """

    kind: str
    title: str
    database: Path
    folder: Path
    menu: Sequence[MenuItem]
    hosts: frozenset[str] = frozenset(LOOPBACK)
    secure: bool = False
    faults: Mapping[type[Exception], int] = field(default_factory=dict)
    away: Mapping[type[Exception], str] = field(default_factory=dict)
    uploads: Mapping[str, int] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        """The session cookie's name, another one for each site of a host; over TLS no other host can set it."""
        which = hashlib.sha256(f"{self.title} {self.database.absolute()}".encode()).hexdigest()[:8]
        return f"{'__Host-' if self.secure else ''}inspectd-{self.kind}-{which}"

    @property
    def browser_cookie(self) -> str:
        """The name of the cookie by which a browser is known again when somebody logs in."""
        return f"{self.cookie}-known"


@dataclass(frozen=True, slots=True)
class Rooms:
    """What requests need of the site, made once; `stopping` is set when the pages end, and ends their streams."""

    site: Site
    accounts: Accounts
    sessions: Sessions
    audit: AuditLog
    words: Words
    stopping: threading.Event

    @classmethod
    def of(cls, site: Site) -> "Rooms":
        """Open the database and read the catalogues. Raises PagesError."""
        store = PagesStore(site.database)
        words = Words([OURS, site.folder / "words"])
        return cls(site, Accounts(store), Sessions(store), AuditLog(store), words, threading.Event())


def rooms(request: Request) -> Rooms:
    """The site that a request is for."""
    found: Rooms = request.app.state.rooms
    return found


def address_of(request: Request) -> str:
    """From where it is asked."""
    return request.client.host if request.client is not None else ""


def origin_of(request: Request) -> From:
    """From where somebody logs in, and whether their browser is known."""
    return From(address_of(request), request.cookies.get(rooms(request).site.browser_cookie, ""))
