"""Who may ask: each route names a role by its first parameter's type, and what changes something carries the token.

    def roll_back(request: Request, session: Engineer, ...): ...

A test walks all routes of both sites: one without a role is a fault.
"""

import hmac
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from cloud_sync.pages.people import Role, Session
from cloud_sync.pages.site import rooms

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
ITSELF_HEADER = "X-By-Itself"  # what a page's script asks for without anybody's doing
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class NotLoggedInError(Exception):
    """Nobody is logged in, or no longer."""


class NotAllowedError(Exception):
    """Their role does not cover it, or the request lacks the page's token."""

    def __init__(self, word: str, **values: str) -> None:
        super().__init__(word)
        self.word = word
        self.values = values


def session_of(request: Request) -> Session | None:
    """Who asks, if they are logged in; looked up once a request. Raises sqlite3.Error."""
    if not hasattr(request.state, "session"):
        request.state.session = None  # what goes wrong here is said without a second look
        here = rooms(request)
        token = request.cookies.get(here.site.cookie)
        request.state.session = here.sessions.find(token, by_itself=_by_itself(request)) if token else None
    kept: Session | None = request.state.session
    return kept


def _by_itself(request: Request) -> bool:
    """Whether a page asked on its own, be it anew every second or for a picture in it: nobody need sit before it."""
    heads = request.headers
    stream = heads.get("accept", "").startswith("text/event-stream")
    return ITSELF_HEADER in heads or heads.get("sec-fetch-dest") == "image" or stream


class AtLeast:
    """A dependency: the session of somebody who has the role, or more. Raises NotLoggedInError, NotAllowedError."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request, found: Annotated[Session | None, Depends(session_of)]) -> Session:
        """The session, for FastAPI to hand to the route."""
        if found is None:
            raise NotLoggedInError
        if not found.person.role.covers(self.role):
            raise NotAllowedError("error.role", needed=self.role.value, role=found.person.role.value)
        if request.method not in _SAFE:
            await check_token(request, found)
        return found


async def check_token(request: Request, session: Session) -> None:
    """The form or the script that asks came from our own page. Raises NotAllowedError."""
    given = request.headers.get(CSRF_HEADER, "")
    if not given and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        given = str((await request.form()).get(CSRF_FIELD, ""))
    if not hmac.compare_digest(given.encode("utf-8", "replace"), session.csrf.encode()):
        raise NotAllowedError("error.token")


Operator = Annotated[Session, Depends(AtLeast(Role.OPERATOR))]
Engineer = Annotated[Session, Depends(AtLeast(Role.ENGINEER))]
Admin = Annotated[Session, Depends(AtLeast(Role.ADMIN))]
