"""Logging in and out."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.guard import Operator, session_of
from cloud_sync.pages.sessions import LONGEST_S, LoginRefusedError
from cloud_sync.pages.showing import show
from cloud_sync.pages.site import address_of, note, rooms

router = APIRouter()
PUBLIC = ("/login",)  # the only paths that nobody needs a role for


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - the query's word
    """Ask who it is."""
    if session_of(request) is not None:
        return RedirectResponse(_inside(next), 303)
    return show(request, "login.html", next=_inside(next), refused="", nobody=not rooms(request).accounts.everybody())


@router.post("/login")
def log_in(
    request: Request,
    name: Annotated[str, Form(max_length=100)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the form's word
) -> Response:
    """Begin a session, or say why not."""
    here = rooms(request)
    try:
        begun = here.sessions.begin(name, password, address_of(request))
    except LoginRefusedError as error:
        here.audit.write((name, ""), address_of(request), "login", name, error.word)
        values = {"next": _inside(next), "refused": error.word, "nobody": not here.accounts.everybody()}
        return show(request, "login.html", 403, **values)
    note(request, begun.session, "login", name)
    response = RedirectResponse(_inside(next), 303)
    response.set_cookie(
        here.site.cookie, begun.token, LONGEST_S, path="/", secure=here.site.secure, httponly=True, samesite="strict"
    )
    return response


@router.post("/logout")
def log_out(request: Request, session: Operator) -> Response:
    """End the session."""
    here = rooms(request)
    here.sessions.end(request.cookies.get(here.site.cookie, ""))
    note(request, session, "logout", session.person.name)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(here.site.cookie, path="/", secure=here.site.secure, httponly=True, samesite="strict")
    return response


def _inside(path: str) -> str:
    """Where to go on: a path of ours, never another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"
