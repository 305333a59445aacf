"""Why an RTSP camera does not open, in words: OpenCV only says that it does not."""

import socket
from dataclasses import dataclass

from edge.capture.network.address import Address, no_connection
from edge.capture.network.login import authorization

_PORTS = {"rtsp": 554, "rtsps": 322}
_HEAD_BYTES = 16384
_UNAUTHORIZED = "401"
_MEANINGS = {
    "403": "it forbids this user to look",
    "404": "it knows no such stream: check the path in camera.source",
    "453": "it has no bandwidth left: too many viewers",
    "503": "it is too busy: too many viewers, or starting",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the camera said, and whether it refused the login."""

    why: str
    login_refused: bool = False


def why_not_open(address: Address, timeout_s: float) -> Answer:
    """Ask the camera itself, and say what comes back; takes a few times `timeout_s` at most. Raises nothing."""
    host, port = str(address.parts.hostname), address.parts.port or _PORTS.get(address.parts.scheme, 554)
    try:
        with socket.create_connection((host, port), timeout_s) as sock:
            if address.parts.scheme == "rtsps":
                return Answer("it takes connections, but gives no stream in time")
            sock.settimeout(timeout_s)
            return _asked(address, sock)
    except OSError as error:
        return Answer(f"port {port}: {no_connection(error, host)}")
    except ValueError as error:
        return Answer(f"it cannot be asked: {error}")


def _asked(address: Address, sock: socket.socket) -> Answer:
    first, challenges = _describe(address, sock, 1, "")
    if _code(first) != _UNAUTHORIZED:
        return Answer(_meaning(first))
    if not address.user:
        return Answer(f"it answers {first!r}: it wants a user, in camera.source, and a password", login_refused=True)
    login = authorization(address, challenges, "DESCRIBE", address.url)
    if not login:
        return Answer(f"it wants a login of a kind that is not known here: {', '.join(challenges)}", login_refused=True)
    first, _ = _describe(address, sock, 2, f"Authorization: {login}\r\n")
    if _code(first) == _UNAUTHORIZED:
        return Answer(f"it answers {first!r}: check user and password", login_refused=True)
    return Answer(_meaning(first))


def _describe(address: Address, sock: socket.socket, number: int, login: str) -> tuple[str, list[str]]:
    """The answer's first line, and its challenges."""
    head = f"DESCRIBE {address.url} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n{login}\r\n"
    sock.sendall(head.encode())
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _HEAD_BYTES:
        chunk = sock.recv(4096)
        if not chunk:
            break
        data += chunk
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    named = [line.partition(":") for line in lines]
    return first[:60], [value.strip() for name, _, value in named if name.lower() == "www-authenticate"]


def _code(first: str) -> str:
    protocol, _, rest = first.partition(" ")
    return rest[:3] if protocol.startswith("RTSP/") and rest[:3].isdigit() else ""


def _meaning(first: str) -> str:
    code = _code(first)
    if not code:
        return f"it speaks no RTSP, but answers {first!r}"
    return f"it answers {first!r}: {_MEANINGS.get(code, 'but gives no stream in time that OpenCV can decode')}"
