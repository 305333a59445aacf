"""One's own account, and for those who look after users: the users and what was done."""

from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, turned_out, unnoted
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Admin, Operator
from cloud_sync.pages.people import LANGUAGES, THEMES, Role
from cloud_sync.pages.showing import show
from cloud_sync.pages.site import origin_of, rooms
from cloud_sync.pages.tries import LoginRefusedError

router = APIRouter()
_MOST = 200


@router.get("/account")
def account_page(request: Request, session: Operator) -> Response:
    """Language, theme and password."""
    return show(request, "account.html", languages=LANGUAGES, themes=THEMES, me=session.person)


@router.post("/account/looks")
@unnoted("it changes how pages look to who asks, and nothing else")
def change_looks(
    request: Request,
    session: Operator,
    language: Annotated[str, Form(max_length=1000)],
    theme: Annotated[str, Form(max_length=1000)],
) -> Response:
    """How the pages look for who asks."""
    rooms(request).accounts.set_looks(session.person.name, language, theme)
    return RedirectResponse("/account", 303)


@router.post("/account/password")
@noted("password", "{session.person.name}")
def change_password(
    request: Request,
    session: Operator,
    old: Annotated[str, Form(max_length=1000)],
    new: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Another password for who asks; all their sessions end."""
    here, name = rooms(request), session.person.name
    try:
        here.sessions.check(name, old, origin_of(request))
    except LoginRefusedError as error:
        turned_out(request, here.words.say("en", error.word))
        raise PagesError(here.words.say(session.person.language or LANGUAGES[0], error.word)) from error
    here.accounts.set_password(name, new)
    return RedirectResponse("/login", 303)


@router.get("/users")
def users_page(request: Request, session: Admin) -> Response:  # noqa: ARG001 - the guard
    """Who may log in."""
    return show(request, "users.html", people=rooms(request).accounts.everybody(), roles=list(Role))


@router.post("/users")
@noted("user add", "{name} as {role}")
def add_user(
    request: Request,
    session: Admin,  # noqa: ARG001 - the guard
    name: Annotated[str, Form(max_length=1000)],
    role: Annotated[Role, Form()],
    password: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Let somebody in."""
    rooms(request).accounts.add(name, role, password)
    return RedirectResponse("/users", 303)


@router.post("/users/{name}/role")
@noted("user role", "{name} as {role}")
def change_role(request: Request, session: Admin, name: str, role: Annotated[Role, Form()]) -> Response:
    """Another role for somebody; not for oneself, so that an administrator stays."""
    _check_other(session.person.name, name)
    rooms(request).accounts.set_role(name, role)
    return RedirectResponse("/users", 303)


@router.post("/users/{name}/remove")
@noted("user remove", "{name}")
def remove_user(request: Request, session: Admin, name: str) -> Response:
    """Let somebody in no more."""
    _check_other(session.person.name, name)
    rooms(request).accounts.remove(name)
    return RedirectResponse("/users", 303)


@router.get("/audit")
def audit_page(
    request: Request,
    session: Admin,  # noqa: ARG001 - the guard
    before: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
) -> Response:
    """What was done, newest first."""
    entries = rooms(request).audit.newest(_MOST, before)
    last = entries[-1][0] if len(entries) == _MOST else None
    return show(request, "audit.html", entries=[entry for _, entry in entries], last=last)


def _check_other(me: str, name: str) -> None:
    if me == name:
        raise PagesError("nobody changes their own role or removes themselves: ask another administrator")
