"""What nobody expected: a page in words with a number, and the traceback under that number in the log.

It stands within the security headers: Starlette's own answer to an unexpected exception passes outside of them.
"""

import logging
import secrets
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger(__name__)


class Unexpected:
    """Around an application.

    Args:
        app: what is guarded.
        say: makes the page of a number.
    """

    def __init__(self, app: ASGIApp, say: Callable[[Request, str], Response]) -> None:
        self._app = app
        self._say = say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. An answer that had begun is cut off, so that nobody takes it for whole."""
        begun = False

        async def send_watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except Exception:
            if scope["type"] != "http" or begun:
                raise
            number = secrets.token_hex(4)
            _LOG.exception("unexpected, number %s: %s %r", number, scope["method"], scope["path"])
            answer = await self._answer(Request(scope), number)
            await answer(scope, receive, send)

    async def _answer(self, request: Request, number: str) -> Response:
        try:
            return await run_in_threadpool(self._say, request, number)
        except Exception:  # noqa: BLE001 - the page itself cannot be made: said in plain
            _LOG.exception("no page for number %s", number)
            return PlainTextResponse(f"unexpected fault, number {number} in the log\n", 500)
