"""The cloud end of the sync: takes in what stations send, commits it, and only then says so.

- A message is acknowledged to the broker and its records to the station after the commit, never before.
- While the store fails, nothing is acknowledged: the collector reports it and tries again; the stations keep all.
- No message stops it: what is not our protocol becomes a dead letter, and so does what the database refuses to hold.
- It keeps no session at the broker: what was sent to a collector that died is not kept for it there, but sent again
  by the stations, to whoever lives.
"""

import dataclasses
import logging
import queue
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloud_sync.hub import group as groups
from cloud_sync.hub.acks import PendingAcks
from cloud_sync.hub.desk import Desk, Reply
from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.plain import plain
from cloud_sync.hub.store.errors import ContentError, StoreError
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.envelopes import pack_ack
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits, Link, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

_SHARED = {
    "inspections": topics.ANY_INSPECTIONS,
    "feedback": topics.ANY_FEEDBACK,
    "samples": topics.ANY_SAMPLES,
    "drift": topics.ANY_DRIFT,
    "file": topics.ANY_FILE,
    "want": topics.ANY_WANT,
    "job": topics.ANY_JOB,
    "health": topics.ANY_HEALTH,
}

_GROUP_MESSAGES = 500
_GROUP_BYTES = 2 * 1024 * 1024
_QUEUE_BYTES = 32 * 1024 * 1024  # mosquitto 2.0 sends more than our receive limit once we acknowledge one by one
_SMALL_BYTES = 1024  # always finds room: a word of state that is left out would come again at the next connection
_RECEIVE_LIMIT = 500
_REPLIES = 10_000
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


def collector_link(endpoint: Endpoint, client_id: str) -> MqttLink:
    """The collector's link: its share of what all stations send; the broker keeps no session.

    Args:
        endpoint: the broker, and who we are there.
        client_id: our name there, which no other collector has; "" for one by chance.

    Raises:
        LinkError: the share's key cannot be read.
    """
    name = client_id or f"inspectd-collector-{uuid.uuid4().hex[:12]}"
    key = endpoint.identity.share_key() if endpoint.identity else ""
    return MqttLink(
        MqttSettings(
            endpoint.address, name, subscriptions(key), receive_limit=_RECEIVE_LIMIT, identity=endpoint.identity
        )
    )


def subscriptions(share_key: str = "") -> tuple[str, ...]:
    """What a collector hears; all that have the same key share it, and who has not cannot join them.

    The state comes first: what a station said of it is heard before what it sent after that.
    """
    shared = (topics.shared(pattern, f"{name}{share_key}") for name, pattern in _SHARED.items())
    return (topics.ANY_STATE, *shared)


class Collector:
    """Runs in the caller's thread until `stop` is called.

    Args:
        store: where records go; used by the running thread only.
        link: not started; subscribed to what the stations send.
        desks: who deals with what is no record; called on the running thread only.
        on_ready: called, on the link's thread, whenever it has connected and subscribed.
        metrics: told what is done.
        on_round: called on the running thread at least every fifth of a second, unless something hangs.
    """

    def __init__(
        self,
        store: StoreWriter,
        link: Link,
        desks: Sequence[Desk] = (),
        on_ready: Callable[[], None] | None = None,
        metrics: CollectorMetrics | None = None,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self.counts = CollectorCounts()
        self._store = store
        self._link = link
        self._desks = tuple(desks)
        self._replies: deque[Reply] = deque(maxlen=_REPLIES)  # one that falls out is asked for again by its station
        self._on_ready = on_ready
        self._on_round = on_round
        self._acks = PendingAcks()
        self._payload_limit_bytes: int | None = None
        self._desk_fault = ""
        self._queue: queue.SimpleQueue[groups.Read | None] = queue.SimpleQueue()
        self._came_bytes = 0  # into the queue, counted by the link's thread; what left it, by ours
        self._left_bytes = 0
        self._left_out: deque[Message] = deque()
        self._stopping = False
        self._lost_s: float | None = None
        self.connected = False
        self._metrics = metrics or CollectorMetrics()
        self._metrics.ask("link_connected", "1 while the broker answers.", lambda: float(self.connected))
        self._metrics.ask("acks_waiting", "Records whose stations are still to be told.", lambda: self._acks.held)
        self._metrics.ask("queue_messages", "Messages that wait for their transaction.", self._queue.qsize)

    def run(self) -> None:
        """Collect until stopped; what is in hand then is committed first if the store lets it."""
        self._link.start(self)
        try:
            while not self._stopping:
                self._on_round()
                if group := self._next_group():
                    self._collect(group)
                self._release_left_out()
                self._send_acks()
                self._send_replies()
                for desk in self._desks:
                    self._work(desk)
        finally:
            self._link.stop(_STOP_LINK_S)

    def stop(self) -> None:
        """End `run` soon. May be called from a signal handler."""
        self._stopping = True
        self._queue.put(None)

    def on_connected(self, limits: Limits) -> None:
        """The link's word; see `Listener`."""
        self._payload_limit_bytes = limits.payload_bytes
        if self._lost_s is not None:
            _logger.warning("the broker is back after %.1f s", time.monotonic() - self._lost_s)
        self.connected, self._lost_s = True, None
        if self._on_ready is not None:
            self._on_ready()
        self._queue.put(None)

    def on_disconnected(self, why: str) -> None:
        """The link's word; see `Listener`."""
        self.connected = False
        if self._lost_s is None and not self._stopping:  # said once, however often it is tried again
            self._lost_s = time.monotonic()
            self._metrics.link_lost()
            _logger.warning("the broker is lost: %s", why)

    def on_message(self, message: Message) -> None:
        """The link's word; see `Listener`. What finds no room is left out, and its station sends it again."""
        size_bytes = len(message.payload)
        if size_bytes <= _SMALL_BYTES or self._came_bytes - self._left_bytes + size_bytes <= _QUEUE_BYTES:
            self._came_bytes += size_bytes
            self._queue.put(groups.read(message))  # here, so that it goes on while the disk is waited for
        else:
            self.counts.overflowed += 1
            self._left_out.append(dataclasses.replace(message, payload=b""))

    def on_answer(self, refusal: str | None) -> None:
        """The link's word; see `Listener`."""
        if refusal is not None:
            _logger.warning("the broker refused an acknowledgement: %s", refusal)
        self._queue.put(None)

    def _next_group(self) -> list[groups.Read]:
        """Messages that are there already, up to a transaction's worth; waits a little for the first."""
        group: list[groups.Read] = []
        size_bytes = 0
        try:
            came = self._queue.get(timeout=_TICK_S)
            while True:
                if came is not None:
                    group.append(came)
                    size_bytes += len(came.message.payload)
                if len(group) == _GROUP_MESSAGES or size_bytes >= _GROUP_BYTES:
                    return group
                came = self._queue.get_nowait()
        except queue.Empty:
            return group
        finally:
            self._left_bytes += size_bytes

    def _release_left_out(self) -> None:
        """Tell the broker, once there is room, that what was left out is over.

        It counts as under way there until then, and a broker that has our receive limit under way sends nothing more.
        No station deletes a record for it.
        """
        while self._left_out and self._came_bytes - self._left_bytes <= _QUEUE_BYTES // 2:
            self._link.acknowledge(self._left_out.popleft())

    def _collect(self, group: list[groups.Read]) -> None:
        begun_s = time.monotonic()
        try:
            taken = self._commit(groups.sort(group, self._desks))
        except ContentError as error:
            if len(group) > 1:  # one of them holds what the database refuses: find it, and keep the others
                for item in group:
                    self._collect([item])
                return
            taken = self._refuse(group[0].message, error)
        if taken is not None:
            self._metrics.committed(len(group), taken, time.monotonic() - begun_s, _now_ms())
            self._settle([item.message for item in group], taken)

    def _refuse(self, message: Message, error: ContentError) -> groups.Taken | None:
        """Keep a message that the database does not take as a dead letter; nothing of it is settled."""
        try:
            return self._commit(groups.refused(message, str(error)))
        except ContentError:
            _logger.exception("a message from %s can be kept in no form", plain(message.topic[:120]))
            return groups.NOTHING

    def _settle(self, messages: list[Message], taken: groups.Taken) -> None:
        self._count(len(messages), taken)
        for message in messages:
            self._link.acknowledge(message)
        self._acks.add(taken.settled, taken.inserted.quarantined)
        self._replies.extend(taken.replies)

    def _commit(self, group: groups.Sorted) -> groups.Taken | None:
        """Try until it is committed; None if stopped before. Raises ContentError where to try again is in vain."""
        backoff = Backoff()
        while True:
            self._on_round()
            try:
                return self._store.commit(lambda connection: groups.take(connection, group, _now_ms()))
            except ContentError:
                raise
            except StoreError as error:
                self.counts.store_faults += 1
                self._metrics.store_failed()
                _logger.error("the store fails, nothing is acknowledged: %s", error)
            except Exception as error:
                _logger.exception("a group could not be written")
                raise ContentError(f"could not be written: {error!r}") from error
            if self._waits_in_vain(backoff.next_s()):
                return None

    def _waits_in_vain(self, wait_s: float) -> bool:
        until_s = time.monotonic() + wait_s
        while not self._stopping and time.monotonic() < until_s:
            self._on_round()
            time.sleep(0.05)  # a signal handler can set no event safely
        return self._stopping

    def _count(self, messages: int, taken: groups.Taken) -> None:
        self.counts.received += messages
        self.counts.stored += taken.inserted.stored
        self.counts.duplicates += taken.inserted.duplicates
        self.counts.quarantined += len(taken.inserted.quarantined)
        self.counts.dead_letters += len(taken.dead)
        _report(taken)

    def _send_acks(self) -> None:
        while (waiting := self._acks.first(self._payload_limit_bytes)) is not None:
            station, ack = waiting
            if not self._publish(Reply(topics.ack(station), pack_ack(ack))):
                return
            self._acks.sent(station, ack)

    def _send_replies(self) -> None:
        while self._replies and self._publish(self._replies[0]):
            self._replies.popleft()

    def _work(self, desk: Desk) -> None:
        """A defect at one desk stops no other and no records; it is reported once, until it changes."""
        try:
            desk.work(self._publish)
        except Exception as error:
            if (said := f"{type(error).__name__}: {error}") != self._desk_fault:
                self._desk_fault = said
                _logger.exception("%s failed at its work", type(desk).__name__)

    def _publish(self, reply: Reply) -> bool:
        """Whether it need not be sent any more."""
        try:
            return self._link.publish(reply.topic, reply.payload, retain=reply.retain)
        except LinkError as error:
            _logger.error("a reply is left out: %s", error)
            return True


def _report(taken: groups.Taken) -> None:
    """Say what came wrong; what is beyond the limit of an hour is only counted, or the log would fill the disk."""
    dropped = set(taken.inserted.dropped)
    for letter in taken.dead:
        if letter not in dropped:
            _logger.warning("dead letter from %s: %s", plain(letter.topic[:120]), plain(letter.reason))
    reused = Counter(key[:3] for key in taken.inserted.quarantined)
    for (station, epoch, stream), count in reused.items():
        _logger.error(
            "quarantined %d %s of %s epoch %s: they came again with other content; it is told to begin a new epoch",
            count,
            stream,
            station,
            epoch,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
