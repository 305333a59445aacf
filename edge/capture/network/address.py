"""What all cameras on a network share: their address with its login, and when an image that came is not believed."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from edge.capture.camera import Shot
from edge.capture.network.live import Liveness
from edge.domain.errors import CameraError, ConfigError
from edge.domain.frame import Image
from edge.domain.secrets import redacted

_NEAR = 0.9
_BEHIND_S = 3.0


@dataclass(frozen=True, slots=True)
class NetworkTimes:
    """Seconds a camera may take to open and to give its next image, and between light and arrival as declared."""

    open_s: float
    read_s: float
    latency_s: float


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where a camera is and how to log in; its text is fit for logs.

    Args:
        url: with neither user nor password.
        user: empty where none is needed.
        password: never shown.
    """

    url: str
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return redacted(self.url)

    @property
    def parts(self) -> SplitResult:
        """The address in its parts."""
        return urlsplit(self.url)

    @property
    def with_login(self) -> str:
        """The address as libraries want it: not fit for logs."""
        if not self.user:
            return self.url
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return self.url.replace("://", f"://{login}", 1)


def parse_address(
    camera_id: str, source: str, password_file: Path | None, environ: Mapping[str, str] = os.environ
) -> Address:
    """The address of a network camera; its password from a file, the environment, or the source itself.

    Raises:
        ConfigError: the source is no address, the file cannot be read, or there is a password and no user.
    """
    where = f"camera {camera_id!r}: source {redacted(source)!r}"
    try:
        parts = urlsplit(source)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
        source.encode("ascii")
    except ValueError as error:
        raise ConfigError(f"{where} is no address ({error}): expected scheme://user@host:port/path") from None
    if not host or re.search(r"\s", source):
        raise ConfigError(f"{where} names no host: expected scheme://user@host:port/path")
    password = _password(camera_id, password_file, environ) or unquote(parts.password or "")
    if password and not parts.username:
        raise ConfigError(f"{where} has a password and no user: write scheme://user@host/path")
    location = f"[{host}]" if ":" in host else host
    bare = parts._replace(netloc=location if port is None else f"{location}:{port}", fragment="")
    return Address(bare.geturl(), unquote(parts.username or ""), password)


def password_variable(camera_id: str) -> str:
    """The environment variable that may hold a camera's password."""
    return f"EDGE_CAMERA_{re.sub('[^A-Z0-9]', '_', camera_id.upper())}_PASSWORD"


def no_connection(error: OSError, host: str) -> str:
    """Why a camera cannot be reached, in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time: check that it is on, and that this machine reaches it"
    if isinstance(error, socket.gaierror):
        return f"its name {host!r} is not known here ({error.strerror}): check camera.source"
    return error.strerror or str(error)


def _password(camera_id: str, file: Path | None, environ: Mapping[str, str]) -> str:
    if file is None:
        return environ.get(password_variable(camera_id), "")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"camera {camera_id!r}: cannot read password_file {file}: {error}") from error


class Trust:
    """Turns the images of one connection into shots, or into nothing while they may be old.

    What was wrong with network cameras in the field, and is refused here: the image that comes at the end of a time
    limit (the decoder's last, from before the hang), the burst after a pause, a picture of another size.
    """

    def __init__(self, address: Address, times: NetworkTimes, liveness: Liveness, opened_s: float) -> None:
        self._address = address
        self._times = times
        self._liveness = liveness
        self._trusted_s = opened_s
        self._size: tuple[int, ...] = ()

    def shot(self, image: Image, asked_s: float, arrived_s: float, stamp_s: float) -> Shot | None:
        """The image as a shot if it can be trusted; None if not.

        Raises:
            CameraError: the connection is not to be trusted any more: close it and open it again.
        """
        self.check_wait(asked_s, arrived_s)
        if self._size and image.shape != self._size:
            raise self._lost(f"its images changed from {_size(self._size)} to {_size(image.shape)}: opening it again")
        self._size = image.shape
        held_s = self._liveness.held_s(arrived_s, stamp_s)
        if held_s is None:
            self.refuse(arrived_s, "its images come late, or not at their usual pace")
            return None
        self._trusted_s = arrived_s
        return Shot(image, held_s=held_s)

    def refuse(self, arrived_s: float, why: str) -> None:
        """Count an image as none. Raises CameraError when there was no good one for too long."""
        if arrived_s - self._trusted_s > _BEHIND_S + self._times.read_s:
            raise self._lost(f"no image that can be trusted for {arrived_s - self._trusted_s:.1f} s: {why}")

    def check_wait(self, asked_s: float, arrived_s: float) -> None:
        """Raises CameraError when an image took so long that it may be one from before a hang."""
        waited_s = arrived_s - asked_s
        if waited_s >= _NEAR * self._times.read_s:
            limit_ms = self._times.read_s * 1000
            raise self._lost(f"no image for {waited_s * 1000:.0f} ms, where read_timeout_ms is {limit_ms:.0f}")

    def _lost(self, why: str) -> CameraError:
        return CameraError(f"{self._address}: {why}", "camera_lost")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
