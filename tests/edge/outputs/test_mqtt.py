"""Verdicts on a broker's topic: real brokers that come late, go, hang and come back; verdicts never wait for them."""

from pathlib import Path

from brokers import broker, eventually, local_broker
from daemon_kit import daemon, line_to
from edge_kit import LineClient
from mqtt_kit import output, reader
from outputs_kit import ServedOutput, output_status, section, served_output, with_output
from station_kit import Station

from cloud_sync.wire.broker import LocalBroker, available_kinds
from edge.domain.part import Verdict
from edge.line.outputs.mqtt import MqttOutput
from edge.line.outputs.open import make_output

__all__ = ["broker"]


def run_parts(served: ServedOutput, line: LineClient, numbers: range) -> None:
    """Each is told to the line in its time, whatever the broker does."""
    for number in numbers:
        line.trigger(f"p-{number}")
        served.tell(Verdict.PASS, served.part(number), number)
        assert line.hear()["verdict"] == "PASS"


def test_every_verdict_of_a_station_is_published(made: Station, tmp_path: Path) -> None:
    broker = local_broker(available_kinds()[0], tmp_path)
    with broker, reader(broker) as heard, daemon(with_output(made, output(broker))), line_to(made) as line:
        eventually(lambda: output_status(made, "bus")["tells"])
        told = []
        for number in range(10):
            line.trigger(f"p-{number}")
            told.append(line.hear())
            line.ack(f"p-{number}")
        eventually(lambda: len(heard.heard) == 10)
    names = ("part_id", "verdict", "reasons", "inspection_id", "record_sha256")
    assert [[m[name] for name in names] for m in heard.heard] == [[t[name] for name in names] for t in told]
    assert {(m["station"], m["product"]) for m in heard.heard} == {("test-1", "blob")}


def test_a_broker_that_is_killed_and_comes_back_gets_what_waited(broker: LocalBroker) -> None:
    driver = make_output(section(output(broker)), "test-1")
    assert isinstance(driver, MqttOutput)
    with broker, served_output(driver) as served, LineClient(served.where) as line:
        served.tells()
        broker.kill()
        served.fails()
        run_parts(served, line, range(1, 31))
        assert driver.published == 0
        broker.start()
        with reader(broker) as heard:
            served.tells()
            run_parts(served, line, range(31, 41))
            eventually(lambda: {f"p-{number}" for number in range(31, 41)} <= heard.parts())
            eventually(lambda: driver.published == 40)
    assert driver.dropped == 0


def test_a_broker_that_hangs_is_said_and_what_its_queue_cannot_hold_is_counted(tmp_path: Path) -> None:
    broker = local_broker(available_kinds()[0], tmp_path)
    driver = make_output(section(output(broker, queue_messages=50)), "test-1")
    assert isinstance(driver, MqttOutput)
    with broker, reader(broker) as heard, served_output(driver) as served, LineClient(served.where) as line:
        served.tells()
        broker.pause()
        run_parts(served, line, range(1, 101))
        assert "has not answered" in served.fails()
        eventually(lambda: driver.dropped == 50)
        broker.resume()
        served.tells()
        eventually(lambda: "p-100" in heard.parts())
        eventually(lambda: len(heard.parts()) == 50)
