"""The cloud end of the sync: takes in what stations send, commits it, and only then says so.

- A message is acknowledged to the broker and its records to the station after the commit, never before.
- While the store fails, nothing is acknowledged: the collector reports it and tries again; the stations keep all.
- No message stops it: what is not our protocol becomes a dead letter.
"""

import logging
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from cloud_sync.hub.acks import PendingAcks
from cloud_sync.hub.intake import Intake, take_in
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.writing import Inserted, StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.envelopes import pack_ack
from cloud_sync.wire.link import Address, Limits, Link, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

SESSION_EXPIRY_S = 24 * 3600

_GROUP_MESSAGES = 32
_QUEUE_MESSAGES = 1000
_TICK_S = 0.2
_STOP_LINK_S = 2.0
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class CollectorCounts:
    """What came since the start: messages; records stored, come again, quarantined; dead letters; failed commits."""

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    dead_letters: int = 0
    store_faults: int = 0
    overflowed: int = 0


def collector_link(address: Address, client_id: str) -> MqttLink:
    """The collector's link: all stations' records, with a session that the broker keeps for a day."""
    subscriptions = (topics.ANY_INSPECTIONS,)
    return MqttLink(MqttSettings(address, client_id, subscriptions, session_expiry_s=SESSION_EXPIRY_S))


class Collector:
    """Runs in the caller's thread until `stop` is called.

    Args:
        store: where records go; used by the running thread only.
        link: not started; subscribed to the stations' records, with a session that outlives a restart.
        on_ready: called, on the link's thread, whenever it has connected and subscribed.
    """

    def __init__(self, store: StoreWriter, link: Link, on_ready: Callable[[], None] | None = None) -> None:
        self.counts = CollectorCounts()
        self._store = store
        self._link = link
        self._on_ready = on_ready
        self._acks = PendingAcks()
        self._queue: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._stopping = False

    def run(self) -> None:
        """Collect until stopped; what is in hand then is committed first if the store lets it."""
        self._link.start(self)
        try:
            while not self._stopping:
                if group := self._next_group():
                    self._collect(group)
                self._send_acks()
        finally:
            self._link.stop(_STOP_LINK_S)

    def stop(self) -> None:
        """End `run` soon. May be called from a signal handler."""
        self._stopping = True
        self._queue.put(None)

    def on_connected(self, limits: Limits) -> None:  # noqa: ARG002 - acknowledgements are small
        """The link's word; see `Listener`."""
        if self._on_ready is not None:
            self._on_ready()
        self._queue.put(None)

    def on_disconnected(self, why: str) -> None:
        """The link's word; see `Listener`."""
        if not self._stopping:
            _logger.warning("the collector is offline: %s", why)

    def on_message(self, message: Message) -> None:
        """The link's word; see `Listener`. Beyond the receive limit only a broker that ignores it comes."""
        if self._queue.qsize() < _QUEUE_MESSAGES:
            self._queue.put(message)
        else:
            self.counts.overflowed += 1

    def on_answer(self, refusal: str | None) -> None:
        """The link's word; see `Listener`."""
        if refusal is not None:
            _logger.warning("the broker refused an acknowledgement: %s", refusal)
        self._queue.put(None)

    def _next_group(self) -> list[Message]:
        """Messages that are there already, up to a transaction's worth; waits a little for the first."""
        group: list[Message] = []
        try:
            came = self._queue.get(timeout=_TICK_S)
            while True:
                if came is not None:
                    group.append(came)
                if len(group) == _GROUP_MESSAGES:
                    return group
                came = self._queue.get_nowait()
        except queue.Empty:
            return group

    def _collect(self, group: list[Message]) -> None:
        intakes = [take_in(message) for message in group]
        inserted = self._commit(intakes)
        if inserted is None:
            return
        self._count(len(group), intakes, inserted)
        for message in group:
            self._link.acknowledge(message)
        self._acks.add(chain.from_iterable(intake.settled for intake in intakes), inserted.quarantined)

    def _commit(self, intakes: list[Intake]) -> Inserted | None:
        """Try until it is committed; None if stopped before."""
        records = [record for intake in intakes for record in intake.records]
        dead = [letter for intake in intakes for letter in intake.dead]
        backoff = Backoff()
        while True:
            try:
                return self._store.insert(records, dead, time.time_ns() // 1_000_000)
            except StoreError as error:
                self.counts.store_faults += 1
                _logger.error("the store fails, nothing is acknowledged: %s", error)
            if self._waits_in_vain(backoff.next_s()):
                return None

    def _waits_in_vain(self, wait_s: float) -> bool:
        until_s = time.monotonic() + wait_s
        while not self._stopping and time.monotonic() < until_s:
            time.sleep(0.05)  # a signal handler can set no event safely
        return self._stopping

    def _count(self, messages: int, intakes: list[Intake], inserted: Inserted) -> None:
        self.counts.received += messages
        self.counts.stored += inserted.stored
        self.counts.duplicates += inserted.duplicates
        self.counts.quarantined += len(inserted.quarantined)
        for letter in chain.from_iterable(intake.dead for intake in intakes):
            self.counts.dead_letters += 1
            _logger.warning("dead letter from %s: %s", letter.topic[:120], letter.reason)
        for key in inserted.quarantined:
            _logger.error("quarantined: %s came again with other content: its station must start a new epoch", key)

    def _send_acks(self) -> None:
        while (waiting := self._acks.first()) is not None:
            station, ack = waiting
            if not self._link.publish(topics.ack(station), pack_ack(ack)):
                return
            self._acks.sent(station, ack)
