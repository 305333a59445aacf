"""The seam between us and a message broker: what both ends of the sync need of it, and nothing more.

A Link keeps itself connected, gives back every message until it is acknowledged, and promises nothing about delivery:
what must not be lost stays on the publisher's disk until the other end says, by a message of its own, that it has it.
"""

from dataclasses import dataclass, field
from typing import Protocol, Self

from cloud_sync.wire.errors import LinkError

_PORT_LIMIT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read HOST:PORT or [IPV6]:PORT. Raises LinkError on anything else."""
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= _PORT_LIMIT:
            raise LinkError(f"a broker's address is HOST:PORT with a port of 1 to {_PORT_LIMIT}, got {text[:120]!r}")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Message:
    """What came in.

    Args:
        topic: where it was published.
        payload: its bytes.
        receipt: the link's own mark, by which it is acknowledged.
    """

    topic: str
    payload: bytes
    receipt: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What this connection allows.

    Args:
        payload_bytes: the largest payload that can be published.
        in_flight: how many publishes may wait for the broker's answer.
    """

    payload_bytes: int
    in_flight: int


class Listener(Protocol):
    """Who a link tells what happens. Called on the link's thread: be quick, do not block, do not raise."""

    def on_connected(self, limits: Limits) -> None:
        """Connected and subscribed. Whatever was in flight before is forgotten: publish it again."""
        ...

    def on_disconnected(self, why: str) -> None:
        """Not connected, or could not connect; the link goes on trying by itself."""
        ...

    def on_message(self, message: Message) -> None:
        """A message came; it comes again, also after a restart, until `Link.acknowledge` is told of it."""
        ...

    def on_answer(self, refusal: str | None) -> None:
        """The broker answered one publish, so there is room for another; `refusal` says why it did not take it."""
        ...


class Link(Protocol):
    """A connection to a broker that heals itself. `publish` and `acknowledge` may be called from any thread."""

    def start(self, listener: Listener) -> None:
        """Begin to connect, and return at once; an absent broker is no error. Raises LinkError if started before."""
        ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message to the broker, at least once; False where there is no connection or no room just now.

        Raises LinkError if the payload is larger than the connection's limit: it will never fit.
        """
        ...

    def acknowledge(self, message: Message) -> None:
        """The message is dealt with, durably. No effect if the connection it came by is gone: it comes again."""
        ...

    def stop(self, timeout_s: float) -> bool:
        """Leave within the limit, also where the broker is silent; True if it was a clean parting."""
        ...
