"""The real collector under a service manager's eyes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudProcess, stored
from disk_kit import loop_disk, run
from outboxes import AT, EPOCH, STATION, inspection
from published import publish
from service_manager import ServiceManager

from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker, free_port
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.link import Message

LIMIT_S = 2.0


@pytest.fixture
def one_broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """Any will do: nothing here depends on which."""
    made = LocalBroker("iotcore", tmp_path / "broker", free_port())
    yield made
    made.stop()


def batch(seq: int) -> Message:
    return Message(topics.inspections(STATION), pack_batch(STATION, EPOCH, [inspection(seq)], AT))


def stays_fed(manager: ServiceManager) -> None:
    until_s = time.monotonic() + LIMIT_S
    eventually(lambda: manager.said("WATCHDOG=1")[-1:] > [until_s])


def starves(manager: ServiceManager) -> None:
    eventually(lambda: time.monotonic() - manager.said("WATCHDOG=1")[-1] > LIMIT_S)


@contextmanager
def collecting(broker: LocalBroker, store: Path, log: Path) -> Iterator[tuple[CloudProcess, ServiceManager]]:
    with ServiceManager(log.parent / "notify", LIMIT_S) as manager:
        process = CloudProcess(broker.address, store, log, environment=manager.environment)
        process.start(awaited=False)
        try:
            eventually(lambda: manager.said("READY=1"), 30)
            yield process, manager
        finally:
            process.stop()


def test_a_collector_is_up_and_fed_though_no_broker_is_there_and_says_when_one_is(
    one_broker: LocalBroker, tmp_path: Path
) -> None:
    with collecting(one_broker, tmp_path / "store.db", tmp_path / "log") as (process, manager):
        assert manager.statuses() == ["the broker is waited for"]
        stays_fed(manager)
        one_broker.start()
        eventually(lambda: manager.statuses()[-1] == "collecting")
        assert process.stop() == 0
        eventually(lambda: manager.said("STOPPING=1"))


@pytest.mark.long
def test_a_store_that_refuses_is_no_reason_for_a_restart_and_one_that_hangs_is(
    one_broker: LocalBroker, tmp_path: Path
) -> None:
    one_broker.start()
    with (
        loop_disk(tmp_path, 32) as disk,
        collecting(one_broker, disk.where / "store.db", tmp_path / "log") as (process, manager),
    ):
        eventually(lambda: manager.statuses()[-1] == "collecting")
        disk.fill()
        publish(one_broker, batch(1))
        eventually(lambda: "the store fails" in process.log())
        stays_fed(manager)
        disk.make_room()
        eventually(lambda: stored(disk.where / "store.db"))
        run("fsfreeze", "-f", str(disk.where))
        try:
            publish(one_broker, batch(2))
            starves(manager)
        finally:
            run("fsfreeze", "-u", str(disk.where))
        stays_fed(manager)
        eventually(lambda: len(stored(disk.where / "store.db")) == 2)
