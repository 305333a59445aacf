import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa
from brokers import eventually
from clouds import CloudThread, stored
from outboxes import AT, EPOCH, STATION, hashes, inspection
from senders import Sender, sender
from stores import ask

from cloud_sync.hub.collector import Collector
from cloud_sync.hub.desk import Publish, Reply
from cloud_sync.hub.store.tables import stations
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch, unpack_ack
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker

T = TypeVar("T")

EVERYTHING = ("inspectd/v1/+/up/#",)
ECHO = f"inspectd/v1/{STATION}/down/file-ack"


class EchoDesk:
    """Notes in the stations' table whom it heard, answers, and fails on demand after it has written."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.worked = 0

    def takes(self, subject: str) -> bool:
        return subject.startswith("file/")

    def take(
        self, connection: sa.Connection, station: str, subject: str, payload: bytes, at_ms: int
    ) -> Sequence[Reply]:
        row = {"station": payload.decode(), "first_seen_at_ms": at_ms, "last_seen_at_ms": at_ms, "duplicates": 7}
        connection.execute(sa.insert(stations), row)
        if self.fault is not None:
            raise self.fault
        return [Reply(topics.file_ack(station), subject.encode())]

    def work(self, publish: Publish) -> None:  # noqa: ARG002 - nothing takes long here
        self.worked += 1


@contextlib.contextmanager
def collecting(place: Path, desk: EchoDesk) -> Iterator[tuple[Collector, Sender]]:
    broker = MemoryBroker()
    link = MemoryLink(broker, "collector", EVERYTHING)
    with CloudThread(place, link, desks=[desk]) as collector, sender(broker, (ECHO, topics.ack(STATION))) as sending:
        eventually(lambda: collector.connected)
        yield collector, sending


def batch() -> bytes:
    return pack_batch(STATION, EPOCH, [inspection(1)], AT)


def noted(place: Path) -> set[str]:
    engine = sa.create_engine(f"sqlite:///{place}")
    with engine.connect() as connection:
        found = set(connection.scalars(sa.select(stations.c.station)))
    engine.dispose()
    return found


def test_a_desk_writes_with_the_records_and_answers_after_the_commit(tmp_path: Path) -> None:
    place = tmp_path / "store.db"
    with collecting(place, EchoDesk()) as (_, sending):
        sending.send(topics.file_chunk(STATION, "a" * 64, 0), b"press-8")
        eventually(lambda: sending.heard)
        assert noted(place) == {"press-8", STATION}

    heard = [(came.topic, came.payload) for came in sending.heard]
    assert heard == [(ECHO, f"file/{'a' * 64}/0".encode())]


@pytest.mark.parametrize(
    "fault", [LinkError("no protocol of ours"), RuntimeError("a defect")], ids=["refused", "defect"]
)
def test_what_a_desk_refuses_is_a_dead_letter_and_leaves_nothing_behind(tmp_path: Path, fault: Exception) -> None:
    place = tmp_path / "store.db"
    with collecting(place, EchoDesk(fault)) as (collector, sending):
        sending.send(topics.file_chunk(STATION, "a" * 64, 0), b"press-8")
        sending.send(topics.inspections(STATION), batch())
        eventually(lambda: collector.counts.received == 2)

    assert collector.counts.dead_letters == 1
    assert noted(place) == {STATION}
    assert stored(place) == hashes([inspection(1)])


def test_a_message_that_the_database_refuses_holds_up_no_other(tmp_path: Path) -> None:
    place = tmp_path / "store.db"
    with collecting(place, EchoDesk()) as (collector, sending):
        for _ in range(3):  # the second has a primary key that is taken
            sending.send(topics.file_chunk(STATION, "a" * 64, 0), b"press-8")
        sending.send(topics.inspections(STATION), batch())
        eventually(lambda: collector.counts.received == 4)

    assert (collector.counts.dead_letters, collector.counts.store_faults) == (2, 0)
    assert stored(place) == hashes([inspection(1)])


def test_a_record_that_the_database_refuses_is_a_dead_letter_and_the_others_of_its_group_are_stored(
    tmp_path: Path,
) -> None:
    place = tmp_path / "store.db"
    with collecting(place, EchoDesk()) as (collector, sending):
        with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as database:
            database.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.part_id = 'poison'"
                " BEGIN SELECT RAISE(ABORT, 'no such part'); END"
            )
            database.execute("BEGIN IMMEDIATE")  # what comes meanwhile becomes one group
            for row in (inspection(1), inspection(2), inspection(3, part_id="poison"), inspection(4)):
                sending.send(topics.inspections(STATION), pack_batch(STATION, EPOCH, [row], AT))
            database.execute("COMMIT")
        eventually(lambda: collector.counts.received == 4)
        eventually(lambda: {1, 2, 4} <= {seq for came in sending.heard for seq in seqs(came.payload)})

    assert stored(place) == hashes([inspection(1), inspection(2), inspection(4)])
    assert [reason for (reason,) in ask(str(place), "SELECT reason FROM dead_letters") if "no such part" in str(reason)]
    acknowledged = {seq for came in sending.heard for seq in seqs(came.payload)}
    assert acknowledged == {1, 2, 4}


class Defective(StoreWriter):
    """Has a defect that only the second of a batch's records meets."""

    def commit(self, write: Callable[[sa.Connection], T]) -> T:
        def checked(connection: sa.Connection) -> T:
            done = write(connection)
            if connection.scalar(sa.text("SELECT count(*) FROM records WHERE part_id = 'poison'")):
                raise TypeError("a defect of ours")
            return done

        return super().commit(checked)


def test_a_defect_at_one_message_ends_in_a_dead_letter_not_in_the_collectors_end(tmp_path: Path) -> None:
    place, broker = tmp_path / "store.db", MemoryBroker()
    with Defective(str(place)) as store, sender(broker) as sending:
        collector = Collector(store, MemoryLink(broker, "collector", EVERYTHING))
        thread = threading.Thread(target=collector.run)
        thread.start()
        eventually(lambda: collector.connected)
        for row in (inspection(1), inspection(2, part_id="poison"), inspection(3)):
            sending.send(topics.inspections(STATION), pack_batch(STATION, EPOCH, [row], AT))
        eventually(lambda: collector.counts.received == 3)
        collector.stop()
        thread.join(10)

    assert stored(place) == hashes([inspection(1), inspection(3)])
    assert collector.counts.dead_letters == 1


def seqs(payload: bytes) -> list[int]:
    return [seq for item in unpack_ack(payload).ranges for seq in range(item.first, item.last + 1)]


UNKNOWN = [
    pytest.param(topics.inspections(STATION) + "/more", id="a subject of nobody"),
    pytest.param("inspectd/v1/Press/up/inspections", id="a station that cannot be"),
    pytest.param("inspectd/v1/press-3/up/samples", id="a subject to come"),
]


@pytest.mark.parametrize("topic", UNKNOWN)
def test_a_message_for_nobody_is_a_dead_letter(tmp_path: Path, topic: str) -> None:
    with collecting(tmp_path / "store.db", EchoDesk()) as (collector, sending):
        sending.send(topic, b"x")
        eventually(lambda: collector.counts.dead_letters == 1)


def test_a_message_beyond_every_limit_is_not_even_read(tmp_path: Path) -> None:
    place = tmp_path / "store.db"
    with collecting(place, EchoDesk()) as (collector, sending):
        sending.send(topics.file_chunk(STATION, "a" * 64, 0), b"x" * 65_537)
        eventually(lambda: collector.counts.dead_letters == 1)

    assert noted(place) == {STATION}


def test_a_desk_gets_its_turn_without_messages(tmp_path: Path) -> None:
    desk = EchoDesk()
    with collecting(tmp_path / "store.db", desk):
        eventually(lambda: desk.worked > 1)
