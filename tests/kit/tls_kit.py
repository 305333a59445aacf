"""The other side of a TLS connection, as an attacker would play it."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class FakeServer:
    """Its port, how often it was connected to, and what it read after a handshake."""

    port: int
    accepted: list[object] = field(default_factory=list)
    read: list[bytes] = field(default_factory=list)


@contextmanager
def fake_server(context: ssl.SSLContext | None) -> Iterator[FakeServer]:
    """A server on localhost that shakes hands by this context; None: it never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stopping = threading.Event()
        listening.settimeout(0.1)
        made = FakeServer(listening.getsockname()[1])
        thread = threading.Thread(target=_answer, args=(listening, context, made, stopping))
        thread.start()
        try:
            yield made
        finally:
            stopping.set()
            thread.join(_PATIENCE_S)


def server_context(identity: Identity, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A server's context with this identity's certificate, whatever it was made for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = most
    context.load_cert_chain(identity.pem)
    return context


def alert_of(address: Address, context: ssl.SSLContext) -> str:
    """How a server refuses a client of this context; "" where it does not."""
    with socket.create_connection((address.host, address.port), timeout=_PATIENCE_S) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=address.host) as secure:
                secure.settimeout(1.0)
                secure.recv(1)
        except TimeoutError:
            return ""
        except ssl.SSLError as error:
            return error.reason or str(error)
    return "closed"


def mqtt_connect(client_id: str, will_topic: str = "", will: bytes = b"") -> bytes:
    """An MQTT 5 CONNECT with a clean start, and with a will if there is a topic for it."""
    flags = 0x06 if will_topic else 0x02
    body = b"\x00\x04MQTT\x05" + bytes([flags]) + b"\x00\x1e\x00" + _text(client_id.encode())
    if will_topic:
        body += b"\x00" + _text(will_topic.encode()) + _text(will)
    return b"\x10" + bytes([len(body)]) + body


def mqtt_publish_head(topic: str, size_bytes: int) -> bytes:
    """The beginning of a QoS 0 PUBLISH that says it has a payload of this size."""
    body = struct.pack("!H", len(topic)) + topic.encode() + b"\x00"
    left, length = len(body) + size_bytes, b""
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | (0x80 if left else 0)])
        if not left:
            return b"\x30" + length + body


def _text(content: bytes) -> bytes:
    return struct.pack("!H", len(content)) + content


def _answer(
    listening: socket.socket, context: ssl.SSLContext | None, made: FakeServer, stopping: threading.Event
) -> None:
    held: list[socket.socket] = []
    while not stopping.is_set():
        with suppress(OSError):
            connected, peer = listening.accept()
            made.accepted.append(peer)
            held.append(connected)
            connected.settimeout(1.0)
            if context is not None:
                held[-1] = context.wrap_socket(connected, server_side=True)
                made.read.append(held[-1].recv(4096))
    for one in held:
        one.close()
