"""What passes the cameras now: the page, what keeps it up to date, and the pictures in it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, cast

from fastapi import APIRouter, HTTPException, Path, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cloud_sync.pages.guard import Operator
from cloud_sync.pages.people import Session
from cloud_sync.pages.showing import show, speak
from cloud_sync.pages.site import rooms
from edge.web.broadcast import Broadcast
from edge.web.here import here
from edge.web.shown_pictures import MEDIA_TYPE
from edge.web.watch import Watch

router = APIRouter()
VIEWERS_MOST = 40
_SEEN_S = 3600  # a picture is named by its content: it never changes


@router.get("/")
def live_page(request: Request, session: Operator) -> Response:
    """The line as it is."""
    config = here(request).config
    cameras = [camera.id for camera in config.camera]
    return show(
        request, "live.html", cameras=cameras, kept=config.retention.images, words=spoken(request, session, "live_now")
    )


@router.get("/live/events", include_in_schema=False)
async def live_events(request: Request, session: Operator) -> Response:  # noqa: ARG001 - the guard
    """What the page shows, each time it changes and at least each second, until the viewer leaves."""
    return stream(watch_of(request).live)


@router.get("/live/picture/{sha256}")
def live_picture(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
    width: Annotated[int, Query(ge=16, le=4096)] = 960,
) -> Response:
    """A stored picture as a JPEG, no wider than about `width`."""
    found = here(request).shown.shown(sha256, width)
    if found is None:
        raise HTTPException(404)
    return Response(found, media_type=MEDIA_TYPE, headers={"Cache-Control": f"private, max-age={_SEEN_S}, immutable"})


def spoken(request: Request, session: Session, table: str) -> dict[str, str]:
    """A catalogue's table in the reader's language, for a script: its {names} are left for it to fill in."""
    known = rooms(request).words.known(speak(request, session.person))
    return {key.removeprefix(f"{table}."): text for key, text in known.items() if key.startswith(f"{table}.")}


def watch_of(request: Request) -> Watch:
    """The one who looks for all viewers."""
    return cast("Watch", request.app.state.watch)


def stream(broadcast: Broadcast) -> Response:
    """A broadcast as server-sent events, for as long as whoever asked stays logged in."""
    if broadcast.viewers >= VIEWERS_MOST:
        raise HTTPException(503, "too many screens look at once: close some")
    return StreamingResponse(_events(broadcast), media_type="text/event-stream")


async def _events(broadcast: Broadcast) -> AsyncGenerator[str]:
    yield "retry: 1000\n\n"
    async with aclosing(broadcast.follow()) as texts:
        async for text in texts:
            yield f"data: {text}\n\n"
