import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudProcess
from outboxes import AT, EPOCH, STATION, inspection
from published import publish

from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker, free_port
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.link import Message
from cloud_sync.wire.messages import StateMessage


def figures(port: int) -> dict[str, float]:
    """What Prometheus would read: name with labels to value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def batch(*part_ids: str) -> Message:
    rows = [inspection(seq, part_id=part_id) for seq, part_id in enumerate(part_ids, 1)]
    return Message(topics.inspections(STATION), pack_batch(STATION, EPOCH, rows, AT))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def process(broker: LocalBroker, port: int, tmp_path: Path) -> Iterator[CloudProcess]:
    made = CloudProcess(broker.address, tmp_path / "store.db", options=("--metrics", f"127.0.0.1:{port}"))
    yield made
    made.kill()


def test_prometheus_reads_what_a_collector_did(broker: LocalBroker, process: CloudProcess, port: int) -> None:
    broker.start()
    process.start()
    online = StateMessage(state="online", epoch=EPOCH, next_seq=1, at=AT)
    publish(broker, Message(topics.state(STATION), online.pack()), batch("a", "b"), batch("a", "c"))
    publish(broker, Message(topics.health(STATION), b"nonsense"))

    eventually(lambda: figures(port)["inspectd_collector_messages_total"] == 4)

    found = figures(port)
    expected = {
        'inspectd_collector_records_total{fate="stored"}': 2,
        'inspectd_collector_records_total{fate="again"}': 1,
        'inspectd_collector_records_total{fate="quarantined"}': 1,
        'inspectd_collector_dead_letters_total{fate="kept"}': 1,
        'inspectd_collector_dead_letters_total{fate="dropped"}': 0,
        'inspectd_collector_lag_seconds_bucket{le="+Inf"}': 2,
        "inspectd_collector_stations_online": 1,
        "inspectd_collector_link_connected": 1,
        "inspectd_collector_link_losses_total": 0,
        "inspectd_collector_store_faults_total": 0,
        "inspectd_collector_queue_messages": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["inspectd_collector_commit_seconds_sum"] > 0
    assert found["inspectd_collector_group_messages_sum"] == 4
    assert "inspectd_collector_acks_waiting" in found


def test_a_broker_that_goes_and_comes_is_said_in_one_line_each(broker: LocalBroker, process: CloudProcess) -> None:
    broker.start()
    process.start()
    broker.kill()
    eventually(lambda: "the broker is lost" in process.log())
    broker.start()
    assert process.next_event()["event"] == "ready"
    process.stop()

    lines = [line for line in process.log().splitlines() if "the broker is" in line]
    assert ["lost" in line for line in lines] == [True, False]
    assert "the broker is back after" in lines[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:99999"])
def test_an_address_that_cannot_be_is_wrong_usage(broker: LocalBroker, tmp_path: Path, address: str) -> None:
    process = CloudProcess(broker.address, tmp_path / "store.db", options=("--metrics", address))
    process.start(awaited=False)

    eventually(lambda: "--metrics" in process.log())
    assert process.wait() == 2


def test_a_taken_port_is_said_plainly(broker: LocalBroker, tmp_path: Path) -> None:
    broker.start()
    process = CloudProcess(broker.address, tmp_path / "store.db", options=("--metrics", str(broker.address)))
    process.start(awaited=False)

    assert process.wait() == 3
    assert "cannot collect" in process.log()
    assert "Traceback" not in process.log()
