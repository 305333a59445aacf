"""One collector process on SQLite, synchronous=FULL, beside paho that receives the same messages and keeps nothing."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudProcess
from collector_speed import messages

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

pytestmark = pytest.mark.benchmark

STATIONS = 20


class Publisher:
    """Publishes prepared messages as fast as the link takes them."""

    def __init__(self, broker: LocalBroker) -> None:
        self.connected = False
        self.link = MqttLink(MqttSettings(broker.address, "publisher"))
        self.link.start(self)
        eventually(lambda: self.connected)

    def on_connected(self, limits: Limits) -> None:  # noqa: ARG002 - what we send fits
        self.connected = True

    def on_disconnected(self, why: str) -> None:
        pass

    def on_message(self, message: Message) -> None:
        pass

    def on_answer(self, refusal: str | None) -> None:
        assert refusal is None

    def send(self, prepared: list[Message]) -> None:
        for message in prepared:
            while not self.link.publish(message.topic, message.payload):
                time.sleep(0.0005)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    if "mosquitto" not in available_kinds():
        pytest.skip("mosquitto is not on this machine")
    with LocalBroker("mosquitto", tmp_path / "broker", free_port()) as started:
        yield started


def timed(prepared: list[Message], broker: LocalBroker, until: Callable[[], object]) -> float:
    """Seconds from the first publish until all is there."""
    publisher = Publisher(broker)
    begun_s = time.monotonic()
    publisher.send(prepared)
    eventually(until, within_s=120)
    took_s = time.monotonic() - begun_s
    publisher.link.stop(3.0)
    return took_s


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def raw(prepared: list[Message], broker: LocalBroker) -> tuple[float, float]:
    """Seconds by the clock, and of the receiver's processor time."""
    script = str(Path(__file__).parents[1] / "kit" / "raw_receiver.py")
    command = [sys.executable, script, str(broker.address.port), str(len(prepared))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        took_s = timed(prepared, broker, lambda: process.poll() is not None)
        return took_s, float(process.stdout.readline())


def collected(prepared: list[Message], broker: LocalBroker, place: Path, records: int) -> tuple[float, float]:
    """Seconds by the clock, and of the collector's processor time."""
    process = CloudProcess(broker.address, place)
    process.start()
    before_s = cpu_s(process.pid)
    with contextlib.closing(sqlite3.connect(place)) as database:
        took_s = timed(
            prepared,
            broker,
            lambda: database.execute("SELECT sum(records) FROM holdings").fetchone() == (records,),
        )
    used_s = cpu_s(process.pid) - before_s
    assert process.stop() == 0
    return took_s, used_s


SHAPES = [
    pytest.param(None, 3000, id="a backlog: full batches"),
    pytest.param(1, 500, id="one record a message"),
]


@pytest.mark.parametrize(("per_message", "records"), SHAPES)
def test_a_collector_beside_paho_alone(
    broker: LocalBroker, tmp_path: Path, per_message: int | None, records: int
) -> None:
    by_station = [messages(f"press-{number}", records, per_message) for number in range(STATIONS)]
    prepared = [message for turn in zip(*by_station, strict=True) for message in turn]
    total = STATIONS * records

    raw_s, raw_used_s = raw(prepared, broker)
    took_s, used_s = collected(prepared, broker, tmp_path / "store.db", total)

    print(  # noqa: T201 - a benchmark's report
        f"\n{len(prepared)} messages, {total} records: collector {total / took_s:.0f} records/s,"
        f" {total / used_s:.0f} per second of processor time; paho alone {total / raw_s:.0f} and"
        f" {total / raw_used_s:.0f}: ratio {raw_s / took_s:.2f} by the clock, {raw_used_s / used_s:.2f} of processor"
    )
    assert used_s > 0
