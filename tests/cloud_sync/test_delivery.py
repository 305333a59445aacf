"""Nothing lost, nothing twice: station to store over real brokers and processes, while things break."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudProcess, stored
from outboxes import STATION, SqliteOutbox, hashes, images, inspection, outcome

from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.station.connection import station_link
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.outbox import OutboxRow

QUICK = UplinkSettings(resend_after_s=0.5, resend_most_s=2.0, poll_s=0.1)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[SqliteOutbox]:
    box = SqliteOutbox(tmp_path / "outbox.db")
    yield box
    box.close()


@pytest.fixture
def cloud(broker: LocalBroker, tmp_path: Path) -> Iterator[CloudProcess]:
    process = CloudProcess(broker.address, tmp_path / "store.db")
    yield process
    process.kill()


@pytest.fixture
def uplink(broker: LocalBroker, outbox: SqliteOutbox) -> Iterator[Uplink]:
    made = Uplink(station=STATION, outbox=outbox, link=station_link(STATION, broker.address), settings=QUICK)
    yield made
    made.stop()


def test_2000_records_arrive_once_each_with_equal_hashes(
    broker: LocalBroker, cloud: CloudProcess, outbox: SqliteOutbox, uplink: Uplink, tmp_path: Path
) -> None:
    rows = [*map(inspection, range(1, 1001)), *map(outcome, range(1, 801)), *map(images, range(1, 201))]
    broker.start()
    cloud.start()
    uplink.start()
    for start in range(0, len(rows), 100):
        outbox.add(rows[start : start + 100])
        uplink.notify()

    eventually(lambda: outbox.count() == 0)

    assert stored(tmp_path / "store.db") == hashes(rows)
    assert uplink.status().acknowledged == 2000
    assert cloud.stop() == 0


def test_a_record_is_sent_at_once_when_notified(
    broker: LocalBroker, cloud: CloudProcess, outbox: SqliteOutbox, tmp_path: Path
) -> None:
    slow = UplinkSettings(poll_s=60.0)
    broker.start()
    cloud.start()
    with Uplink(station=STATION, outbox=outbox, link=station_link(STATION, broker.address), settings=slow) as uplink:
        eventually(lambda: uplink.status().connected)
        for seq in range(1, 6):
            outbox.add([inspection(seq)])
            uplink.notify()
            eventually(lambda: outbox.count() == 0)

    assert len(stored(tmp_path / "store.db")) == 5


def test_a_broker_that_comes_late_is_waited_for_by_both_ends(
    broker: LocalBroker, cloud: CloudProcess, outbox: SqliteOutbox, uplink: Uplink, tmp_path: Path
) -> None:
    rows = [inspection(seq) for seq in range(1, 51)]
    outbox.add(rows)
    cloud.start(awaited=False)
    uplink.start()
    eventually(lambda: uplink.status().last_error)
    assert outbox.count() == 50

    broker.start()

    assert cloud.next_event()["event"] == "ready"
    eventually(lambda: outbox.count() == 0)
    assert stored(tmp_path / "store.db") == hashes(rows)


def feed(outbox: SqliteOutbox, uplink: Uplink, seqs: range) -> list[OutboxRow]:
    rows = [inspection(seq) for seq in seqs]
    for row in rows:
        outbox.add([row])
        uplink.notify()
    return rows


def test_a_broker_killed_in_mid_stream_loses_nothing(
    broker: LocalBroker, cloud: CloudProcess, outbox: SqliteOutbox, uplink: Uplink, tmp_path: Path
) -> None:
    broker.start()
    cloud.start()
    uplink.start()
    rows = feed(outbox, uplink, range(1, 301))
    broker.kill()
    rows += feed(outbox, uplink, range(301, 501))
    broker.start()
    rows += feed(outbox, uplink, range(501, 701))

    eventually(lambda: outbox.count() == 0, within_s=30)

    assert stored(tmp_path / "store.db") == hashes(rows)


def test_a_collector_killed_in_mid_stream_loses_nothing_and_stores_nothing_twice(
    broker: LocalBroker, cloud: CloudProcess, outbox: SqliteOutbox, uplink: Uplink, tmp_path: Path
) -> None:
    broker.start()
    uplink.start()
    rows = []
    for start in (1, 301, 601):
        cloud.start()
        rows += feed(outbox, uplink, range(start, start + 300))
        cloud.kill()
    cloud.start()

    eventually(lambda: outbox.count() == 0, within_s=30)

    assert stored(tmp_path / "store.db") == hashes(rows)


def test_a_full_disk_at_the_cloud_loses_nothing(
    broker: LocalBroker, cloud: CloudProcess, outbox: SqliteOutbox, uplink: Uplink, tmp_path: Path
) -> None:
    broker.start()
    cloud.start()
    uplink.start()
    rows = feed(outbox, uplink, range(1, 21))
    eventually(lambda: outbox.count() == 0)
    _, hard = resource.prlimit(cloud.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(cloud.pid, resource.RLIMIT_FSIZE, (1024, hard))

    rows += feed(outbox, uplink, range(21, 101))
    eventually(lambda: "nothing is acknowledged" in cloud.log())
    assert outbox.count() == 80
    resource.prlimit(cloud.pid, resource.RLIMIT_FSIZE, (hard, hard))

    eventually(lambda: outbox.count() == 0)
    assert stored(tmp_path / "store.db") == hashes(rows)
    assert cloud.stop() == 0


def test_a_station_that_reuses_its_identities_overwrites_nothing(
    broker: LocalBroker, cloud: CloudProcess, outbox: SqliteOutbox, uplink: Uplink, tmp_path: Path
) -> None:
    rows = [inspection(seq) for seq in range(1, 11)]
    broker.start()
    cloud.start()
    uplink.start()
    outbox.add(rows)
    uplink.notify()
    eventually(lambda: outbox.count() == 0)

    outbox.add([inspection(seq, part_id="after a restored backup") for seq in range(6, 16)])
    uplink.notify()
    eventually(lambda: outbox.count() == 0)

    expected = hashes(rows) | hashes([inspection(seq, part_id="after a restored backup") for seq in range(11, 16)])
    assert stored(tmp_path / "store.db") == expected
    assert uplink.status().quarantined == 5
    with StoreReader(str(tmp_path / "store.db")) as reader:
        assert reader.stations()[0].quarantined == 5
