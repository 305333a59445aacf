"""kill -9 of the daemon, again and again: no told verdict is lost, none is told twice."""

import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from brokers import eventually
from line_kit import Line, make_line
from station_kit import end

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port

PARTS = 200_000


def kill_at_random_points(line: Line, kills: int, chance: random.Random) -> None:
    with line.simulator(PARTS, "--in-flight", "4", "--rate", "400") as simulator:
        for _ in range(kills):
            with line.daemon() as daemon:
                goal = line.told() + chance.randint(5, 60)
                eventually(lambda goal=goal: line.told() >= goal, 60)
                end(daemon, signal.SIGKILL)
        end(simulator, signal.SIGKILL)


@pytest.mark.parametrize(
    "kills",
    [pytest.param(15, id="15"), pytest.param(400, id="400", marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_kills_lose_no_told_verdict_and_tell_none_twice(tmp_path: Path, kills: int) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port())
    line = make_line(tmp_path, broker)
    with broker, line.collector():
        kill_at_random_points(line, kills, random.Random(7))
        with line.daemon():
            line.await_acknowledged(90)
    comparison = line.compare()
    assert comparison.nothing_lost, comparison.differences()
    assert len(line.events("disconnected")) >= kills - 1
    told_unrecorded = [event for event in line.events("told") if event["inspection_id"] is None]
    assert {event["verdict"] for event in told_unrecorded} <= {"UNDECIDED"}
    outcomes = Counter(str(record["outcome"]) for record in line.records("outcomes").values())
    assert sum(outcomes.values()) == len(line.records())
    by_identity = line.records("outcomes")
    assert {by_identity[identity]["outcome"] for identity in comparison.station_not_told} <= {"unconfirmed"}
