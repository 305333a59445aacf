"""What an output adds to a verdict, and how soon its peer is served again: a daemon, real peers, all on this machine.

The yardstick is the line port itself: trigger to told, by a client that writes JSON, at the same station.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from daemon_kit import daemon, line_to
from edge_kit import LineClient
from mqtt_kit import output as mqtt_output
from mqtt_kit import reader
from opcua_kit import Listener
from opcua_kit import output as opcua_output
from outputs_kit import make_station, output_status, with_output
from plc_kit import PlcProcess

from cloud_sync.wire.broker import available_kinds, free_port

pytestmark = pytest.mark.benchmark
PARTS = 300
LOSSES = 5
PACE_S = 0.03


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, object]]:
    found: dict[str, object] = {}
    yield found
    print(json.dumps(found, indent=1))  # noqa: T201 - a benchmark's output


def percentiles(values_ms: list[float]) -> dict[str, float]:
    ordered = sorted(values_ms)
    return {
        "p50 ms": round(ordered[len(ordered) // 2], 2),
        "p99 ms": round(ordered[int(len(ordered) * 0.99)], 2),
        "worst ms": round(ordered[-1], 2),
    }


def run_parts(line: LineClient, parts: int) -> dict[str, tuple[float, float]]:
    """When each part was triggered and told, monotonic seconds."""
    times = {}
    for number in range(parts):
        triggered_s = time.monotonic()
        line.trigger(f"p-{number}")
        line.hear()
        times[f"p-{number}"] = (triggered_s, time.monotonic())
        line.ack(f"p-{number}")
        time.sleep(PACE_S)
    return times


def test_modbus_trigger_to_result_valid_and_recovery(tmp_path: Path, results: dict[str, object]) -> None:
    made, plc = make_station(tmp_path), PlcProcess(tmp_path / "plc", pause_s=PACE_S)
    with plc, daemon(with_output(made, plc.section())), line_to(made) as line:
        told = [(told_s - triggered_s) * 1000 for triggered_s, told_s in run_parts(line, PARTS).values()]
        plc.await_results(PARTS, 60)
        valid = [event["ms"] for event in plc.results()]
        plc.pause()
        beside = [(told_s - triggered_s) * 1000 for triggered_s, told_s in run_parts(line, PARTS).values()]
        plc.resume()
        recovery: dict[str, list[float]] = {"goes on after a hang of 3 s": [], "is restarted after 2 s": []}
        for _ in range(LOSSES):
            plc.pause()
            time.sleep(3)
            recovery["goes on after a hang of 3 s"].append(seconds_to_result(plc, plc.resume))
            plc.kill()
            time.sleep(2)
            recovery["is restarted after 2 s"].append(seconds_to_result(plc, plc.start))
    results["line port, trigger to told"] = percentiles(told)
    results["line port, trigger to told, beside a PLC that hangs"] = percentiles(beside)
    results["Modbus, trigger coil to ResultValid seen"] = percentiles(valid)
    results["Modbus, PLC back to its next result, s"] = {what: sorted(found) for what, found in recovery.items()}
    assert percentiles(valid)["p50 ms"] < percentiles(told)["p50 ms"] + 50
    assert percentiles(beside)["p50 ms"] < percentiles(told)["p50 ms"] * 2
    assert max(map(max, recovery.values())) < 5


def seconds_to_result(plc: PlcProcess, back: object) -> float:
    """From the moment a PLC is back to its next result of its own part."""
    before = len(plc.results())
    assert callable(back)
    back()
    since_s = time.monotonic()
    plc.await_results(before + 1)
    return round(plc.results()[before]["monotonic_s"] - since_s, 3)


def test_opcua_told_to_event(tmp_path: Path, results: dict[str, object]) -> None:
    made, port = make_station(tmp_path), free_port()
    with daemon(with_output(made, opcua_output(port))), line_to(made) as line:
        eventually(lambda: output_status(made, "ua")["tells"], 60)
        with Listener(port, tmp_path / "ua.jsonl") as client:
            times = run_parts(line, PARTS)
            eventually(lambda: len(client.results()) == PARTS)
            late = [(event["monotonic_s"] - times[event["PartId"]][1]) * 1000 for event in client.results()]
            client.kill()
            since_s = time.monotonic()
            client.start()
            back_s = time.monotonic() - since_s
    results["OPC UA, told to event (publishing interval 10 ms)"] = percentiles(late)
    results["OPC UA, a killed client connects and subscribes again, s (its own start included)"] = round(back_s, 2)
    assert percentiles(late)["p50 ms"] < 200


def test_mqtt_told_to_message_and_recovery(tmp_path: Path, results: dict[str, object]) -> None:
    made, broker = make_station(tmp_path), local_broker(available_kinds()[0], tmp_path)
    with broker, reader(broker) as heard, daemon(with_output(made, mqtt_output(broker))), line_to(made) as line:
        eventually(lambda: output_status(made, "bus")["tells"])
        times = run_parts(line, PARTS)
        eventually(lambda: len(heard.heard) >= PARTS)
        late = [(at_s - times[m["part_id"]][1]) * 1000 for m, at_s in zip(heard.heard, heard.at_s, strict=True)]
        back = []
        for _ in range(LOSSES):
            broker.kill()
            eventually(lambda: not output_status(made, "bus")["tells"])
            broker.start()
            since_s = time.monotonic()
            eventually(lambda: output_status(made, "bus")["tells"], 30)
            back.append(round(time.monotonic() - since_s, 2))
    results["MQTT, told to message at a subscriber"] = percentiles(late)
    results[f"MQTT, {broker.kind} back to connected (status says so each second), s"] = sorted(back)
    assert percentiles(late)["p50 ms"] < 200
