"""Serving a site until SIGTERM: on this machine alone, or over TLS."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.site import LOOPBACK

_STOP_S = 5


@dataclass(frozen=True, slots=True)
class Listen:
    """Where pages are served: host, port, and for any other machine to ask, certificate and key (PEM)."""

    host: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises PagesError: another machine could ask without TLS, or only one of certificate and key is named."""
        if (self.certificate is None) != (self.key is None):
            raise PagesError("certificate and key go together: name both, or neither")
        if not self.is_local and self.certificate is None:
            raise PagesError(
                f"pages at {self.host} would carry passwords in the clear: name certificate and key, "
                "or listen at 127.0.0.1"
            )

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
        return frozenset((*LOOPBACK, self.host, *self.names))

    @property
    def address(self) -> str:
        """As one types it into a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}/"


def serve(app: FastAPI, listen: Listen) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PagesError: certificate or key cannot be read, or the address is taken.
    """
    if listen.certificate is not None:
        _check_tls(listen.certificate, listen.key)
    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
        timeout_keep_alive=30,
        limit_concurrency=200,
        proxy_headers=False,
    )
    try:
        uvicorn.Server(config).run()
    except SystemExit as error:  # as uvicorn ends where it cannot bind
        raise PagesError(f"cannot serve at {listen.address}: is the port taken?") from error


def _check_tls(certificate: Path, key: Path | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise PagesError(f"cannot use certificate {certificate} with key {key}: {error}") from error
