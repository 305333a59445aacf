"""Several collectors on one store, real processes over a real broker, while some of them die and the database goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudProcess
from outboxes import EPOCH, SqliteOutbox, inspection
from postgres_kit import Postgres, running
from stores import ask

from cloud_sync.station.connection import station_link
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.records import content_hash

QUICK = UplinkSettings(resend_after_s=0.5, resend_most_s=2.0, poll_s=0.1)
STATIONS = ("press-1", "press-2", "press-3")


class Sending:
    """A station that records as fast as it can."""

    def __init__(self, name: str, broker: LocalBroker, folder: Path) -> None:
        self.name = name
        self.hashes: dict[int, str] = {}
        self.outbox = SqliteOutbox(folder / f"{name}.db")
        link = station_link(name, broker.address)
        self.uplink = Uplink(station=name, outbox=self.outbox, link=link, settings=QUICK)

    def record(self, count: int) -> None:
        for _ in range(count):
            row = inspection(len(self.hashes) + 1, station=self.name)
            self.outbox.add([row])
            self.hashes[row.seq] = content_hash(row.payload)
            self.uplink.notify()

    def close(self) -> None:
        self.uplink.stop()
        self.outbox.close()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[LocalBroker]:
    if "mosquitto" not in available_kinds():
        pytest.skip("mosquitto is not on this machine")
    with LocalBroker("mosquitto", tmp_path / "broker", free_port()) as broker:
        yield broker


@pytest.fixture
def senders(mosquitto: LocalBroker, tmp_path: Path) -> Iterator[list[Sending]]:
    made = [Sending(name, mosquitto, tmp_path) for name in STATIONS]
    yield made
    for sender in made:
        sender.close()


@contextmanager
def collectors(broker: LocalBroker, place: str, folder: Path, count: int) -> Iterator[list[CloudProcess]]:
    """That many, subscribed; ended afterwards, whatever became of them."""
    blobs = ("--blobs", str(folder / "blobs"))
    made = [CloudProcess(broker.address, place, folder / f"collector-{number}.log", blobs) for number in range(count)]
    try:
        for process in made:
            process.start()
        yield made
    finally:
        for process in made:
            process.kill()


def expected(senders: list[Sending]) -> list[tuple[object, ...]]:
    rows = [
        (sender.name, EPOCH, "inspections", seq, sha256) for sender in senders for seq, sha256 in sender.hashes.items()
    ]
    return sorted(rows, key=repr)


def held(place: str) -> list[tuple[object, ...]]:
    return ask(place, "SELECT station, epoch, stream, seq, sha256 FROM records")


def test_one_of_three_collectors_killed_in_mid_stream_loses_nothing_and_doubles_nothing(
    mosquitto: LocalBroker, senders: list[Sending], place: str, tmp_path: Path
) -> None:
    with collectors(mosquitto, place, tmp_path, 3) as processes:
        for sender in senders:
            sender.uplink.start()
            sender.record(100)
        processes[1].pause()  # what comes to it now is lost with it
        for sender in senders:
            sender.record(100)
        processes[1].kill()
        for sender in senders:
            sender.record(100)
        eventually(lambda: all(sender.outbox.count() == 0 for sender in senders), within_s=40)
        assert [processes[0].stop(), processes[2].stop()] == [0, 0]

    assert held(place) == expected(senders)
    assert sum(sender.uplink.status().resent for sender in senders) > 0, "nothing was lost with the dead collector"
    assert ask(place, "SELECT count(*) FROM quarantine") == [(0,)]
    assert ask(place, "SELECT sum(records) FROM holdings") == [(900,)]


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that a test may stop."""
    yield from running()


def test_a_database_server_that_goes_and_comes_back_loses_nothing(
    mosquitto: LocalBroker, senders: list[Sending], own_postgres: Postgres, tmp_path: Path
) -> None:
    place = own_postgres.new_database()
    with collectors(mosquitto, place, tmp_path, 2) as processes:
        for sender in senders:
            sender.uplink.start()
            sender.record(50)
        own_postgres.stop("immediate")
        for sender in senders:
            sender.record(50)
        eventually(lambda: all("nothing is acknowledged" in process.log() for process in processes))
        assert all(sender.outbox.count() >= 50 for sender in senders)
        own_postgres.start()
        eventually(lambda: all(sender.outbox.count() == 0 for sender in senders), within_s=40)
        assert [process.stop() for process in processes] == [0, 0]
        assert "Traceback" not in "".join(process.log() for process in processes)

    assert held(place) == expected(senders)
