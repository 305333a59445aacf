"""A broker that takes little at a time, and one that counts what it gave: neither stops a collector."""

from pathlib import Path

import sqlalchemy as sa
from brokers import eventually
from clouds import CloudThread, stored
from outboxes import AT, EPOCH, STATION, inspection
from senders import sender
from stores import engine

from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch, split, unpack_ack
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker

LIMIT_BYTES = 2_000
TOPIC = topics.inspections(STATION)


def test_acknowledgements_fit_a_broker_of_small_messages(tmp_path: Path) -> None:
    broker = MemoryBroker(limits=Limits(LIMIT_BYTES, 20))
    seqs = range(1, 1_000, 2)  # no two of them make a range
    hub = CloudThread(tmp_path / "cloud.db", MemoryLink(broker, "hub"))
    for run in split(inspection(seq) for seq in seqs):
        hub.collector.on_message(Message(TOPIC, pack_batch(STATION, EPOCH, run, AT)))

    with sender(broker, (topics.ack(STATION),)) as station, hub:
        eventually(lambda: sum(len(unpack_ack(heard.payload).ranges) for heard in station.heard) == len(seqs))
    assert len(stored(tmp_path / "cloud.db")) == len(seqs)


class CountingLink(MemoryLink):
    """Counts what the broker is told to be done with."""

    done = 0

    def acknowledge(self, message: Message) -> None:
        self.done += 1
        super().acknowledge(message)


def test_what_found_no_room_takes_no_place_at_the_broker_for_ever(tmp_path: Path) -> None:
    place = str(tmp_path / "cloud.db")
    broker = MemoryBroker()
    link = CountingLink(broker, "hub", (topics.ANY_INSPECTIONS,), receive_limit=300)
    hub = CloudThread(place, link)
    with engine(place).connect() as busy, sender(broker) as station, hub as collector:
        busy.execute(sa.text("BEGIN IMMEDIATE"))
        eventually(lambda: collector.connected)
        for _ in range(200):
            station.send(TOPIC, b"x" * 250 * 1024)
        eventually(lambda: collector.counts.overflowed > 0)
        busy.rollback()
        eventually(lambda: link.done == 200)
