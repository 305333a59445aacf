"""A site's application: its routers, with login, sessions, tokens, headers, errors and files around them."""

import sqlite3
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan, Scope

from cloud_sync.pages import account, login
from cloud_sync.pages.acts import check_noted
from cloud_sync.pages.audit import NotNotedError
from cloud_sync.pages.bodies import Bodies
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.faults import Unexpected
from cloud_sync.pages.guard import NotAllowedError, NotLoggedInError
from cloud_sync.pages.headers import SecurityHeaders
from cloud_sync.pages.showing import STATIC, make_environment, say, show
from cloud_sync.pages.site import Rooms, Site
from cloud_sync.pages.streams import EventStreams


class _Files(StaticFiles):
    """Files whose address says their content, so browsers keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def make_application(site: Site, routers: Sequence[APIRouter], lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The application of a site; its OpenAPI document is `app.openapi()`, and nobody is served it.

    Args:
        site: what is served.
        routers: its own pages.
        lifespan: what runs for as long as they are served.

    Raises:
        PagesError: the pages' database cannot be opened.
        TypeError: a route changes something and does not say whether that is noted.
    """
    app = FastAPI(
        title=f"inspectd {site.kind}",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.rooms = Rooms.of(site)
    app.state.templates = make_environment(site)
    everything = (login.router, account.router, *routers)
    check_noted(everything)
    for router in everything:
        app.include_router(router)
    if (site.folder / "static").is_dir():
        app.mount("/static/own", _Files(directory=site.folder / "static"))
    app.mount("/static", _Files(directory=STATIC))
    app.add_exception_handler(NotLoggedInError, _ask_who)
    app.add_exception_handler(NotAllowedError, _not_allowed)
    app.add_exception_handler(NotNotedError, _not_noted)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _not_understood)
    faults: dict[type[Exception], int] = {PagesError: 400, sqlite3.Error: 503, **site.faults}
    for kind, status in faults.items():
        app.add_exception_handler(kind, _Fault(status, site.away.get(kind, "")))
    app.add_middleware(Unexpected, say=show_unexpected)
    app.add_middleware(EventStreams)
    app.add_middleware(Bodies, uploads=site.uploads, refuse=show_refusal)
    app.add_middleware(SecurityHeaders, hosts=site.hosts, secure=site.secure)
    return app


async def _ask_who(request: Request, _: Exception) -> Response:
    """To the login page, and back to where they were; a part of a page sends its whole page there."""
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(where)}", 303)
    return Response(status_code=401)


def _not_allowed(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotAllowedError)  # noqa: S101 - as it was registered
    return show_error(request, 403, say(request)(error.word, **error.values))


def _not_noted(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotNotedError)  # noqa: S101 - as it was registered
    status = HTTPStatus.INSUFFICIENT_STORAGE if error.is_full else HTTPStatus.SERVICE_UNAVAILABLE
    return show_error(request, status, say(request)("error.not_noted", why=error.why))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as it was registered
    known = {404: "error.not_found", 405: "error.method", 408: "error.slow", 413: "error.large"}
    text = say(request)(known[error.status_code]) if error.status_code in known else str(error.detail)
    response = show_error(request, error.status_code, text)
    response.headers.update(error.headers or {})
    return response


def _not_understood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as it was registered
    wrong = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()[:5])
    return show_error(request, 422, wrong)


class _Fault:
    """An expected error of the site: its own words, in the frame, and before them what is away where that is known."""

    def __init__(self, status: int, away: str) -> None:
        self._status = status
        self._away = away

    def __call__(self, request: Request, error: Exception) -> Response:
        away = say(request)(self._away) if self._away else ""
        return show_error(request, self._status, str(error), away)


def show_error(request: Request, status: int, text: str, away: str = "") -> Response:
    """An error as a page, or as a part of the page that asked for a part.

    Args:
        request: what failed.
        status: of HTTP.
        text: what happened.
        away: what is away and what to do, said before; a page that says so asks again by itself.
    """
    template = "error_part.html" if request.headers.get("hx-request") else "error.html"
    values = {"text": text, "away": away, "code": status, "phrase": HTTPStatus(status).phrase}
    return show(request, template, status, again=bool(away) and request.method == "GET", **values)


def show_refusal(request: Request, status: int, key: str) -> Response:
    """An error of which the words are known by key."""
    return show_error(request, status, say(request)(key))


def show_unexpected(request: Request, number: str) -> Response:
    """A fault of ours; the log holds its number and where it happened."""
    return show_error(request, 500, say(request)("error.unexpected", number=number))
