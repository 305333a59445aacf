"""What passes the cameras now."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.pages.guard import Operator
from cloud_sync.pages.showing import show
from edge.web.here import here

router = APIRouter()


@router.get("/")
def live_page(request: Request, session: Operator) -> Response:  # noqa: ARG001 - the guard
    """The line as it is."""
    return show(request, "live.html", said=here(request).status())
