"""How each station is."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.web.hub import hub
from cloud_sync.pages.guard import Operator
from cloud_sync.pages.showing import show

router = APIRouter()


@router.get("/")
def fleet_page(request: Request, session: Operator) -> Response:  # noqa: ARG001 - the guard
    """All stations."""
    with hub(request).reader() as reader:
        return show(request, "fleet.html", stations=reader.fleet())
