"""`edge changeover`: a short visit to a running station's line port, to choose the product."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator

from edge.domain.errors import ConfigError, OutputError
from edge.line.protocol import LINE_LIMIT_BYTES, Address

_PATIENCE_S = 5.0


def choose_product(address: Address, product: str) -> float:
    """Choose what a trigger that names no product means; milliseconds until the station said that it does.

    Raises:
        ConfigError: the station knows no such product.
        OutputError: the station is not there, or did not answer within five seconds.
    """
    started_s = time.monotonic()
    with _connected(address) as sock:
        sock.sendall(json.dumps({"type": "product", "product": product}).encode() + b"\n")
        for message in _messages(sock, started_s + _PATIENCE_S):
            if message.get("type") == "product" and message.get("product") == product:
                return (time.monotonic() - started_s) * 1000
            if message.get("type") == "error":
                raise ConfigError(f"changeover to {product!r} was refused: {message.get('why')}")
    raise OutputError(f"the station at {address} did not answer within {_PATIENCE_S:g} s")


@contextlib.contextmanager
def _connected(address: Address) -> Iterator[socket.socket]:
    family = socket.AF_INET if address.unix_path is None else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(_PATIENCE_S)
        try:
            sock.connect(("127.0.0.1", address.tcp_port) if address.unix_path is None else str(address.unix_path))
            yield sock
        except OSError as error:
            raise OutputError(f"no station at {address}: {error}: is `edge run` up?") from error


def _messages(sock: socket.socket, until_s: float) -> Iterator[dict[str, object]]:
    held = b""
    while time.monotonic() < until_s:
        sock.settimeout(max(0.01, until_s - time.monotonic()))
        try:
            came = sock.recv(LINE_LIMIT_BYTES)
        except TimeoutError:
            return
        if not came:
            return
        *lines, held = (held + came).split(b"\n")
        yield from (json.loads(line) for line in lines)
