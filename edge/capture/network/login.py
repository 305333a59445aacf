"""Logging in at a camera, over HTTP or RTSP alike: Basic or Digest, and a pause after a login that was refused."""

import base64
import time
from collections.abc import Iterable
from urllib.request import (
    AbstractDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    Request,
    parse_http_list,
    parse_keqv_list,
)

from edge.capture.network.address import Address
from edge.domain.errors import CameraError

_PAUSE_S = 60.0


def authorization(address: Address, challenges: Iterable[str], method: str, uri: str) -> str:
    """The answer to a server's WWW-Authenticate lines, Digest preferred; empty when it asks for something else."""
    known = {line.strip().partition(" ")[0].lower(): line.strip().partition(" ")[2] for line in challenges}
    if "digest" in known:
        return _digest(address, known["digest"], method, uri)
    if "basic" in known:
        return "Basic " + base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
    return ""


def _digest(address: Address, challenge: str, method: str, uri: str) -> str:
    where = "http://camera/"  # the library looks passwords up by address; here is only one
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, where, address.user, address.password)
    request = Request(where, method=method)
    request.selector = uri
    try:
        fields = parse_keqv_list(parse_http_list(challenge))
        answer = AbstractDigestAuthHandler(passwords).get_authorization(request, fields)
    except (ValueError, LookupError):
        return ""
    return f"Digest {answer}" if answer else ""


class LoginPause:
    """Keeps a refused login from being tried again at once: many cameras lock an account after a few tries."""

    def __init__(self) -> None:
        self._why = ""
        self._until_s = 0.0

    def check(self) -> None:
        """Raises CameraError, with what was said then, while the pause lasts."""
        if time.monotonic() < self._until_s:
            raise CameraError(self._why, "camera_lost")

    def refused(self, why: str) -> CameraError:
        """Begin a pause; returns the error to raise."""
        self._why = f"{why}; it is tried once a minute, lest the camera lock the account"
        self._until_s = time.monotonic() + _PAUSE_S
        return CameraError(self._why, "camera_lost")
