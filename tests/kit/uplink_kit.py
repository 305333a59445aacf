"""What tests of the uplink share: an outbox, a link that breaks on one payload, somebody who acknowledges all."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from outboxes import EPOCH, STATION, SqliteOutbox

from cloud_sync.station.connection import OFFLINE, station_link, subscriptions
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.envelopes import Ack, pack_ack, to_ranges, unpack_batch
from cloud_sync.wire.link import Address, Limits, Message
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings
from cloud_sync.wire.outbox import OutboxRow, Stream

QUICK = UplinkSettings(resend_after_s=0.3, resend_most_s=1.0, poll_s=0.02, settle_s=0.01, gather_s=0.001)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[SqliteOutbox]:
    box = SqliteOutbox(tmp_path / "outbox.db")
    yield box
    box.close()


class BreakingLink(MemoryLink):
    """A link that dies, unanswered, whenever a payload holds the poison, or a topic takes nothing."""

    def __init__(self, broker: MemoryBroker, poison: bytes = b"", closed_topic: str = "") -> None:
        will = Message(topics.state(STATION), OFFLINE)
        super().__init__(broker, "station", subscriptions(STATION), will=will)
        self.poison = poison
        self.closed_topic = closed_topic
        self.breaks = 0

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if not (self.poison and self.poison in payload) and topic != self.closed_topic:
            return super().publish(topic, payload, retain=retain)
        if not self._connection.take_place():
            return False
        self.breaks += 1
        self.break_off("the connection was reset")
        return True


class Collector:
    """Hears every batch and, while `answers`, acknowledges it; keeps the topics in the order in which they came."""

    def __init__(self, make_link: Callable[[tuple[str, ...]], MemoryLink | MqttLink]) -> None:
        self.answers = True
        self.topics: list[str] = []
        self.records: list[tuple[Stream, int]] = []
        self.said: list[Message] = []
        self.ready = threading.Event()
        self.link = make_link((f"inspectd/v1/{STATION}/up/#",))

    def on_connected(self, _limits: Limits) -> None:
        self.ready.set()

    def on_disconnected(self, why: str) -> None:
        pass

    def on_answer(self, refusal: str | None) -> None:
        pass

    def on_message(self, message: Message) -> None:
        self.link.acknowledge(message)
        subject = topics.parse(message.topic).subject
        self.topics.append(subject)
        if subject not in {"inspections", "feedback"}:
            self.said.append(message)
            return
        batch = unpack_batch(message.payload)
        seqs = [json.loads(payload)["seq"] for payload in batch.payloads]
        self.records += [(batch.stream, seq) for seq in seqs]
        if self.answers:
            self.link.publish(topics.ack(STATION), pack_ack(Ack(batch.stream, EPOCH, to_ranges(seqs))))

    def of(self, subject: str) -> list[bytes]:
        return [message.payload for message in self.said if message.topic.endswith(f"/up/{subject}")]


@contextmanager
def collector_at(broker: MemoryBroker | Address) -> Iterator[Collector]:
    def link(wanted: tuple[str, ...]) -> MemoryLink | MqttLink:
        if isinstance(broker, MemoryBroker):
            return MemoryLink(broker, "collector", wanted)
        return MqttLink(MqttSettings(broker, "collector", wanted))

    made = Collector(link)
    made.link.start(made)
    assert made.ready.wait(10)
    yield made
    made.link.stop(3.0)


def uplink_to(broker: LocalBroker, outbox: SqliteOutbox, settings: UplinkSettings = QUICK) -> Uplink:
    return Uplink(station=STATION, outbox=outbox, link=station_link(STATION, broker.address), settings=settings)


def padded(row: OutboxRow, size_bytes: int) -> OutboxRow:
    """The same record with a longer part id."""
    content = json.loads(row.payload)
    content["part_id"] += "x" * max(0, size_bytes - len(row.payload))
    payload = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return OutboxRow(row.stream, row.seq, payload, row.epoch)
