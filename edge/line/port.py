"""The line port's server: one thread that reads triggers and acknowledgements, and tells verdicts before the deadline.

The thread depends on nobody: whatever hangs behind it, a part's deadline is met with UNDECIDED.
"""

import contextlib
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from edge.domain.errors import OutputError
from edge.domain.inspection import Committed, Outcome, OutcomeOf
from edge.domain.part import Part, Verdict
from edge.line.ledger import Ledger
from edge.line.protocol import (
    LINE_LIMIT_BYTES,
    Ack,
    Address,
    Ping,
    Trigger,
    error_line,
    heartbeat_line,
    parse_line,
    pong_line,
    ready_line,
    verdict_line,
)

log = structlog.get_logger()
_OUT_LIMIT_BYTES = 1 << 20
_TELL_MARGIN_S = 0.005
_SWEEP_S = 0.25


@dataclass(frozen=True, slots=True)
class PortTimes:
    """Seconds: trigger to told, told to acknowledged, between heartbeats."""

    deadline_s: float
    ack_timeout_s: float
    heartbeat_s: float


@dataclass(slots=True)
class PortCounters:
    """Since the start."""

    triggers: int = 0
    told: int = 0
    late: int = 0
    unconfirmed: int = 0
    malformed: int = 0
    duplicate_triggers: int = 0


@dataclass(slots=True)
class _Peer:
    number: int
    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class _Untold:
    part: Part
    reasons: tuple[str, ...]


class LinePort:
    """Serves one or more line connections.

    Args:
        address: where to listen.
        times: the deadline and its kin.
        on_trigger: called in the port's thread for each new part; must not block.
        on_outcomes: called in the port's thread when it is known what became of verdicts; must not block.

    Raises:
        OutputError: the address cannot be listened on (from `start`).
    """

    def __init__(
        self,
        address: Address,
        times: PortTimes,
        on_trigger: Callable[[Part], None],
        on_outcomes: Callable[[Sequence[OutcomeOf]], None],
    ) -> None:
        self.counters = PortCounters()
        self.failure: Exception | None = None
        self._address = address
        self._times = times
        self._on_trigger = on_trigger
        self._on_outcomes = on_outcomes
        self._ledger = Ledger(times.deadline_s - _TELL_MARGIN_S, times.ack_timeout_s)
        self._selector = selectors.DefaultSelector()
        self._peers: dict[int, _Peer] = {}
        self._peers_seen = 0
        self._commands: queue.SimpleQueue[Committed | _Untold | None] = queue.SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._ready = (False, "starting")
        self._ready_said = self._ready
        self._stop = threading.Event()
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="line-port", daemon=True)

    def start(self) -> None:
        """Listen and start the thread."""
        self._listener = _listen(self._address)
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._drain_wake)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop listening and end the thread, waiting at most `timeout_s` seconds."""
        self._stop.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._listener is not None:
            self._listener.close()
        if self._address.unix_path is not None:
            self._address.unix_path.unlink(missing_ok=True)
        self._wake_in.close()
        self._wake_out.close()

    def tell(self, committed: Committed) -> None:
        """Tell the verdict of an inspection that is on disk. From any thread."""
        self._commands.put(committed)
        self._wake()

    def tell_unrecorded(self, part: Part, reasons: tuple[str, ...]) -> None:
        """Tell UNDECIDED for a part that could not be recorded. From any thread."""
        self._commands.put(_Untold(part, reasons))
        self._wake()

    def set_ready(self, ready: bool, why: str) -> None:  # noqa: FBT001 - ready is what is said
        """Say to every connection whether the station can inspect. From any thread."""
        self._ready = (ready, why)
        self._wake()

    def waiting(self) -> int:
        """How many parts wait for their verdict."""
        return self._ledger.waiting()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_out.send(b"\0")

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - the daemon must learn of it and stop
            self.failure = error
        finally:
            for peer in list(self._peers.values()):
                self._drop(peer)
            self._report()
            self._selector.close()

    def _serve(self) -> None:
        next_beat_s = time.monotonic()
        next_sweep_s = next_beat_s
        while not self._stop.is_set():
            for key, mask in self._selector.select(self._patience_s(min(next_beat_s, next_sweep_s))):
                key.data(mask) if not isinstance(key.data, _Peer) else self._move_bytes(key.data, mask)
            self._carry_out()
            now_s = time.monotonic()
            self._expire(now_s)
            if now_s >= next_sweep_s:
                self._ledger.sweep(now_s)
                next_sweep_s = now_s + _SWEEP_S
            if now_s >= next_beat_s:
                self._broadcast(heartbeat_line(self._ready[0]))
                next_beat_s = now_s + self._times.heartbeat_s
            self._report()
        self._carry_out()

    def _patience_s(self, next_s: float) -> float:
        due_s = self._ledger.next_due_s()
        return max(0.0, (next_s if due_s is None else min(next_s, due_s)) - time.monotonic())

    def _carry_out(self) -> None:
        if self._ready != self._ready_said:
            self._ready_said = self._ready
            self._broadcast(ready_line(*self._ready_said))
        while not self._commands.empty():
            match self._commands.get_nowait():
                case Committed() as committed:
                    self._tell_committed(committed)
                case _Untold(part, reasons):
                    line = verdict_line(part.part_id, Verdict.UNDECIDED, reasons, None, None)
                    self._tell(part, Verdict.UNDECIDED, line)

    def _tell_committed(self, committed: Committed) -> None:
        inspection = committed.inspection
        part, verdict = inspection.part, inspection.verdict
        line = verdict_line(
            part.part_id, verdict, inspection.all_reasons, committed.inspection_id, committed.record_sha256
        )
        self._tell(part, verdict, line)
        self._ledger.commit(part.part_id, part.triggered_s, committed.seq)

    def _tell(self, part: Part, verdict: Verdict, line: bytes) -> None:
        peer = self._peer_of(part.part_id)
        if self._ledger.tell(part.part_id, part.triggered_s, verdict, time.monotonic(), sent=peer is not None):
            self.counters.told += 1
            self._send(peer, line)

    def _expire(self, now_s: float) -> None:
        for part_id in self._ledger.due(now_s):
            self._tell_undecided(part_id, "deadline_passed")
            log.warning("deadline passed", part_id=part_id)

    def _tell_undecided(self, part_id: str, reason: str) -> None:
        peer = self._peer_of(part_id)
        if self._ledger.expire(part_id, time.monotonic(), sent=peer is not None):
            self._send(peer, verdict_line(part_id, Verdict.UNDECIDED, (reason,), None, None))

    def _report(self) -> None:
        outcomes = self._ledger.take_outcomes()
        if not outcomes:
            return
        self.counters.late += sum(outcome.outcome is Outcome.LATE for outcome in outcomes)
        self.counters.unconfirmed += sum(outcome.outcome is Outcome.UNCONFIRMED for outcome in outcomes)
        self._on_outcomes(outcomes)

    def _accept(self, _mask: int) -> None:
        if self._listener is None:
            return
        sock = self._listener.accept()[0]
        sock.setblocking(False)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers_seen += 1
        peer = _Peer(self._peers_seen, sock)
        self._peers[peer.number] = peer
        self._selector.register(sock, selectors.EVENT_READ, peer)
        self._send(peer, ready_line(*self._ready))
        log.info("line connected", peer=peer.number)

    def _drain_wake(self, _mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_in.recv(4096)

    def _move_bytes(self, peer: _Peer, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._flush(peer)
        if mask & selectors.EVENT_READ and peer.number in self._peers:
            self._receive(peer)

    def _receive(self, peer: _Peer) -> None:
        try:
            data = peer.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(peer)
            return
        peer.received += data
        *lines, rest = peer.received.split(b"\n")
        peer.received = rest
        for line in lines:
            self._handle(peer, bytes(line))
        if len(peer.received) > LINE_LIMIT_BYTES:
            self.counters.malformed += 1
            self._send(peer, error_line(f"a line is at most {LINE_LIMIT_BYTES} bytes"))
            self._drop(peer)

    def _handle(self, peer: _Peer, line: bytes) -> None:
        try:
            message = parse_line(line)
        except OutputError as error:
            self.counters.malformed += 1
            self._send(peer, error_line(str(error)))
            return
        match message:
            case Trigger():
                self._trigger(peer, message)
            case Ack(part_id):
                self._ledger.acknowledge(part_id, peer.number)
            case Ping():
                self._send(peer, pong_line())

    def _trigger(self, peer: _Peer, trigger: Trigger) -> None:
        now_s = time.monotonic()
        self.counters.triggers += 1
        if not self._ledger.open(trigger.part_id, peer.number, now_s):
            self.counters.duplicate_triggers += 1
            self._tell_undecided(trigger.part_id, "duplicate_trigger")
            return
        self._on_trigger(Part(trigger.part_id, trigger.product, datetime.now(UTC), now_s, trigger.cameras))

    def _peer_of(self, part_id: str) -> _Peer | None:
        number = self._ledger.peer_of(part_id)
        return None if number is None else self._peers.get(number)

    def _broadcast(self, line: bytes) -> None:
        for peer in list(self._peers.values()):
            self._send(peer, line)

    def _send(self, peer: _Peer | None, line: bytes) -> None:
        if peer is None or peer.number not in self._peers:
            return
        peer.unsent += line
        self._flush(peer)

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
        self._ledger.disconnect(peer.number)
        log.info("line disconnected", peer=peer.number)


def _listen(address: Address) -> socket.socket:
    try:
        if address.unix_path is not None:
            address.unix_path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(address.unix_path))
        else:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", address.tcp_port or 0))
        listener.listen(8)
    except OSError as error:
        raise OutputError(
            f"line port cannot listen on {address}: {error.strerror}: is another daemon running?"
        ) from error
    listener.setblocking(False)
    return listener
