"""The line's connections: bytes in become lines, lines out become bytes. Nothing here blocks, and none hurts another.

For one thread, which calls `serve` in a loop; only `wake` may come from others.
"""

import contextlib
import selectors
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from edge.domain.errors import OutputError
from edge.line.protocol import LINE_LIMIT_BYTES, Address

log = structlog.get_logger()
_OUT_LIMIT_BYTES = 1 << 20
_PEERS_LIMIT = 64
_READ_BYTES = 8192  # a flood of tiny lines, each answered, must not keep the thread from another part's deadline
_PROBE_S = 0.5


@dataclass(slots=True)
class _Peer:
    number: int
    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


class Peers:
    """Listens and keeps every connection, each under a number of its own.

    Args:
        address: where to listen.
        greeting: what a new connection is sent first.
        on_line: called with a connection's number and each line it sent, without its end; an overlong line comes cut.
        on_gone: called with the number of a connection that ended.
    """

    def __init__(
        self,
        address: Address,
        greeting: Callable[[], bytes],
        on_line: Callable[[int, bytes], None],
        on_gone: Callable[[int], None],
    ) -> None:
        self._address = address
        self._greeting = greeting
        self._on_line = on_line
        self._on_gone = on_gone
        self._peers: dict[int, _Peer] = {}
        self._seen = 0
        self._listener: socket.socket | None = None
        self._waker: tuple[socket.socket, socket.socket] | None = None

    def listen(self) -> None:
        """Start listening. Raises OutputError when the address cannot be had."""
        self._listener = _listen(self._address)
        self._waker = socket.socketpair()  # not before: what is never started must leave nothing open
        self._selector = selectors.DefaultSelector()
        for end in self._waker:
            end.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._waker[0], selectors.EVENT_READ)

    def wake(self) -> None:
        """Make a waiting `serve` return. From any thread."""
        if self._waker is not None:
            with contextlib.suppress(OSError):
                self._waker[1].send(b"\0")

    def serve(self, timeout_s: float) -> None:
        """Move what bytes there are, waiting at most `timeout_s` seconds for some."""
        for key, mask in self._selector.select(timeout_s):
            if isinstance(key.data, _Peer):
                self._move_bytes(key.data, mask)
            elif self._waker is not None and key.fileobj is self._waker[0]:
                with contextlib.suppress(OSError):
                    self._waker[0].recv(4096)
            else:
                self._accept()

    def send(self, number: int | None, line: bytes) -> None:
        """Send a line to a connection; to one that is gone, nothing happens."""
        peer = None if number is None else self._peers.get(number)
        if peer is not None:
            peer.unsent += line
            self._flush(peer)

    def broadcast(self, line: bytes) -> None:
        """Send a line to every connection."""
        for number in list(self._peers):
            self.send(number, line)

    def drop_all(self) -> None:
        """End every connection."""
        for peer in list(self._peers.values()):
            self._drop(peer)

    def close(self) -> None:
        """Stop listening; call once nobody serves any more."""
        if self._listener is None or self._waker is None:
            return
        self._selector.close()
        for end in (*self._waker, self._listener):
            end.close()
        if self._address.unix_path is not None:
            self._address.unix_path.unlink(missing_ok=True)

    def __contains__(self, number: int) -> bool:
        return number in self._peers

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            sock = self._listener.accept()[0]
        except OSError as error:
            log.warning("a connection could not be taken", why=str(error))
            return
        if len(self._peers) >= _PEERS_LIMIT:
            log.warning("too many connections, the newest is refused", limit=_PEERS_LIMIT)
            sock.close()
            return
        sock.setblocking(False)
        if sock.family == socket.AF_INET:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seen += 1
        peer = self._peers[self._seen] = _Peer(self._seen, sock)
        self._selector.register(sock, selectors.EVENT_READ, peer)
        log.info("line connected", peer=peer.number)
        self.send(peer.number, self._greeting())

    def _move_bytes(self, peer: _Peer, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and peer.number in self._peers:
            self._flush(peer)
        if mask & selectors.EVENT_READ and peer.number in self._peers:
            self._receive(peer)

    def _receive(self, peer: _Peer) -> None:
        try:
            data = peer.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(peer)
            return
        *lines, peer.received = (peer.received + data).split(b"\n")
        for line in lines:
            self._on_line(peer.number, bytes(line[: LINE_LIMIT_BYTES + 1]))
        if len(peer.received) > LINE_LIMIT_BYTES:
            self._on_line(peer.number, bytes(peer.received[: LINE_LIMIT_BYTES + 1]))
            self._drop(peer)

    def _flush(self, peer: _Peer) -> None:
        try:
            sent = peer.sock.send(peer.unsent)
            del peer.unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(peer)
            return
        if len(peer.unsent) > _OUT_LIMIT_BYTES:
            log.error("line does not read", peer=peer.number, unsent_bytes=len(peer.unsent))
            self._drop(peer)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.unsent else 0)
        self._selector.modify(peer.sock, events, peer)

    def _drop(self, peer: _Peer) -> None:
        if self._peers.pop(peer.number, None) is None:
            return
        self._selector.unregister(peer.sock)
        peer.sock.close()
        self._on_gone(peer.number)
        log.info("line disconnected", peer=peer.number)


def _listen(address: Address) -> socket.socket:
    listener = socket.socket(socket.AF_INET if address.unix_path is None else socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if address.unix_path is not None:
            _remove_dead(address.unix_path)
            listener.bind(str(address.unix_path))
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", address.tcp_port or 0))
        listener.listen(_PEERS_LIMIT)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"line port cannot listen on {address}: {error.strerror or error}: is another daemon running?"
        ) from error
    listener.setblocking(False)
    return listener


def _remove_dead(path: Path) -> None:
    """Remove a socket that a killed daemon left; one that somebody listens on, or another file, stays and is in use."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
