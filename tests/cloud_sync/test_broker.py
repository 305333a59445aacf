import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import BROKER_KINDS, eventually
from outboxes import STATION, SqliteOutbox, inspection

from cloud_sync.station.connection import OFFLINE, station_link
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Address, Limits, Message
from cloud_sync.wire.mqtt import WINDOW, MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

mosquitto_only = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")


class Ear:
    def __init__(self) -> None:
        self.limits: list[Limits] = []
        self.breaks: list[str] = []
        self.messages: list[Message] = []
        self.answers: list[str | None] = []

    def on_connected(self, limits: Limits) -> None:
        self.limits.append(limits)

    def on_disconnected(self, why: str) -> None:
        self.breaks.append(why)

    def on_message(self, message: Message) -> None:
        self.messages.append(message)

    def on_answer(self, refusal: str | None) -> None:
        self.answers.append(refusal)


@pytest.fixture
def tuned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalBroker]:
    """mosquitto with the options that the test names."""
    with LocalBroker("mosquitto", tmp_path / "tuned", free_port(), options=request.param) as broker:
        yield broker


def test_a_port_that_is_taken_is_refused_in_words(broker: LocalBroker) -> None:
    with socket.socket() as other:
        other.bind((broker.address.host, broker.address.port))
        other.listen()
        with pytest.raises(LinkError, match="something else listens"):
            broker.start()


def test_it_runs_once(broker: LocalBroker) -> None:
    broker.start()
    with pytest.raises(LinkError, match="runs already"):
        broker.start()


def test_only_this_machine_can_reach_it(broker: LocalBroker) -> None:
    broker.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", broker.address.port), timeout=1).close()


@mosquitto_only
def test_one_that_does_not_start_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    broker = LocalBroker("mosquitto", tmp_path, free_port(), options=("no_such_option 1",))
    with pytest.raises(LinkError, match="no_such_option"):
        broker.start()
    broker.stop()


@mosquitto_only
@pytest.mark.parametrize("tuned", [("max_packet_size 4000", "max_inflight_messages 7")], indirect=True)
def test_the_brokers_limits_are_kept(tuned: LocalBroker) -> None:
    ear, link = Ear(), MqttLink(MqttSettings(tuned.address, "limited"))
    link.start(ear)
    eventually(lambda: ear.limits)

    assert ear.limits[0].in_flight == 7
    assert ear.limits[0].payload_bytes < 4000
    with pytest.raises(LinkError, match="split it"):
        link.publish("t", b"x" * 4000)
    assert link.publish("t", b"x" * ear.limits[0].payload_bytes)
    eventually(lambda: ear.answers == [None])
    assert ear.breaks == []
    link.stop(3.0)


@mosquitto_only
@pytest.mark.parametrize("tuned", [("max_packet_size 4000", "max_inflight_messages 2")], indirect=True)
def test_a_broker_with_small_limits_still_gets_every_record(tuned: LocalBroker, tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.db")
    outbox.add([inspection(seq) for seq in range(1, 101)])
    ear, watcher = Ear(), MqttLink(MqttSettings(tuned.address, "watcher", (topics.ANY_INSPECTIONS,)))
    watcher.start(ear)
    eventually(lambda: ear.limits)
    link = station_link(STATION, tuned.address)
    with Uplink(station=STATION, outbox=outbox, link=link, settings=UplinkSettings(poll_s=0.02)) as uplink:
        eventually(lambda: uplink.status().sent == 100)
        eventually(lambda: len(ear.messages) >= 10)
        assert uplink.status().faults == 0
        assert uplink.status().buried == 0
    watcher.stop(3.0)
    outbox.close()


def test_a_silent_broker_does_not_hold_up_the_end(broker: LocalBroker, tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.db")
    outbox.add([inspection(seq) for seq in range(1, 2000)])
    broker.start()
    uplink = Uplink(station=STATION, outbox=outbox, link=station_link(STATION, broker.address))
    uplink.start()
    eventually(lambda: uplink.status().connected)
    broker.pause()
    uplink.notify()

    assert uplink.stop(4.0)

    broker.resume()
    outbox.close()


def test_what_was_under_way_when_a_broker_died_is_not_sent_by_paho(broker: LocalBroker) -> None:
    broker.start()
    ear, link = Ear(), MqttLink(MqttSettings(broker.address, "both", ("t",)))
    link.start(ear)
    eventually(lambda: ear.limits)
    broker.pause()
    under_way = [link.publish("t", b"under way") for _ in range(30)]
    broker.kill()
    eventually(lambda: ear.breaks)
    broker.start()
    eventually(lambda: len(ear.limits) == 2)

    eventually(lambda: link.publish("t", b"after"))

    eventually(lambda: ear.messages)
    assert under_way == [True] * WINDOW + [False] * 10
    assert [message.payload for message in ear.messages] == [b"after"]
    link.stop(3.0)


DIES = """
import os, sys, threading
from cloud_sync.station.connection import station_link
from cloud_sync.wire.link import Address

class Ear:
    def on_connected(self, limits): os.kill(os.getpid(), 9)
    def on_disconnected(self, why): pass

station_link("press-3", Address.parse(sys.argv[1])).start(Ear())
threading.Event().wait(20)
"""


@pytest.mark.parametrize("kind", BROKER_KINDS)
def test_a_station_that_is_killed_is_reported_offline(kind: str, tmp_path: Path) -> None:
    with LocalBroker(kind, tmp_path, free_port()) as broker:  # type: ignore[arg-type]
        ear, watcher = Ear(), MqttLink(MqttSettings(broker.address, "watcher", (topics.state(STATION),)))
        watcher.start(ear)
        eventually(lambda: ear.limits)

        assert subprocess.run([sys.executable, "-c", DIES, str(broker.address)], check=False).returncode == -9

        eventually(lambda: [message.payload for message in ear.messages] == [OFFLINE])
        watcher.stop(3.0)


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":1883", "host:0", "host:65536", "host:x", "host:-1", "host:\u0661"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(LinkError, match="HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:1883", "broker.example:8883", "[::1]:1883"])
def test_an_address_reads_as_it_is_written(text: str) -> None:
    assert str(Address.parse(text)) == text
