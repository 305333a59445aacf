"""How much a request may bring, and how long it may take for it: a form is small, whoever sends it.

FastAPI reads a body before it asks who sends it, so a stranger's is bounded here. What a site declares as an upload may
be larger, from somebody who is logged in.
"""

import asyncio
import re
from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_sync.pages.guard import session_of

FORM_BYTES = 1024 * 1024
FORM_S = 20.0
UPLOAD_S = 3600.0


class Bodies:
    """Around an application.

    Args:
        app: what is guarded.
        uploads: routes that take more than a form, as `/parts/{part}/add`, and how many bytes.
        refuse: makes the page of a status and a key.
    """

    def __init__(
        self, app: ASGIApp, uploads: Mapping[str, int], refuse: Callable[[Request, int, str], Response]
    ) -> None:
        self._app = app
        self._uploads = {_pattern(path): most for path, most in uploads.items()}
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        most, within_s = FORM_BYTES, FORM_S
        declared = next((most for path, most in self._uploads.items() if path.fullmatch(scope["path"])), 0)
        if declared and await run_in_threadpool(session_of, request) is not None:
            most, within_s = declared, UPLOAD_S
        if _declared(Headers(scope=scope)) > most:
            answer = await run_in_threadpool(self._refuse, request, 413, "error.large")
            await answer(scope, receive, send)
            return
        await self._app(scope, _Body(receive, most, within_s), send)


class _Body:
    """What receives the rest of a body. Raises HTTPException: it is too much, or too slow."""

    def __init__(self, receive: Receive, most: int, within_s: float) -> None:
        self._receive = receive
        self._left = most
        self._until_s = asyncio.get_running_loop().time() + within_s
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:  # what comes now says that they are gone
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until_s):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, headers={"Connection": "close"}) from error
        self._left -= len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._left < 0:
            raise HTTPException(413, headers={"Connection": "close"})
        return message


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)))


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else 0  # noqa: PLR2004
