"""The addresses of a kind's works, the same on every page that starts some: how far it is, put away, stop."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.pages.acts import noted, turned_out, unnoted
from cloud_sync.pages.guard import AtLeast
from cloud_sync.pages.people import Role, Session
from edge.web.here import here
from edge.web.works.showing import work_part


def work_routes(kind: str, role: Role, stop: str = "") -> APIRouter:
    """Routes below `/KIND/work`; a page includes them before its own, of which one may take `work` for a name.

    Args:
        kind: of the works, and the page's address.
        role: who may see and end them.
        stop: what the audit log calls the end that somebody asked for; empty where none is offered.
    """
    router, page, guard = APIRouter(prefix=f"/{kind}/work"), f"/{kind}", Depends(AtLeast(role))

    @router.get("")
    def work(request: Request, session: Annotated[Session, guard]) -> Response:  # noqa: ARG001 - the guard
        """How far it is."""
        return work_part(request, kind)

    @router.post("/forget")
    @unnoted("it hides what the page says of a command that ended")
    def forget_work(request: Request, session: Annotated[Session, guard]) -> Response:  # noqa: ARG001 - the guard
        """Show what came of the last one no more."""
        here(request).works[kind].forget()
        return RedirectResponse(page, 303)

    if stop:

        @router.post("/stop")
        @noted(stop)
        def stop_work(request: Request, session: Annotated[Session, guard]) -> Response:  # noqa: ARG001 - the guard
            """End it as Ctrl-C does: what is finished stays."""
            if not here(request).works[kind].stop():
                turned_out(request, "none ran")
            return RedirectResponse(page, 303)

    return router
