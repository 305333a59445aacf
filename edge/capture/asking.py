"""Why an RTSP camera does not open, in words: OpenCV only says that it does not."""

import socket

from edge.capture.network import Address, no_connection

_PORTS = {"rtsp": 554, "rtsps": 322}
_MEANINGS = {
    401: "it wants another login: check the user in camera.source and its password",
    403: "it forbids this user to look",
    404: "it knows no such stream: check the path in camera.source",
    453: "it has no bandwidth left: too many viewers",
    503: "it is too busy: too many viewers, or starting",
}


def why_not_open(address: Address, timeout_s: float) -> str:
    """Ask the camera itself, without login, and say what comes back; takes a few times `timeout_s` at most."""
    host, port = str(address.parts.hostname), address.parts.port or _PORTS.get(address.parts.scheme, 554)
    try:
        with socket.create_connection((host, port), timeout_s) as sock:
            if address.parts.scheme == "rtsps":
                return "it takes connections, but gives no stream in time"
            sock.settimeout(timeout_s)
            sock.sendall(f"DESCRIBE {address.url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode())
            return _meaning(sock.recv(1024), has_login=bool(address.user))
    except OSError as error:
        return f"port {port}: {no_connection(error, host)}"


def _meaning(answer: bytes, *, has_login: bool) -> str:
    first = answer.split(b"\r\n")[0].decode("latin-1")
    protocol, _, rest = first.partition(" ")
    if not protocol.startswith("RTSP/") or not rest[:3].isdigit():
        return f"it speaks no RTSP, but answers {first[:60]!r}"
    code = int(rest[:3])
    if code == 401 and has_login:  # noqa: PLR2004 - what servers say to a question without login
        return "it wants a login, and does not open with this one: check user and password"
    return f"it answers {rest[:60]!r}: {_MEANINGS.get(code, 'but gives no stream in time that OpenCV can decode')}"
