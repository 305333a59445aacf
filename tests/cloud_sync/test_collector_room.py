"""A burst of many small messages finds room in a collector; one that would fill its memory does not."""

from pathlib import Path

from cloud_sync.hub.collector import Collector
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire.link import Message
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker

TOPIC = "inspectd/v1/press-3/up/inspections"


def test_small_messages_find_room_by_the_thousand_and_large_ones_an_end(tmp_path: Path) -> None:
    with StoreWriter(str(tmp_path / "cloud.db")) as writer:
        collector = Collector(writer, MemoryLink(MemoryBroker(), "hub"))
        for _ in range(5_000):
            collector.on_message(Message(TOPIC, b"x" * 900))
        assert collector.counts.overflowed == 0
        for _ in range(1_000):
            collector.on_message(Message(TOPIC, b"x" * 64 * 1024))
        assert 0 < collector.counts.overflowed < 1_000
