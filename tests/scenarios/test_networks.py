"""A bad network under the sync, below TCP: the line is told in time, and the cloud gets everything once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from gige_kit import own_network
from line_kit import Line, make_line
from network_kit import drop, held_up, limit_rate, lost, missing
from station_kit import process

from cloud_sync.wire.broker import LocalBroker, available_kinds

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
PARTS = 1500
RATE = 60


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
def broker(tmp_path: Path) -> LocalBroker:
    return local_broker(available_kinds()[0], tmp_path)


def make(folder: Path, broker: LocalBroker) -> Line:
    """A line whose triggers come by a Unix socket, which no rule of the network touches."""
    socket = folder / "line.sock"
    settings: dict[str, dict[str, object]] = {
        "line": {"port": f"unix://{socket}"},
        "sync": {"broker": f"mqtt://{broker.address}", "resend_s": 5},
    }
    return make_line(folder, broker, settings=settings)


def run(line: Line, *, while_it_runs: object) -> None:
    port = f"unix://{line.store.parent / 'line.sock'}"
    words = ["edge", "simulate", "--product", "blob", "--port", port, "--log", str(line.log), "--json"]
    pace = ["--parts", str(PARTS), "--rate", str(RATE), "--in-flight", "8"]
    with line.collector(), line.daemon(), process([*words, *pace], line.station.folder / "line.log") as simulator:
        while_it_runs()  # type: ignore[operator]
        simulator.communicate(timeout=200)
        line.await_acknowledged(300)


def check(line: Line) -> None:
    report = line.check()
    assert report.clean, report
    assert line.outcomes() == {"told": PARTS}
    assert not line.events("untold")


def await_told(line: Line, parts: int) -> None:
    eventually(lambda: line.told() >= parts, 120)


def test_a_fifth_of_all_packets_is_lost(tmp_path: Path, broker: LocalBroker) -> None:
    line = make(tmp_path, broker)

    def lose() -> None:
        await_told(line, 100)
        drop(broker.address.port, 200)

    with broker:
        run(line, while_it_runs=lose)
        assert lost() > 0
    check(line)


def test_all_packets_are_lost_and_the_connection_seems_to_stand(tmp_path: Path, broker: LocalBroker) -> None:
    line = make(tmp_path, broker)

    def cut() -> None:
        await_told(line, 100)
        drop(broker.address.port, 1000)
        await_told(line, PARTS - 300)
        assert line.outbox_depth() > PARTS - 600
        assert lost() > 0
        drop(broker.address.port, 0)

    with broker:
        run(line, while_it_runs=cut)
    check(line)


def test_the_line_to_the_broker_carries_a_megabit_a_second(tmp_path: Path, broker: LocalBroker) -> None:
    line = make(tmp_path, broker)

    def slow_down() -> None:
        await_told(line, 100)
        limit_rate("1mbit")

    with broker:
        run(line, while_it_runs=slow_down)
        assert held_up() > 0
    check(line)
