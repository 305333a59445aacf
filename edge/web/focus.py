"""A figure for who turns the lens, large enough to be read from there."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.pages.guard import Engineer
from cloud_sync.pages.showing import show
from edge.web.here import here
from edge.web.live import spoken, stream, watch_of

router = APIRouter()


@router.get("/focus")
def focus_page(request: Request, session: Engineer) -> Response:
    """How sharp each camera's pictures are, and were at best since the page was opened."""
    config = here(request).config
    cameras = [camera.id for camera in config.camera]
    words = spoken(request, session, "focus_now")
    return show(request, "focus.html", cameras=cameras, kept=config.retention.images, words=words)


@router.get("/focus/events", include_in_schema=False)
async def focus_events(request: Request, session: Engineer) -> Response:  # noqa: ARG001 - the guard
    """The figures, as pictures come and at least each second, until the viewer leaves."""
    return stream(watch_of(request).focus)
