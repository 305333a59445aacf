"""Logging in and out."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, unnoted
from cloud_sync.pages.guard import Operator, session_of
from cloud_sync.pages.sessions import LONGEST_S
from cloud_sync.pages.showing import show
from cloud_sync.pages.site import Site, address_of, origin_of, rooms
from cloud_sync.pages.tries import KNOWN_S, LoginRefusedError

router = APIRouter()
PUBLIC = ("/login",)  # the only paths that nobody needs a role for
_LONGEST_WAY = 2000


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - the query's word
    """Ask who it is."""
    if session_of(request) is not None:
        return RedirectResponse(_inside(next), 303)
    return show(request, "login.html", next=_inside(next), refused="", nobody=not rooms(request).accounts.everybody())


@router.post("/login")
@unnoted("who it is comes out here: both ends are written below, before the browser is given the session")
def log_in(
    request: Request,
    name: Annotated[str, Form(max_length=100)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the form's word
) -> Response:
    """Begin a session, or say why not."""
    here = rooms(request)
    try:
        begun = here.sessions.begin(name, password, origin_of(request))
    except LoginRefusedError as error:
        here.audit.write_stranger(name, address_of(request), here.words.say("en", error.word))
        values = {"next": _inside(next), "refused": error.word, "nobody": not here.accounts.everybody()}
        return show(request, "login.html", 403, **values)
    here.audit.write((name, begun.session.person.role.value), address_of(request), "login", name)
    here.sessions.end(request.cookies.get(here.site.cookie, ""))
    response = RedirectResponse(_inside(next), 303)
    _set(response, here.site, here.site.cookie, begun.token, LONGEST_S)
    _set(response, here.site, here.site.browser_cookie, begun.browser, KNOWN_S)
    return response


@router.post("/logout")
@noted("logout", "{session.person.name}")
def log_out(request: Request, session: Operator) -> Response:  # noqa: ARG001 - the guard
    """End the session."""
    here = rooms(request)
    here.sessions.end(request.cookies.get(here.site.cookie, ""))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(here.site.cookie, path="/", secure=here.site.secure, httponly=True, samesite="strict")
    return response


def _set(response: Response, site: Site, name: str, value: str, age_s: int) -> None:
    response.set_cookie(name, value, age_s, path="/", secure=site.secure, httponly=True, samesite="strict")


def _inside(path: str) -> str:
    """Where to go on: a path of ours, never another site, nor back here."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    back = path.partition("?")[0].rstrip("/") in PUBLIC
    return path if ours and not back and len(path) <= _LONGEST_WAY else "/"
