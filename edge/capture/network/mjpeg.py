"""Cameras that serve motion JPEG over HTTP: multipart/x-mixed-replace, read here and decoded by OpenCV.

OpenCV's own reader (FFMPEG) gives half a JPEG as a whole image, grey where bytes are missing, and invents time stamps.
Here an image that is not whole is none.
"""

import fcntl
import http.client
import socket
import ssl
import struct
import termios
import time
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.camera import Shot
from edge.capture.network.address import Address, NetworkTimes, Trust, no_connection
from edge.capture.network.live import PacedLiveness
from edge.capture.network.login import LoginPause, authorization
from edge.domain.errors import CameraError
from models.decoding import decoded

_LINE_BYTES = 4096
_HEAD_LINES = 64
_IMAGE_BYTES = 64_000_000
_START, _END = b"\xff\xd8", b"\xff\xd9"
_MULTIPART = "multipart/x-mixed-replace"


class _Refused(Exception):  # noqa: N818 - never leaves this file
    """The login was refused, and how."""


class _Broken(Exception):  # noqa: N818 - never leaves this file
    """The stream cannot be read on, and why."""


@dataclass(slots=True)
class _Stream:
    connection: http.client.HTTPConnection
    sock: socket.socket
    response: http.client.HTTPResponse
    boundary: bytes
    trust: Trust


class MjpegCamera:
    """A free-running camera; anything but whole, fresh images in time ends the connection, and its drain opens another.

    Args:
        address: where it is, and the login.
        times: its time limits.
    """

    def __init__(self, address: Address, times: NetworkTimes) -> None:
        self._address = address
        self._times = times
        self._login = LoginPause()
        self._stream: _Stream | None = None

    def open(self) -> None:
        """Connect, log in if asked to, and find the stream's boundary. Raises CameraError."""
        self._login.check()
        connection = self._connection()
        try:
            self._stream = self._start(connection)
        except _Refused as refused:
            connection.close()
            raise self._login.refused(f"cannot open {self._address}: {refused}") from None
        except (OSError, ValueError, http.client.HTTPException, _Broken) as error:
            connection.close()
            raise CameraError(f"cannot open {self._address}: {self._words(error)}", "camera_lost") from None

    def trigger(self, number: int) -> None:
        """Nothing to do: the camera runs freely."""

    def read(self, timeout_s: float) -> Shot | None:  # noqa: ARG002 - the limit is the camera's own, read_timeout_ms
        """The next image; None when it is damaged or may be old. Raises CameraError when the stream stopped."""
        stream = self._stream
        if stream is None:
            raise CameraError(f"{self._address} was read before it was opened", "camera_lost")
        asked_s = time.monotonic()
        try:
            data = _next_part(stream, asked_s + self._times.read_s)
        except (OSError, ValueError, http.client.HTTPException, _Broken) as error:
            raise CameraError(f"{self._address}: the stream broke off: {self._words(error)}", "camera_lost") from None
        arrived_s = time.monotonic()
        stream.trust.check_wait(asked_s, arrived_s)
        if _waiting_bytes(stream.sock) >= len(data):
            stream.trust.refuse(arrived_s, "this machine decodes fewer images than come")
            return None
        image = _decoded(data)
        if image is None:
            stream.trust.refuse(arrived_s, f"damaged JPEG of {len(data)} bytes")
            return None
        return stream.trust.shot(image, asked_s, arrived_s, 0.0)

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.response.close()
            self._stream.connection.close()
            self._stream.sock.close()
        self._stream = None

    def _words(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return no_connection(error, str(self._address.parts.hostname))
        return str(error) or type(error).__name__

    def _connection(self) -> http.client.HTTPConnection:
        parts, limit_s = self._address.parts, self._times.open_s
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(str(parts.hostname), parts.port, timeout=limit_s, context=context)
        return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=limit_s)

    @property
    def _path(self) -> str:
        parts = self._address.parts
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _start(self, connection: http.client.HTTPConnection) -> _Stream:
        response, sock = self._ask(connection, {})
        if response.status == HTTPStatus.UNAUTHORIZED and self._address.user:
            challenges = map(str, response.headers.get_all("WWW-Authenticate", []))
            login = authorization(self._address, challenges, "GET", self._path)
            if login:
                response.close()
                connection.close()
                response, sock = self._ask(connection, {"Authorization": login})
        try:
            boundary = _boundary(response)
            sock.settimeout(self._times.read_s)
        except (_Broken, _Refused):
            response.close()
            raise
        trust = Trust(self._address, self._times, PacedLiveness(), time.monotonic())
        return _Stream(connection, sock, response, boundary, trust)

    def _ask(
        self, connection: http.client.HTTPConnection, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, socket.socket]:
        connection.connect()
        sock: socket.socket = connection.sock
        connection.request("GET", self._path, headers={"User-Agent": "inspectd", **headers})
        return connection.getresponse(), sock


def _boundary(response: http.client.HTTPResponse) -> bytes:
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise _Refused(f"it answers {response.status} {response.reason[:60]!r}: check user and password")
    if response.status != HTTPStatus.OK:
        raise _Broken(f"it answers {response.status} {response.reason[:60]!r}: check the path in camera.source")
    headers: Message = response.headers
    boundary = headers.get_param("boundary")
    if headers.get_content_type() != _MULTIPART or not isinstance(boundary, str):
        raise _Broken(f"expected {_MULTIPART} with a boundary, got {headers.get('Content-Type')!r}: is it the stream?")
    return b"--" + boundary.strip('"').removeprefix("--").encode("latin-1")


def _next_part(stream: _Stream, until_s: float) -> bytes:
    """The next part's content; reading on at the next boundary where something else comes."""
    passed_bytes = 0
    while not (line := _line(stream, until_s)).startswith(stream.boundary):
        passed_bytes += len(line)
        if passed_bytes > _IMAGE_BYTES:
            raise _Broken("no boundary between its images")
    size = -1
    for _ in range(_HEAD_LINES):
        line = _line(stream, until_s).strip()
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            size = int(value)
        if not line:
            return _counted(stream, size, until_s) if size >= 0 else _delimited(stream, until_s)
    raise _Broken(f"more than {_HEAD_LINES} header lines before an image")


def _line(stream: _Stream, until_s: float) -> bytes:
    line = stream.response.readline(_LINE_BYTES)
    if not line:
        raise _Broken("the camera hung up")
    _check_time(until_s)
    return line


def _counted(stream: _Stream, size: int, until_s: float) -> bytes:
    if size > _IMAGE_BYTES:
        raise _Broken(f"an image of {size} bytes, at most {_IMAGE_BYTES} are taken")
    data = bytearray()
    while len(data) < size:
        chunk = stream.response.read1(size - len(data))
        if not chunk:
            raise _Broken("the camera hung up in the middle of an image")
        data += chunk
        _check_time(until_s)
    return bytes(data)


def _delimited(stream: _Stream, until_s: float) -> bytes:
    """An image whose size is not said: up to its end mark, which closes a line before the next boundary."""
    data = bytearray()
    while not data.rstrip(b"\r\n").endswith(_END):
        line = _line(stream, until_s)
        if line.startswith(stream.boundary):
            raise _Broken("an image ended without its end mark")
        data += line
        if len(data) > _IMAGE_BYTES:
            raise _Broken(f"an image of more than {_IMAGE_BYTES} bytes")
    return bytes(data)


def _check_time(until_s: float) -> None:
    if time.monotonic() > until_s:
        raise TimeoutError


def _decoded(data: bytes) -> NDArray[np.uint8] | None:
    whole = data.startswith(_START) and data.rstrip(b"\0\r\n").endswith(_END)
    return decoded(data, cv2.IMREAD_COLOR) if whole else None


def _waiting_bytes(sock: socket.socket) -> int:
    return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0])
