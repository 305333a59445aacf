"""What one site is made of: a station's or a cloud's pages say it once, and everything shared goes by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from cloud_sync.pages.accounts import Accounts
from cloud_sync.pages.audit import AuditLog
from cloud_sync.pages.people import Role, Session
from cloud_sync.pages.sessions import Sessions
from cloud_sync.pages.store import PagesStore
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
        kind: `station` or `cloud`; names the cookie, for browsers keep one jar for all ports of a host.
        title: what stands in the head: the station's id.
        database: of the pages' own.
        folder: the package of the site, with templates/, static/ and words/ of its own.
        menu: its pages; the first one is home.
        hosts: the names and addresses that the pages are asked for by.
        secure: served over TLS.
        faults: what HTTP status an expected error of the site becomes; its message is shown.
    """

    kind: str
    title: str
    database: Path
    folder: Path
    menu: Sequence[MenuItem]
    hosts: frozenset[str] = frozenset(LOOPBACK)
    secure: bool = False
    faults: Mapping[type[Exception], int] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        """The session cookie's name; over TLS no other host of the domain can set it."""
        return f"__Host-inspectd-{self.kind}" if self.secure else f"inspectd-{self.kind}"


@dataclass(frozen=True, slots=True)
class Rooms:
    """What requests need of the site, made once."""

    site: Site
    accounts: Accounts
    sessions: Sessions
    audit: AuditLog
    words: Words

    @classmethod
    def of(cls, site: Site) -> "Rooms":
        """Open the database and read the catalogues. Raises PagesError."""
        store = PagesStore(site.database)
        words = Words([OURS, site.folder / "words"])
        return cls(site, Accounts(store), Sessions(store), AuditLog(store), words)


def rooms(request: Request) -> Rooms:
    """The site that a request is for."""
    found: Rooms = request.app.state.rooms
    return found


def address_of(request: Request) -> str:
    """From where it is asked."""
    return request.client.host if request.client is not None else ""


def note(request: Request, session: Session, action: str, subject: str, outcome: str = "ok") -> None:
    """Write an act into the audit log."""
    who = (session.person.name, session.person.role.value)
    rooms(request).audit.write(who, address_of(request), action, subject, outcome)
