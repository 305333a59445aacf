"""What every answer says to the browser: nothing from elsewhere, no frame around us, nothing kept in caches."""

import re
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send our own forms with the origin null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")


class SecurityHeaders:
    """Around an application: the headers on every answer, and no request for another host or from another site.

    A name that somebody else's DNS points here (rebinding) is another host; a form of another site names its origin.

    Args:
        app: what is guarded.
        hosts: the names and addresses, without port, under which the pages are asked for.
        secure: served over TLS: browsers shall ask in no other way from now on.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], *, secure: bool) -> None:
        self._app = app
        self._secure = secure
        self._hosts = frozenset(host.lower() for host in hosts)
        self._added = dict(HEADERS) | ({"Strict-Transport-Security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                own = headers.get("Content-Security-Policy")  # a report of ours is let do less than our pages
                headers.update(self._added | ({"Content-Security-Policy": own} if own else {}))
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._refusal(scope, Headers(scope=scope))
        if refused is None:
            await self._app(scope, receive, send_with_headers)
        else:
            await refused(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "").lower()
        if _name_of(host) not in self._hosts:
            return PlainTextResponse("this is another host: ask by a name in [web] names\n", 421)
        if scope["method"] in _SAFE:
            return None
        ours = f"{'https' if self._secure else 'http'}://{host}"
        if headers.get("origin", ours).lower() != ours or headers.get("sec-fetch-site", "none") not in _OURS:
            return PlainTextResponse("asked by another site's page\n", 403)
        return None


def _name_of(host: str) -> str:
    """The name or address of NAME, NAME:PORT, [ADDRESS] or [ADDRESS]:PORT; "" where it is none of these."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found[1] or found[2]
