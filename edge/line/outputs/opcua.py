"""An OPC UA server as an output, in an event loop of its own; clients come and go, and none is waited for."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import TypeVar

from edge.config_outputs import OpcUaSection
from edge.domain.errors import OutputError
from edge.line.outputs.output import Turn
from edge.line.outputs.vision_server import VisionServer
from edge.line.outputs.vision_states import PREOPERATIONAL, states_on
from edge.line.said import Readiness, Told

_TURN_S = 1.0
_START_S = 30.0
_ANSWER_S = 2.0
Answer = TypeVar("Answer")


class OpcUaOutput:
    """Shows what the station says as nodes and events.

    Args:
        section: where to listen.
        station: the station's id, in the nodes' names.
    """

    def __init__(self, section: OpcUaSection, station: str) -> None:
        self._section = section
        self._station = station
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread()
        self._server: VisionServer | None = None
        self._state = PREOPERATIONAL

    def open(self) -> None:
        """Start the loop and listen; see `Output.open`."""
        host, port = self._section.host, self._section.port
        _check_free(host, port)
        self._state = PREOPERATIONAL
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="opcua", daemon=True)
        self._thread.start()
        self._server = self._do(VisionServer.started(host, port, self._station), _START_S)

    def hear(self, said: Told | Readiness) -> None:
        """Show it; see `Output.hear`."""
        server = self._opened()
        match said:
            case Told():
                self._do(server.tell(said))
            case Readiness(ready, why):
                self._do(server.show_ready(why, ready=ready))
                for state in states_on(self._state, why, ready=ready):
                    self._do(server.show_state(state))
                    self._state = state

    def serve(self, _now_s: float) -> Turn:
        """Nothing is due; see `Output.serve`."""
        if not self._thread.is_alive():
            raise OutputError(f"OPC UA server at {self._section.host}:{self._section.port}: its event loop ended")
        return Turn(_TURN_S)

    def close(self) -> None:
        """End every connection and the loop; see `Output.close`."""
        server, self._server = self._server, None
        loop, self._loop = self._loop, None
        if loop is None or not self._thread.is_alive():
            return
        if server is not None:
            self._finish(loop, server)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(_ANSWER_S)

    def _finish(self, loop: asyncio.AbstractEventLoop, server: VisionServer) -> None:
        future = asyncio.run_coroutine_threadsafe(server.stop(), loop)
        try:
            future.result(_ANSWER_S)
        except Exception:  # noqa: BLE001 - it is let go all the same, and its sockets end with the loop
            future.cancel()

    def _opened(self) -> VisionServer:
        if self._server is None:
            raise OutputError(f"OPC UA server at {self._section.host}:{self._section.port} is not open")
        return self._server

    def _do(self, work: Coroutine[object, object, Answer], timeout_s: float = _ANSWER_S) -> Answer:
        assert self._loop is not None  # noqa: S101 - opened
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except (OSError, TimeoutError) as error:
            future.cancel()
            where = f"{self._section.host}:{self._section.port}"
            raise OutputError(f"OPC UA server at {where} fails: {error or f'no answer in {timeout_s:g} s'}") from error

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            _close(loop)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _check_free(host: str, port: int) -> None:
    """Making the nodes takes seconds of CPU: an address that cannot be had is found out before."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise OutputError(
            f"OPC UA server cannot listen on {host}:{port}: {error.strerror or error}: is another server running?"
        ) from error
