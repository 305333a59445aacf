"""The HTTP server: uvicorn, patient with nobody who holds a connection and asks nothing.

- A request's head comes whole within ten seconds; uvicorn alone would wait for ever.
- One address holds 64 connections, all together 256: for the next, one that asks nothing is closed, the oldest first.
- A signal ends it within seconds: event streams end first.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from cloud_sync.pages.site import Rooms

HEAD_S = 10.0
PER_ADDRESS = 64
ALL = 256
_STOP_S = 5
_KEEP_ALIVE_S = 30


class PatientProtocol(H11Protocol):
    """One connection."""

    _waiting: asyncio.TimerHandle | None = None
    _began_s = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def address(self) -> str:
        """From where it comes."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a head, if there is room."""
        super().connection_made(transport)
        self._began_s = self.loop.time()
        self._wait()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """A part of a head, or of a body."""
        super().data_received(data)
        if not self.is_idle:
            self._wait_no_more()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        """Close the one that has been there longest of those that ask nothing; this one, where all do."""
        there = [each for each in self.connections if isinstance(each, PatientProtocol)]
        same = [each for each in there if each.address == self.address]
        crowd = same if len(same) > PER_ADDRESS else there if len(there) > ALL else []
        if crowd:
            idle = [each for each in crowd if each.is_idle and each is not self]
            gone = min(idle, key=lambda each: each._began_s, default=self)  # noqa: SLF001 - one of us
            self.connections.discard(gone)
            gone.transport.abort()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class PagesServer(uvicorn.Server):
    """Serves a site; ends by SIGTERM or SIGINT without being killed by it.

    Args:
        app: the site.
        config: of `make_config`.
        ready: is called once somebody can ask, and a signal ends it in order.
    """

    def __init__(self, app: FastAPI, config: uvicorn.Config, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._rooms: Rooms = app.state.rooms
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the doors, then say so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then all else."""
        self._rooms.stopping.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn, which would raise the signal again at the end."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def make_config(app: FastAPI, context: ssl.SSLContext | None = None) -> uvicorn.Config:
    """How a site is served.

    Args:
        app: the site.
        context: certificate and key, for TLS.
    """
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        ssl_context_factory=None if context is None else lambda _config, _default: context,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
        timeout_keep_alive=_KEEP_ALIVE_S,
        proxy_headers=False,
    )
