"""Signed metadata down the sync: the hub's desk and the station's channel, over a way that loses what it is told to."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from brokers import eventually
from clouds import CloudProcess
from file_kit import LIMITS, STATION, Cloud, Way, picture
from outboxes import SqliteOutbox
from stores import engine
from trust_kit import about, archive_of

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.release_desk import ReleaseDesk
from cloud_sync.hub.files.want_desk import WantDesk
from cloud_sync.hub.store.trust_tables import trust_files
from cloud_sync.hub.trust.metadata_desk import MetadataDesk
from cloud_sync.hub.trust.publishing import begin, publish_release, rotate
from cloud_sync.station.connection import station_link
from cloud_sync.station.metadata import MetadataChannel, MetadataPace
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import BLOCK_BYTES, Want
from models.trust.errors import ForgedError
from models.trust.keys import TrustKeys
from models.trust.verifying import TrustStore

QUICK = MetadataPace(1.0, 4.0, 15.0)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "cloud.db", lambda place: [Both(place, FolderBlobs(tmp_path / "blobs"))])
    yield made
    made.close()


class Both(WantDesk):
    """As the collector has them."""

    def __init__(self, place: str, blobs: FolderBlobs) -> None:
        self.parts = MetadataDesk(place), ReleaseDesk(place, blobs)
        super().__init__(*self.parts)

    def close(self) -> None:
        for part in self.parts:
            part.close()


def keep(cloud: Cloud, role: str, version: int, content: bytes) -> None:
    with cloud.engine.begin() as connection:
        row = {"role": role, "version": version, "payload": content, "made_at_ms": 1}
        connection.execute(sa.insert(trust_files).values(**row))


def asked(channel: MetadataChannel, name: str, limit_bytes: int = 10**6) -> Future[bytes | None]:
    """The question on a thread of its own, under way."""
    thread = ThreadPoolExecutor(1)
    future = thread.submit(channel.fetch, name, limit_bytes)
    thread.shutdown(wait=False)
    eventually(lambda: future.done() or channel.is_asking)
    return future


def answered(way: Way, name: str, limit_bytes: int = 10**6) -> bytes | None:
    assert isinstance(way.passenger, MetadataChannel)
    future = asked(way.passenger, name, limit_bytes)
    way.until(future.done)
    return future.result()


SIZES = [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 4 * BLOCK_BYTES, 9 * BLOCK_BYTES + 5]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_file_of_any_size_comes_to_the_byte(cloud: Cloud, size_bytes: int) -> None:
    keep(cloud, "targets", 7, picture(size_bytes))
    way = Way(MetadataChannel(STATION, QUICK), cloud)
    assert answered(way, "7.targets.json") == picture(size_bytes)
    assert answered(way, "7.targets.json", size_bytes) == picture(size_bytes)


def test_each_database_gives_a_file_to_the_byte(place: str, tmp_path: Path) -> None:
    cloud = Cloud(place, lambda at: [Both(at, FolderBlobs(tmp_path / "blobs"))])
    try:
        keep(cloud, "targets", 3, picture(5 * BLOCK_BYTES))
        way = Way(MetadataChannel(STATION, QUICK), cloud)
        assert answered(way, "3.targets.json") == picture(5 * BLOCK_BYTES)
        assert answered(way, "4.targets.json") is None
    finally:
        cloud.close()


def test_the_newest_timestamp_is_the_one_that_is_served(cloud: Cloud) -> None:
    for version in (9, 10, 8):
        keep(cloud, "timestamp", version, b"%d" % version)
    assert answered(Way(MetadataChannel(STATION, QUICK), cloud), "timestamp.json") == b"10"


@pytest.mark.parametrize(
    "name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.other.json", "0.root.json", "x"]
)
def test_what_there_is_not_is_said_and_not_waited_for(cloud: Cloud, name: str) -> None:
    keep(cloud, "root", 1, b"first")
    assert answered(Way(MetadataChannel(STATION, QUICK), cloud), name) is None


def test_whatever_gets_lost_repeated_or_comes_late_the_file_is_whole(cloud: Cloud) -> None:
    chance, content = Random(4), picture(9 * BLOCK_BYTES + 5)
    keep(cloud, "root", 1, content)
    channel = MetadataChannel(STATION, MetadataPace(1.0, 2.0, 60.0))
    way = Way(channel, cloud, lambda _topic: chance.random() < 0.3)
    future = asked(channel, "1.root.json")

    def disturbed() -> bool:
        number = chance.randrange(12)
        channel.hear(f"block/tuf.9.root.json/{number}", b"of another file")
        if number > 9:
            channel.begin(LIMITS)
        return future.done()

    way.until(disturbed, 60.0)
    assert future.result() == content


def test_endless_data_ends_at_the_limit_and_is_held_no_further(cloud: Cloud) -> None:
    keep(cloud, "timestamp", 1, picture(40 * BLOCK_BYTES))
    channel = MetadataChannel(STATION, QUICK)
    way = Way(channel, cloud)
    future = asked(channel, "timestamp.json", 3 * BLOCK_BYTES + 7)
    with pytest.raises(LinkError, match="has more than the 98311 bytes"):  # noqa: PT012 - until it does
        while not future.done():
            way.step()
    with pytest.raises(LinkError, match="has more than"):
        future.result(5)
    wants = [Want.model_validate_json(payload) for topic, payload in way.sent if topic.endswith("/want")]
    assert max(want.offset + want.count * BLOCK_BYTES for want in wants) == 4 * BLOCK_BYTES


def test_a_block_of_more_than_a_block_ends_it(cloud: Cloud) -> None:
    channel = MetadataChannel(STATION, QUICK)
    future = asked(channel, "timestamp.json")
    Way(channel, cloud).passenger.begin(LIMITS)
    with pytest.raises(LinkError):
        channel.hear("block/tuf.timestamp.json/0", bytes(BLOCK_BYTES + 1))
    with pytest.raises(LinkError, match="has more than"):
        future.result(5)


def test_whatever_blocks_come_the_uplink_is_told_of_a_fault_and_never_hurt(cloud: Cloud) -> None:
    chance, channel = Random(8), MetadataChannel(STATION, QUICK)
    way = Way(channel, cloud)
    future = asked(channel, "timestamp.json", 100_000)
    for _ in range(3000):
        length = chance.choice([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 200_000])
        name = chance.choice(["tuf.timestamp.json", "tuf.", "tuf.1.root.json", "cells"])
        number = chance.choice(["0", "1", "2", "-1", "", "0/0", "999999999999"])
        with contextlib.suppress(LinkError):
            channel.hear(f"block/{name}/{number}", bytes(length))
        if future.done():
            with contextlib.suppress(LinkError):
                assert len(future.result() or b"") <= 100_000
            future = asked(channel, "timestamp.json", 100_000)
    keep(cloud, "timestamp", 1, b"newest")
    channel.close()
    with contextlib.suppress(LinkError):
        assert len(future.result(5) or b"") <= 100_000
    assert answered(Way(MetadataChannel(STATION, QUICK), cloud), "timestamp.json") == b"newest"
    assert way.sent == []


def test_no_answer_is_waited_for_no_longer_than_was_said() -> None:
    channel = MetadataChannel(STATION, MetadataPace(answer_s=0.05))
    with pytest.raises(LinkError, match=r"no answer within 0\.05 s"):
        channel.fetch("timestamp.json", 100)


def test_a_station_that_stops_ends_whoever_waits() -> None:
    channel = MetadataChannel(STATION)
    future = asked(channel, "timestamp.json")
    channel.close()
    with pytest.raises(LinkError, match="the station stops"):
        future.result(5)
    with pytest.raises(LinkError, match="the station stops"):
        channel.fetch("timestamp.json", 100)


def test_the_uplink_is_told_of_a_question_and_need_not_look(cloud: Cloud) -> None:
    keep(cloud, "timestamp", 1, b"newest")
    channel, told = MetadataChannel(STATION, QUICK), threading.Event()
    channel.on_question = told.set
    future = asked(channel, "timestamp.json")
    assert told.wait(20)
    Way(channel, cloud).until(future.done)
    assert future.result() == b"newest"


def test_two_that_ask_wait_for_each_other(cloud: Cloud) -> None:
    keep(cloud, "root", 1, b"one")
    keep(cloud, "root", 2, b"two")
    channel = MetadataChannel(STATION, QUICK)
    futures = [asked(channel, f"{version}.root.json") for version in (1, 2)]
    Way(channel, cloud).until(lambda: all(future.done() for future in futures))
    assert [future.result() for future in futures] == [b"one", b"two"]


def test_the_uplinks_thread_waits_for_nobody(cloud: Cloud) -> None:
    """While another thread waits for its answer, each call comes back at once: no lock is kept while waiting."""
    channel = MetadataChannel(STATION, QUICK)
    future = asked(channel, "timestamp.json")
    done = threading.Event()

    def ride() -> None:
        channel.begin(LIMITS)
        channel.work(0.0, lambda _topic, _payload: False)
        channel.hear("block/tuf.other/0", b"")
        done.set()

    threading.Thread(target=ride).start()
    assert done.wait(20)
    assert not future.done()
    channel.close()
    assert channel.hear("block/cells-v1.bundle/0", b"") is False
    assert cloud.said == cloud.said.__class__()


def test_a_station_with_a_release_on_its_way_is_given_metadata_beside_it(cloud: Cloud) -> None:
    keep(cloud, "timestamp", 1, b"newest")
    cloud.take(topics.want(STATION), Want(name="cells-v7.bundle", offset=0, count=4).pack())
    cloud.take(topics.want(STATION), Want(name="tuf.timestamp.json", offset=0, count=1).pack())
    eventually(lambda: cloud.work() or cloud.said)
    assert [(reply.topic, reply.payload) for reply in cloud.said] == [
        (topics.block(STATION, "tuf.timestamp.json", 0), b"newest")
    ]


def test_a_store_that_fails_is_asked_once_a_round_and_answers_again(cloud: Cloud) -> None:
    keep(cloud, "timestamp", 1, b"newest")
    with cloud.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE trust_files RENAME TO away"))
    for number in range(3):
        cloud.take(topics.want(f"s{number}"), Want(name="tuf.timestamp.json", offset=0, count=1).pack())
    desk = cloud.desks[0]
    assert isinstance(desk, Both)
    cloud.work()
    assert (desk.parts[0].waiting, len(cloud.said)) == (2, 0)
    with cloud.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO trust_files"))
    cloud.work()
    assert [reply.payload for reply in cloud.said] == [b"newest", b"newest"]


def test_a_flood_of_questions_is_held_no_further_than_one_of_each_station(cloud: Cloud) -> None:
    keep(cloud, "targets", 1, picture(100))
    for number in range(1200):
        for _ in range(2):
            cloud.take(topics.want(f"s{number}"), Want(name="tuf.1.targets.json", offset=0, count=16).pack())
    desk = cloud.desks[0]
    assert isinstance(desk, Both)
    before_s = time.monotonic()
    said = []
    while time.monotonic() - before_s < 60:
        held = len(said)
        desk.work(lambda reply: bool(said.append(reply.topic)) or True)
        if len(said) == held and not desk.parts[0].waiting:
            break
    assert len(said) == 1000  # the oldest 200 ask again


@pytest.fixture
def released(tmp_path: Path) -> Callable[[int], None]:
    """Begins a cloud and signs releases in it."""
    keys, place = TrustKeys(tmp_path / "keys", b"nine small boats"), str(tmp_path / "cloud.db")
    begin(place, keys)
    rotate(place, keys, "root")

    def release(version: int) -> None:
        archive, what = archive_of(tmp_path / "made", about(version))
        publish_release(place, FolderBlobs(tmp_path / "cloud.blobs"), keys, archive, what)

    return release


def served(tmp_path: Path, role: str, version: int) -> bytes:
    with engine(str(tmp_path / "cloud.db")).connect() as connection:
        wanted = trust_files.c.role == role, trust_files.c.version == version
        return bytes(connection.scalars(sa.select(trust_files.c.payload).where(*wanted)).one())


def serve(tmp_path: Path, role: str, version: int, content: bytes) -> None:
    """Whoever holds the store, and no key, changes what is served."""
    with engine(str(tmp_path / "cloud.db")).begin() as connection:
        wanted = trust_files.c.role == role, trust_files.c.version == version
        connection.execute(sa.update(trust_files).where(*wanted).values(payload=content))


def test_a_station_learns_over_a_real_broker_what_was_signed(
    broker: LocalBroker, tmp_path: Path, released: Callable[[int], None]
) -> None:
    broker.start()
    collector = CloudProcess(broker.address, tmp_path / "cloud.db")
    collector.start()
    released(1)
    pinned = served(tmp_path, "root", 1)
    channel = MetadataChannel(STATION, MetadataPace(0.5, 2.0, 20.0))
    settings = UplinkSettings(resend_after_s=0.5, resend_most_s=2.0, poll_s=0.2)
    outbox = SqliteOutbox(tmp_path / "outbox.db")
    try:
        with Uplink(
            station=STATION,
            outbox=outbox,
            link=station_link(STATION, broker.address),
            settings=settings,
            passengers=[channel],
        ) as uplink:
            channel.on_question = uplink.notify
            store = TrustStore(tmp_path / "trust", pinned)
            store.refresh(channel.fetch)
            assert store.admitted("cells-v1.bundle", STATION, ["cells"])
            released(2)
            broker.kill()
            broker.start()  # what is asked meanwhile is asked again
            store.refresh(channel.fetch)
            assert store.admitted("cells-v2.bundle", STATION, ["cells"])
            released(3)
            serve(tmp_path, "targets", 4, served(tmp_path, "targets", 4).replace(b"cells-v1", b"cells-v0"))
            with pytest.raises(ForgedError, match="not to be believed"):
                store.refresh(channel.fetch)
    finally:
        channel.close()
        collector.stop()


def test_who_is_called_away_waits_for_no_answer() -> None:
    called = threading.Event()
    channel = MetadataChannel(STATION, MetadataPace(answer_s=600.0))
    channel.unwanted = called.is_set
    question = asked(channel, "timestamp.json")
    called.set()
    with pytest.raises(LinkError, match="something else comes first"):
        question.result(10)
