"""The line's end of a line port: a connection that hears and says lines, each wait bounded."""

import select
import socket
from typing import Self

from edge.domain.errors import OutputError
from edge.line.protocol import LINE_LIMIT_BYTES, Address

_CONNECT_S = 1.0
_SEND_S = 1.0
_READ_BYTES = 65_536


def connect(address: Address) -> socket.socket:
    """A connection to a line port. Raises OSError."""
    if address.unix_path is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(_CONNECT_S)
        try:
            sock.connect(str(address.unix_path))
        except OSError:
            sock.close()
            raise
        return sock
    sock = socket.create_connection(("127.0.0.1", address.tcp_port or 0), _CONNECT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class LineConnection:
    """One connection, for one thread; a context manager.

    Raises:
        OutputError: nobody listens there.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._received = b""
        try:
            self._sock = connect(address)
        except OSError as error:
            raise OutputError(f"the line port {address} cannot be reached: {error}") from error
        self._sock.settimeout(_SEND_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def say(self, line: bytes) -> None:
        """Send a line. Raises OutputError."""
        try:
            self._sock.sendall(line)
        except OSError as error:
            raise OutputError(f"the line port {self._address} hung up: {error}") from error

    def hear(self, timeout_s: float) -> list[bytes]:
        """The lines that came, waiting at most `timeout_s` seconds for the first. Raises OutputError."""
        try:
            if not select.select([self._sock], [], [], max(0.0, timeout_s))[0]:
                return []
            data = self._sock.recv(_READ_BYTES)
        except OSError as error:
            raise OutputError(f"the line port {self._address} hung up: {error}") from error
        if not data:
            raise OutputError(f"the line port {self._address} hung up")
        *lines, self._received = (self._received + data).split(b"\n")
        if len(self._received) > 4 * LINE_LIMIT_BYTES:
            raise OutputError(f"the line port {self._address} sends no lines, but {self._received[:40]!r}...")
        return lines
