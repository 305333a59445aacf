"""The line port's server: one thread that reads triggers and acknowledgements, and tells verdicts before the deadline.

The thread depends on nobody: whatever hangs behind it, a part's deadline is met with UNDECIDED.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from edge.domain.errors import OutputError
from edge.domain.feedback import Feedback
from edge.domain.inspection import Committed, Outcome, OutcomeOf
from edge.domain.part import Part, Verdict
from edge.line.ledger import Ledger
from edge.line.peers import Peers
from edge.line.protocol import (
    Ack,
    Address,
    Choose,
    FeedbackAnswer,
    Listen,
    MastersAnswer,
    Ping,
    RetryDead,
    Trigger,
    VerifyMasters,
    error_line,
    feedback_answer_line,
    heartbeat_line,
    masters_line,
    parse_line,
    pong_line,
    product_line,
    ready_line,
    retried_line,
    told_line,
    verdict_line,
)
from edge.pulse import Pulse

log = structlog.get_logger()
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
    """Since the start; `told` counts verdicts sent in time, `late` and `unconfirmed` inspections."""

    triggers: int = 0
    told: int = 0
    late: int = 0
    unconfirmed: int = 0
    malformed: int = 0
    duplicate_triggers: int = 0


@dataclass(frozen=True, slots=True)
class _Untold:
    part: Part
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    peer: int
    line: bytes


class LinePort:
    """Serves one or more line connections.

    Args:
        address: where to listen.
        times: the deadline and its kin.
        on_trigger: called in the port's thread for each new part; must not block.
        on_outcomes: called in the port's thread when it is known what became of verdicts; must not block.
        products: those that may be chosen for triggers that name none; an only one is chosen already.
    """

    def __init__(
        self,
        address: Address,
        times: PortTimes,
        on_trigger: Callable[[Part], None],
        on_outcomes: Callable[[Sequence[OutcomeOf]], None],
        products: Collection[str] = (),
    ) -> None:
        self.counters = PortCounters()
        self.failure: Exception | None = None
        self.pulse = Pulse()
        self._times = times
        self._on_trigger = on_trigger
        self._on_outcomes = on_outcomes
        self._products = frozenset(products)
        self._chosen = next(iter(self._products)) if len(self._products) == 1 else ""
        self._ledger = Ledger(times.deadline_s - _TELL_MARGIN_S, times.ack_timeout_s)
        self._peers = Peers(address, lambda: ready_line(*self._ready_said), self._handle, self._gone)
        self._listeners: set[int] = set()
        self._product_of: dict[str, str] = {}
        self._overtaken: set[str] = set()
        self._masters: set[str] = set()
        self._commands: queue.SimpleQueue[Committed | _Untold | _Answer] = queue.SimpleQueue()
        self._on_verify: Callable[[int, VerifyMasters], str] = lambda _peer, _asked: "no master parts are kept here"
        self._on_feedback: Callable[[int, Feedback], None] = lambda _peer, _said: None
        self._on_retry_dead: Callable[[int, RetryDead], None] = lambda _peer, _asked: None
        self._ready = (False, "starting")
        self._ready_said = self._ready
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="line-port", daemon=True)

    def start(self) -> None:
        """Listen and start the thread. Raises OutputError when the address cannot be listened on."""
        self._peers.listen()
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End every connection and the thread, waiting at most `timeout_s` seconds."""
        self._stop.set()
        self._peers.wake()
        if self._thread.ident is None:
            self._peers.close()
        else:
            self._thread.join(timeout_s)

    def tell(self, committed: Committed) -> None:
        """Tell the verdict of an inspection that is on disk. From any thread."""
        self._commands.put(committed)
        self._peers.wake()

    def tell_unrecorded(self, part: Part, reasons: tuple[str, ...]) -> None:
        """Tell UNDECIDED for a part that could not be recorded. From any thread."""
        self._commands.put(_Untold(part, reasons))
        self._peers.wake()

    def set_ready(self, ready: bool, why: str) -> None:  # noqa: FBT001 - ready is what is said
        """Say to every connection whether the station can inspect. From any thread."""
        self._ready = (ready, why)
        self._peers.wake()

    def on_verify(self, listener: Callable[[int, VerifyMasters], str]) -> None:
        """Hand over who asks for a check of master parts.

        Args:
            listener: called in the port's thread with the connection's number and what it asked, must not block;
                returns why it will not be done, or nothing, and then owes an `answer_masters`.
        """
        self._on_verify = listener

    def answer_masters(self, peer: int, answer: MastersAnswer) -> None:
        """Tell whoever asked; nobody if that connection is gone. From any thread."""
        self._commands.put(_Answer(peer, masters_line(answer)))
        self._peers.wake()

    def on_feedback(self, listener: Callable[[int, Feedback], None]) -> None:
        """Hand over what a person says of a part.

        Args:
            listener: called in the port's thread with the connection's number, must not block; owes an
                `answer_feedback`.
        """
        self._on_feedback = listener

    def answer_feedback(self, peer: int, answer: FeedbackAnswer | str) -> None:
        """Tell whoever said it that it is on disk, or why it is not. From any thread."""
        self._commands.put(
            _Answer(peer, error_line(answer) if isinstance(answer, str) else feedback_answer_line(answer))
        )
        self._peers.wake()

    def on_retry_dead(self, listener: Callable[[int, RetryDead], None]) -> None:
        """Hand over who wants dead letters tried again; as `on_feedback`, owing an `answer_retry_dead`."""
        self._on_retry_dead = listener

    def answer_retry_dead(self, peer: int, answer: int | str) -> None:
        """Tell whoever asked how many records are back, or why none is. From any thread."""
        self._commands.put(_Answer(peer, error_line(answer) if isinstance(answer, str) else retried_line(answer)))
        self._peers.wake()

    @property
    def chosen(self) -> str:
        """The product of a trigger that names none; empty while none was chosen."""
        return self._chosen

    def waiting(self) -> int:
        """How many parts wait for their verdict."""
        return self._ledger.waiting()

    def unacknowledged(self) -> int:
        """How many told verdicts wait for their acknowledgement."""
        return self._ledger.unacknowledged()

    def _run(self) -> None:
        try:
            self._serve()
            self._peers.drop_all()
            self._report()
        except Exception as error:  # noqa: BLE001 - the daemon must learn of it and stop
            self.failure = error
            self._peers.drop_all()
        finally:
            self._peers.close()  # here, so that a thread that ends after `stop` lost patience leaves nothing open

    def _serve(self) -> None:
        next_beat_s = next_sweep_s = time.monotonic()
        while not self._stop.is_set():
            self.pulse.beat()
            self._peers.serve(self._patience_s(min(next_beat_s, next_sweep_s)))
            self._carry_out()
            now_s = time.monotonic()
            self._expire(now_s)
            if now_s >= next_sweep_s:
                self._ledger.sweep(now_s)
                next_sweep_s = now_s + _SWEEP_S
            if now_s >= next_beat_s:
                self._peers.broadcast(heartbeat_line(self._ready[0]))
                next_beat_s = now_s + self._times.heartbeat_s
            self._report()
        self._carry_out()

    def _patience_s(self, next_s: float) -> float:
        due_s = self._ledger.next_due_s()
        return max(0.0, (next_s if due_s is None else min(next_s, due_s)) - time.monotonic())

    def _carry_out(self) -> None:
        if self._ready != self._ready_said:
            self._ready_said = self._ready
            self._peers.broadcast(ready_line(*self._ready_said))
        for _ in range(self._commands.qsize()):
            match self._commands.get_nowait():
                case Committed() as committed:
                    self._tell_committed(committed)
                case _Untold(part, reasons):
                    line = verdict_line(part.part_id, Verdict.UNDECIDED, reasons, None, None)
                    self._tell(part, Verdict.UNDECIDED, line)
                case _Answer(peer, line):
                    self._peers.send(peer, line)

    def _tell_committed(self, committed: Committed) -> None:
        inspection = committed.inspection
        part, verdict = inspection.part, inspection.verdict
        identity = committed.inspection_id, committed.record_sha256
        line = verdict_line(part.part_id, verdict, inspection.all_reasons, *identity, inspection.code, part.master)
        self._tell(part, verdict, line)
        self._ledger.commit(part.part_id, part.triggered_s, committed.seq)

    def _tell(self, part: Part, verdict: Verdict, line: bytes) -> None:
        peer = self._peer_of(part.part_id)
        if self._ledger.tell(part.part_id, part.triggered_s, verdict, time.monotonic(), sent=peer is not None):
            self.counters.told += peer is not None
            self._say(peer, part.part_id, line)

    def _expire(self, now_s: float) -> None:
        for part_id in self._ledger.due(now_s):
            self._tell_undecided(part_id, "deadline_passed")
            log.warning("deadline passed", part_id=part_id)

    def _tell_undecided(self, part_id: str, reason: str) -> None:
        peer = self._peer_of(part_id)
        if self._ledger.expire(part_id, time.monotonic(), sent=peer is not None):
            self._say(peer, part_id, verdict_line(part_id, Verdict.UNDECIDED, (reason,), None, None))

    def _say(self, peer: int | None, part_id: str, line: bytes) -> None:
        """The one verdict of a part: to whoever triggered it first, then to those who listen.

        A master part's goes to nobody else: outputs must not take it for a part of the production.
        """
        self._peers.send(peer, line)
        if part_id in self._masters:
            self._masters.discard(part_id)
            return
        older = list(itertools.takewhile(part_id.__ne__, self._product_of)) if part_id in self._product_of else []
        in_turn = not older and part_id not in self._overtaken
        self._overtaken.update(older)
        self._overtaken.discard(part_id)
        product = self._product_of.pop(part_id, "")
        if self._listeners:
            told = told_line(product, line, in_turn=in_turn)
            for listener in list(self._listeners):
                self._peers.send(listener, told)

    def _gone(self, peer: int) -> None:
        self._listeners.discard(peer)
        self._ledger.disconnect(peer)

    def _report(self) -> None:
        outcomes = self._ledger.take_outcomes()
        if not outcomes:
            return
        self.counters.late += sum(outcome.outcome is Outcome.LATE for outcome in outcomes)
        self.counters.unconfirmed += sum(outcome.outcome is Outcome.UNCONFIRMED for outcome in outcomes)
        self._on_outcomes(outcomes)

    def _handle(self, peer: int, line: bytes) -> None:
        try:
            message = parse_line(line)
        except OutputError as error:
            self.counters.malformed += 1
            self._peers.send(peer, error_line(str(error)))
            return
        match message:
            case Trigger():
                self._trigger(peer, message)
            case Choose(product):
                self._choose(peer, product)
            case Ack(part_id):
                self._ledger.acknowledge(part_id, peer)
            case Ping():
                self._peers.send(peer, pong_line())
            case VerifyMasters():
                self._verify(peer, message)
            case Feedback():
                self._on_feedback(peer, message)
            case RetryDead():
                self._on_retry_dead(peer, message)
            case Listen() if peer in self._peers:
                self._listeners.add(peer)

    def _verify(self, peer: int, asked: VerifyMasters) -> None:
        refusal = self._on_verify(peer, asked) if self._knows(peer, asked.product) else ""
        if refusal:
            self._peers.send(peer, error_line(refusal))

    def _knows(self, peer: int, product: str) -> bool:
        if product not in self._products:
            self._peers.send(peer, error_line(f"product must be one of {', '.join(sorted(self._products))}"))
        return product in self._products

    def _choose(self, peer: int, product: str) -> None:
        if not self._knows(peer, product):
            return
        self._chosen = product
        log.info("product chosen", product=product)
        self._peers.broadcast(product_line(product))

    def _trigger(self, peer: int, trigger: Trigger) -> None:
        now_s = time.monotonic()
        product = trigger.product or self._chosen
        if not product:
            self.counters.malformed += 1
            self._peers.send(peer, error_line(f"part {trigger.part_id!r}: no product is named, and none was chosen"))
            return
        self.counters.triggers += 1
        if self._ledger.open(trigger.part_id, peer, now_s):
            if trigger.master:
                self._masters.add(trigger.part_id)
            else:
                self._product_of[trigger.part_id] = product
            self._on_trigger(Part(trigger.part_id, product, datetime.now(UTC), now_s, trigger.cameras, trigger.master))
        else:
            if not trigger.master and trigger.part_id in self._masters:  # outputs must hear of this one
                self._masters.discard(trigger.part_id)
                self._product_of[trigger.part_id] = product
            self._refuse_duplicate(peer, trigger.part_id)

    def _refuse_duplicate(self, peer: int, part_id: str) -> None:
        """Two parts under one id cannot be told apart: UNDECIDED for both, to whoever triggered them."""
        self.counters.duplicate_triggers += 1
        if self._ledger.peer_of(part_id) != peer:
            self._peers.send(peer, verdict_line(part_id, Verdict.UNDECIDED, ("duplicate_trigger",), None, None))
        self._tell_undecided(part_id, "duplicate_trigger")

    def _peer_of(self, part_id: str) -> int | None:
        number = self._ledger.peer_of(part_id)
        return number if number is not None and number in self._peers else None
