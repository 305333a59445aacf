"""A link between a camera and a station that can stall and, going on, delivers everything it held back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 65536


class SlowLink:
    """A TCP relay on loopback, to a port; one thread for each direction of a connection.

    Args:
        port: where the camera is.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def stall(self) -> None:
        """Nothing comes from the camera any more; what it sends piles up on the way."""
        self._flows.clear()

    def flow(self) -> None:
        """Everything comes, as fast as it can."""
        self._flows.set()

    def close(self) -> None:
        """Cut every connection and end the threads."""
        self._flows.set()
        for sock in [self._listener, *self._sockets]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to), 5)
                far.settimeout(None)
                self._sockets += [near, far]
                self._start(self._pump, near, far, None)
                self._start(self._pump, far, near, self._flows)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, gate: threading.Event | None) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if gate is not None:
                    gate.wait(30)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def slow_link(port: int) -> Iterator[SlowLink]:
    """A link that flows; cut afterwards."""
    link = SlowLink(port)
    try:
        yield link
    finally:
        link.close()
