"""What both ends' servers for Prometheus have in common: whoever asks does it soon, or is hung up on.

A connection that sends nothing, or a byte now and then, would else hold a thread for ever, and a thousand of them a
thousand threads.
"""

import contextlib
import socket
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

REQUEST_S = 5.0


def hurry(server: WSGIServer, request_s: float = REQUEST_S) -> None:
    """Let every connection of the server end that does not say what it wants within `request_s` seconds."""
    kind: type[WSGIRequestHandler] = server.RequestHandlerClass  # type: ignore[assignment]

    class Hurried(kind):  # type: ignore[valid-type, misc]
        timeout = request_s  # of each step; the timer is for all of them together

        def handle(self) -> None:
            self._late = threading.Timer(request_s, _hang_up, [self.connection])
            self._late.daemon = True
            self._late.start()
            try:
                with contextlib.suppress(TimeoutError, ConnectionError):
                    super().handle()
            finally:
                self._late.cancel()

        def parse_request(self) -> bool:
            asked = bool(super().parse_request())
            self._late.cancel()  # it has said what it wants
            return asked

    server.RequestHandlerClass = Hurried


def _hang_up(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        connected.shutdown(socket.SHUT_RDWR)
