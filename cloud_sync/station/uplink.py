"""The station's sending end: one thread between the outbox and the link.

- Nothing is deleted on the broker's word: only the collector's acknowledgement deletes, and only what it names.
- Lanes: the station's own state, then records in the order of their streams, then passengers (files, releases).
- New records are sent as soon as it is notified; without a notice it looks by itself.
- A fault of the outbox is reported and tried again; it ends nothing.
- No wall clock decides anything here; it only stands in messages, for people.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from cloud_sync.station.absence import Absence
from cloud_sync.station.inbox import Inbox
from cloud_sync.station.ledger import Ledger
from cloud_sync.station.own_word import MakeHealth, MakeState, OwnWord
from cloud_sync.station.passenger import Passenger
from cloud_sync.station.passengers import Passengers
from cloud_sync.station.sender import Sender
from cloud_sync.station.status import UplinkSettings, UplinkStatus
from cloud_sync.station.window import Batch, Riding, Window
from cloud_sync.wire import topics
from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.envelopes import Ack, unpack_ack
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits, Link, Message
from cloud_sync.wire.messages import CommandMessage, StateMessage
from cloud_sync.wire.outbox import Outbox, Stream

__all__ = ["Uplink", "UplinkSettings", "UplinkStatus"]

_FAULT_WAIT_MOST_S = 10.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Changed:
    """A connection came, with its limits, or went, with the reason."""

    connection: int
    limits: Limits | None
    why: str


@dataclass(frozen=True, slots=True)
class _Answered:
    connection: int
    refusal: str | None


class Uplink:
    """Sends what the station records until the collector has it; a context manager that starts and stops it.

    Args:
        station: the station's id.
        outbox: its unacknowledged records; called from the uplink's thread only.
        link: not started; the uplink starts and stops it.
        settings: its pace.
        on_failure: told of every fault, also of those that are tried again; called on the uplink's thread.
        passengers: who else sends and hears by the link.
        state: makes the state message for each connection; called on the uplink's thread.
        health: makes the health message, about once a minute and where faults changed; as `state`.

    Raises:
        LinkError: the station id is none.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        *,
        station: str,
        outbox: Outbox,
        link: Link,
        settings: UplinkSettings | None = None,
        on_failure: Callable[[Exception], None] | None = None,
        passengers: Sequence[Passenger] = (),
        state: MakeState | None = None,
        health: MakeHealth | None = None,
    ) -> None:
        self._pace = settings or UplinkSettings()
        self._station = topics.checked_station(station)
        self._outbox = outbox
        self._link = link
        self._on_failure = on_failure
        self._window = Window(link)
        self._own = OwnWord(station, self._window, state or _online, health, self._report)
        ledger = Ledger(self._pace.resend_after_s, self._pace.resend_most_s, self._pace.capacity)
        self._sender = Sender(station, outbox, self._window, ledger, self._own.state_changed)
        self._passengers = Passengers(passengers, self._report)
        self._absence = Absence(time.monotonic())
        self._events: deque[_Changed | _Answered] = deque()
        self._inbox = Inbox()
        self._connection = 0
        self._next_look_s = self._next_settling_s = self._next_sending_s = 0.0
        self._put_off_sending = False
        self._depths: dict[Stream, int] | None = None
        self._faults = 0
        self._last_ack_at: datetime | None = None
        self._last_ack_s: float | None = None
        self._last_error = ""
        self._failure: BaseException | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"uplink {station}", daemon=True)

    def start(self) -> None:
        """Begin to send; returns at once, an absent broker is no error. Raises LinkError if started before."""
        self._link.start(self)
        self._thread.start()

    def notify(self) -> None:
        """There is something new in the outbox, or for a passenger to send. Cheap, from any thread."""
        self._wake.set()

    def health_changed(self) -> None:
        """A fault came or went: the cloud is told soon. Cheap, from any thread."""
        self._own.health_changed()
        self._wake.set()

    def status(self) -> UplinkStatus:
        """How it stands just now; from any thread."""
        counts, denied, last_ack_s = self._sender.counts, dict(self._sender.denied), self._last_ack_s
        return UplinkStatus(
            connected=self._window.limits is not None,
            depth=None if self._depths is None else sum(self._depths.values()),
            sent=counts.sent,
            resent=counts.resent,
            acknowledged=counts.acknowledged,
            quarantined=counts.quarantined,
            buried=counts.buried,
            suspects=len(self._sender.suspects),
            denied="; ".join(f"{topic}: {why}" for topic, why in denied.items()),
            faults=self._faults,
            last_ack_at=self._last_ack_at,
            last_ack_age_s=None if last_ack_s is None else time.monotonic() - last_ack_s,
            last_error=self._last_error,
        )

    def raise_if_failed(self) -> None:
        """Raises LinkError if the uplink's thread has died."""
        if self._failure is not None:
            raise LinkError(f"the uplink of {self._station!r} has died of {self._failure!r}") from self._failure

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Say that the station goes offline, and end; True if all ended in time. What is unsent stays in the outbox."""
        until_s = time.monotonic() + timeout_s
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s / 2)
        self._link.stop(max(0.1, until_s - time.monotonic()))
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def on_connected(self, limits: Limits) -> None:
        """The link's word; see `Listener`."""
        self._change(limits, "")

    def on_disconnected(self, why: str) -> None:
        """The link's word; see `Listener`."""
        self._last_error = why
        self._change(None, why)

    def on_message(self, message: Message) -> None:
        """The link's word; see `Listener`. What is lost here comes again: records by their resend, the rest as well."""
        self._inbox.put(message)
        self._link.acknowledge(message)
        self._wake.set()

    def on_answer(self, refusal: str | None) -> None:
        """The link's word; see `Listener`."""
        self._events.append(_Answered(self._connection, refusal))
        self._wake.set()

    def _change(self, limits: Limits | None, why: str) -> None:
        self._connection = self._window.change()
        self._events.append(_Changed(self._connection, limits, why))
        self._wake.set()

    def _run(self) -> None:
        backoff = Backoff(self._pace.poll_s, max(self._pace.poll_s, _FAULT_WAIT_MOST_S))
        try:
            while not self._stopping.is_set():
                if self._wake.wait(self._patience_s(time.monotonic())):
                    self._wake.clear()
                try:
                    self._work()
                    backoff.reset()
                except Exception as error:  # noqa: BLE001 - whatever the outbox raises: report it, and try again
                    self._report(error)
                    self._stopping.wait(backoff.next_s())
            self._hear_link(time.monotonic())
            self._own.goodbye()
        except BaseException as error:  # not even this may go unseen: `raise_if_failed` has it
            self._failure = error
            _logger.exception("the uplink of %s has died", self._station)

    def _patience_s(self, now_s: float) -> float:
        until_s = min(self._next_look_s, self._next_settling_s if self._inbox.has_acks else self._next_look_s)
        if self._put_off_sending:
            until_s = min(until_s, self._next_sending_s)
        return min(self._pace.poll_s, max(0.0, until_s - now_s))

    def _work(self) -> None:
        now_s = time.monotonic()
        self._hear_link(now_s)
        try:
            self._hear_messages(now_s)
            if now_s >= self._next_settling_s:
                self._settle(now_s)
        finally:  # a disk that takes nothing is no reason to say nothing: least of all that it takes nothing
            self._say(now_s)

    def _say(self, now_s: float) -> None:
        depths = self._look(now_s)
        if self._window.limits is None or self._sender.is_alone or not self._own.say(now_s):
            return
        self._put_off_sending = depths is None and now_s < self._next_sending_s
        if self._put_off_sending:
            return
        before = self._sender.counts.sent
        if self._sender.send(now_s, depths) and self._sender.counts.sent > before:
            self._next_sending_s = now_s + self._pace.gather_s
        if not self._sender.is_alone:
            self._passengers.work(now_s, self._ride)

    def _look(self, now_s: float) -> dict[Stream, int] | None:
        """Now and then what waits; None in between."""
        if now_s < self._next_look_s:
            return None
        self._next_look_s = now_s + self._pace.poll_s
        self._depths = dict(self._outbox.depths())
        return self._depths

    def _ride(self, topic: str, payload: bytes) -> bool:
        return self._window.publish(topic, payload, Riding())

    def _hear_link(self, now_s: float) -> None:
        while self._events:
            match self._events.popleft():
                case _Changed() as changed:
                    self._take(changed, now_s)
                case _Answered(connection, refusal):
                    self._take_answer(connection, refusal, now_s)

    def _take(self, changed: _Changed, now_s: float) -> None:
        unanswered = self._window.take(changed.connection, changed.limits)
        if changed.limits is None:
            self._sender.lost([load for load in unanswered if isinstance(load, Batch)], changed.why, now_s)
            if not self._stopping.is_set() and (line := self._absence.lost(now_s, changed.why)):
                _logger.warning("station %s: %s", self._station, line)
            return
        waiting = None if self._depths is None else sum(self._depths.values())
        _logger.info("station %s: %s", self._station, self._absence.back(now_s, waiting))
        self._sender.begin(changed.limits.payload_bytes)
        self._own.begin()
        self._passengers.begin(changed.limits, now_s)
        self._next_look_s = 0.0

    def _take_answer(self, connection: int, refusal: str | None, now_s: float) -> None:
        answered = self._window.answered(connection)
        if answered is None:
            return
        load, topic = answered
        if isinstance(load, Batch):
            try:
                self._sender.answered(load, topic, refusal, now_s)
            except LinkError as error:
                self._report(error)
        elif refusal is not None:
            self._report(LinkError(f"the broker refused a message on {topic}: {refusal}"))

    def _hear_messages(self, now_s: float) -> None:
        while (heard := self._inbox.next()) is not None:
            if heard[0] != "command":
                self._passengers.hear(*heard, now_s)
                continue
            try:
                self._obey(heard[1])
            except Exception:
                self._inbox.put_back(*heard)
                raise

    def _obey(self, payload: bytes) -> None:
        """Raises whatever the outbox raises: then the command is obeyed in the next turn."""
        try:
            command = CommandMessage.unpack(payload)
        except LinkError as error:
            self._report(error)
            return
        _logger.warning("station %s is told to begin a new epoch after %s", self._station, command.epoch)
        self._sender.renew(command.epoch)

    def _settle(self, now_s: float) -> None:
        if not (payloads := self._inbox.acks()):
            return
        self._next_settling_s = now_s + self._pace.settle_s
        acks = [ack for payload in payloads if (ack := self._read_ack(payload)) is not None]
        self._sender.settle(acks)
        self._inbox.acks_done(len(payloads))
        if acks:
            self._last_ack_at, self._last_ack_s = datetime.now(UTC), now_s

    def _read_ack(self, payload: bytes) -> Ack | None:
        try:
            return unpack_ack(payload)
        except LinkError as error:
            self._report(error)
            return None

    def _report(self, error: Exception) -> None:
        self._faults += 1
        self._last_error = f"{type(error).__name__}: {error}"
        _logger.error("the uplink of %s met a fault: %s", self._station, self._last_error)
        if self._on_failure is not None:
            with contextlib.suppress(Exception):
                self._on_failure(error)


def _online() -> StateMessage:
    return StateMessage(state="online", at=datetime.now(UTC))
