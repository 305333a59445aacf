"""What both ends' servers for Prometheus have in common: whoever asks does it soon, or is hung up on.

A connection that sends nothing would else hold a thread for ever, and a thousand of them a thousand threads.
"""

import contextlib
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

REQUEST_S = 5.0


def hurry(server: WSGIServer, request_s: float = REQUEST_S) -> None:
    """Let every connection of the server end that does not say what it wants within `request_s` seconds."""
    kind: type[WSGIRequestHandler] = server.RequestHandlerClass  # type: ignore[assignment]

    class Hurried(kind):  # type: ignore[valid-type, misc]
        timeout = request_s

        def handle(self) -> None:
            with contextlib.suppress(TimeoutError, ConnectionError):
                super().handle()

    server.RequestHandlerClass = Hurried
