"""Event streams end when the session does or the pages stop, whatever page serves them.

A stream is what a page asks for by itself: see `sessions`.
"""

import asyncio
import contextlib

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_sync.pages.guard import session_of
from cloud_sync.pages.site import rooms

_LOOKS_EVERY_S = 0.25
_ASKS_EVERY = 20  # looks: each five seconds the database is asked whether the session still holds


class EventStreams:
    """Around an application.

    Args:
        app: what is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        streams = asyncio.Event()

        async def send_watched(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message):
                streams.set()
            await send(message)

        answering = asyncio.ensure_future(self._app(scope, receive, send_watched))
        ending = asyncio.ensure_future(_wait_for_end(Request(scope), streams))
        try:
            await asyncio.wait({answering, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            over = answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering
        if over:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_stream(message: Message) -> bool:
    kind = Headers(raw=message.get("headers", [])).get("content-type", "")
    return kind.startswith("text/event-stream")


async def _wait_for_end(request: Request, streams: asyncio.Event) -> None:
    await streams.wait()
    looks = 0
    while not rooms(request).stopping.is_set():
        looks += 1
        if looks % _ASKS_EVERY == 0 and not await run_in_threadpool(_still_in, request):
            return
        await asyncio.sleep(_LOOKS_EVERY_S)


def _still_in(request: Request) -> bool:
    here, began = rooms(request), session_of(request)
    if began is None:  # a stream for everybody
        return True
    found = here.sessions.find(request.cookies.get(here.site.cookie, ""), by_itself=True)
    return found is not None and found.person.role.covers(began.person.role)
