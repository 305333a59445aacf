"""Which broker, and how: over mutual TLS, or in the clear where somebody asked for it by name, on this machine."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address

TLS = "mqtts"
PLAIN = "mqtt"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker's address and who we are there; no identity: in the clear, which only a loopback address may be."""

    address: Address
    identity: Identity | None

    @classmethod
    def parse(cls, text: str, identity: Path) -> Self:
        """Read HOST:PORT or mqtts://HOST:PORT (mutual TLS), or mqtt://LOOPBACK:PORT (plain).

        Args:
            text: the broker.
            identity: the folder with our identity; not looked into.

        Raises:
            LinkError: it is none of these; plain MQTT to another machine among them.
        """
        scheme, found, rest = text.partition("://")
        if not found:
            scheme, rest = TLS, text
        if scheme not in {TLS, PLAIN}:
            raise LinkError(f"a broker is HOST:PORT, {TLS}://HOST:PORT or {PLAIN}://127.0.0.1:PORT, got {text[:120]!r}")
        address = Address.parse(rest)
        if scheme == TLS:
            return cls(address, Identity(identity))
        check_plain(address)
        return cls(address, None)

    def __str__(self) -> str:
        return f"{PLAIN if self.identity is None else TLS}://{self.address}"


def check_plain(address: Address) -> None:
    """Raises LinkError where this address is on another machine, so that plain MQTT would be read on the way."""
    if not is_loopback(address.host):
        raise LinkError(
            f"plain MQTT goes to this machine's loopback only, got {address}: write {TLS}://{address} and enrol"
        )


def is_loopback(host: str) -> bool:
    """Whether it is this machine by any resolver's word: 127.0.0.0/8, ::1 or localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
