"""The clock of the day goes back three days while parts pass: order is that of the numbers, and nothing is lost."""

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from clock_kit import MISSING, MovedClock
from line_kit import Line, make_line
from station_kit import process
from wiretap import wiretap

from cloud_sync.wire.broker import available_kinds
from cloud_sync.wire.link import Message

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
TOPIC = "inspectd/v1/+/up/inspections"


def triggered(line: Line) -> list[datetime]:
    """When each inspection says it was triggered, by its number."""
    found = sorted(line.records().values(), key=lambda record: int(str(record["seq"])))
    return [datetime.fromisoformat(str(record["triggered_at"])) for record in found]


def sent(heard: list[Message]) -> Counter[tuple[str, int]]:
    """How often each record crossed the broker."""
    batches = [json.loads(message.payload)["data"] for message in heard]
    return Counter((batch["stream"], record["seq"]) for batch in batches for record in batch["records"])


def first_numbers(heard: list[Message]) -> list[int]:
    """The inspections' numbers in the order of their first crossing."""
    batches = [json.loads(message.payload)["data"] for message in heard]
    numbers = [record["seq"] for batch in batches if batch["stream"] == "inspections" for record in batch["records"]]
    return list(dict.fromkeys(numbers))


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(150, id="150", marks=pytest.mark.long),
        pytest.param(6000, id="6000", marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_a_stations_clock_goes_back_three_days_in_mid_run(parts: int, tmp_path: Path) -> None:
    broker = local_broker(available_kinds()[0], tmp_path)
    clock = MovedClock(tmp_path / "clock")
    settings = {
        "line": {"deadline_ms": 5000},  # three days are late by any deadline, a busy machine is not by this one
        "sync": {"broker": f"mqtt://{broker.address}", "resend_s": 20},
    }
    line = make_line(tmp_path, broker, settings=settings)
    daemon = process(["edge", "run", "-c", str(line.station.config)], tmp_path / "daemon.log", clock.env)
    with broker, wiretap(broker.address, TOPIC) as heard, line.collector(), daemon:
        with line.simulator(parts, "--rate", "100", "--in-flight", "8") as simulator:
            eventually(lambda: line.told() >= parts // 3, 60)
            clock.back(days=3)
            simulator.communicate(timeout=120)
        line.await_acknowledged()

    report = line.check()
    assert report.clean, report
    assert line.outcomes() == {"told": parts}
    times = triggered(line)
    jumps = [later - earlier for earlier, later in pairwise(times) if later < earlier]
    assert [round(jump / timedelta(days=1)) for jump in jumps] == [-3]
    assert first_numbers(heard) == list(range(1, parts + 1))
    assert set(sent(heard).values()) == {1}, "sent again, though the link was well"


@pytest.mark.soak
def test_a_collectors_clock_goes_back_three_days_in_mid_run(tmp_path: Path) -> None:
    broker = local_broker(available_kinds()[0], tmp_path)
    clock = MovedClock(tmp_path / "clock")
    line = make_line(tmp_path, broker, settings={"sync": {"broker": f"mqtt://{broker.address}", "resend_s": 20}})
    collect = ["cloud", "collect", "--broker", f"mqtt://{broker.address}", "--store", str(line.store), "--json"]
    collector = process(collect, tmp_path / "collector.log", {**os.environ, **clock.env})
    with broker, wiretap(broker.address, TOPIC) as heard, line.daemon(), collector as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["event"] == "ready"
        with line.simulator(1000, "--rate", "100", "--in-flight", "8") as simulator:
            eventually(lambda: line.told() >= 300, 60)
            clock.back(days=3)
            simulator.communicate(timeout=120)
        line.await_acknowledged()

    report = line.check()
    assert report.clean, report
    assert set(sent(heard).values()) == {1}
    assert datetime.now(UTC) - triggered(line)[-1] < timedelta(days=1)
