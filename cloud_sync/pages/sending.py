"""An answer that is sent while it is made: the act that it is of ends with its last byte, not with its first."""

from anyio import CancelScope
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from cloud_sync.pages.audit import OK, Act, AuditLog, end_act

_BROKE_OFF = "broke off on its way: not all of it was sent"


class Sending(Response):
    """An answer as it is, and its act noted as ok once all of it was sent; else what stood against it.

    Args:
        answer: of the route.
        act: which `noting` leaves open.
        audit: where it is noted.
    """

    def __init__(self, answer: StreamingResponse, act: Act, audit: AuditLog) -> None:
        self.status_code, self.raw_headers, self.background = answer.status_code, answer.raw_headers, None
        self._answer, self._act, self._audit = answer, act, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises what its making raises."""
        is_whole = False

        async def sent(message: Message) -> None:
            nonlocal is_whole
            await send(message)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._answer(scope, receive, sent)
        except Exception as error:
            self._act.outcome = str(error) or type(error).__name__
            raise
        finally:
            if not is_whole and self._act.outcome == OK:
                self._act.outcome = _BROKE_OFF
            with CancelScope(shield=True):  # whoever sends it may be ended too, and that is known
                await run_in_threadpool(end_act, self._audit, self._act)
