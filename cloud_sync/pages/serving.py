"""Serving a site until SIGTERM: on this machine alone, or over TLS."""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import FastAPI

from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.server import PagesServer, make_config
from cloud_sync.pages.site import LOOPBACK

_LAST_PORT = 65535
_ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - no name that a page is asked for by


@dataclass(frozen=True, slots=True)
class Listen:
    """Where pages are served: host, port, and for any other machine to ask, certificate and key (PEM)."""

    host: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises PagesError: another machine could ask without TLS, one of certificate and key lacks, no such port."""
        if not 0 <= self.port <= _LAST_PORT:
            raise PagesError(f"a port is 0 to {_LAST_PORT}, got {self.port}")
        if (self.certificate is None) != (self.key is None):
            raise PagesError("certificate and key go together: name both, or neither")
        if not self.is_local and self.certificate is None:
            raise PagesError(
                f"pages at {self.host} would carry passwords in the clear: name certificate and key, "
                "or listen at 127.0.0.1"
            )

    @classmethod
    def at(cls, place: str, certificate: Path | None, key: Path | None, names: Sequence[str]) -> "Listen":
        """Where HOST:PORT says. Raises PagesError: that is no such place, or as at construction."""
        host, _, port = place.rpartition(":")
        if not port.isdecimal() or not host:
            raise PagesError(f"pages are served at HOST:PORT, got {place!r}")
        return cls(host.strip("[]"), int(port), certificate, key, tuple(names))

    @property
    def secure(self) -> bool:
        """Whether it is over TLS."""
        return self.certificate is not None

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can ask."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def hosts(self) -> frozenset[str]:
        """By which names and addresses the pages may be asked for."""
        return frozenset({*LOOPBACK, self.host, *self.names} - _ANY)

    @property
    def address(self) -> str:
        """As one types it into a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}/"


def serve(app: FastAPI, listen: Listen, ready: Callable[[Listen], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: the pages.
        listen: where; port 0 for any that is free.
        ready: is told where, once somebody can ask.

    Raises:
        PagesError: certificate or key cannot be read, or the address is taken or not this machine's.
    """
    context = None if listen.certificate is None else _tls(listen.certificate, listen.key)
    with _bound(listen) as bound:
        there = replace(listen, port=bound.getsockname()[1])
        PagesServer(app, make_config(app, context), lambda: ready(there)).run(sockets=[bound])


def _bound(listen: Listen) -> socket.socket:
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=128)
    except OSError as error:
        why = error.strerror or str(error)
        raise PagesError(
            f"cannot serve at {listen.address}: {why}: end what is there, or name another with --listen"
        ) from error


def _tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    def locked() -> str:
        raise PagesError(f"the key {key} asks for a password: the pages start without anybody there, so it has none")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=locked)
    except (OSError, ssl.SSLError) as error:
        raise PagesError(f"cannot use certificate {certificate} with key {key}: {error}") from error
    return context
