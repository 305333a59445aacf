"""Whatever the way to the broker does, the line is told in time, and the cloud gets everything once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from brokers import eventually
from link_kit import FaultyLine, faulty_line


def repeated_and_swapped(faulty: FaultyLine, parts: int) -> None:
    """Every direction of both ends repeats, swaps and delays packets."""
    directions = [faulty.near.up, faulty.near.down, faulty.far.up, faulty.far.down]
    for direction in directions:
        direction.duplicate, direction.hold, direction.delay_s = 0.3, 0.3, 0.05
    faulty.await_told(parts)
    for direction in (faulty.near.up, faulty.far.down, faulty.far.up):
        assert direction.seen["doubled"] > 0
        assert direction.seen["swapped"] > 0
    for direction in directions:
        direction.clear()


def half_open(faulty: FaultyLine, parts: int) -> None:
    """The connection stands, and nothing comes through."""
    faulty.near.stall()
    faulty.await_told(parts)
    assert faulty.line.outbox_depth() >= parts
    faulty.near.flow()


def silent_broker(faulty: FaultyLine, parts: int) -> None:
    """The broker hangs."""
    faulty.broker.pause()
    faulty.await_told(parts)
    faulty.broker.resume()


def torn(faulty: FaultyLine, parts: int) -> None:
    """Connections of both ends are reset again and again."""
    for _ in range(4):
        faulty.near.reset()
        faulty.await_told(parts // 8)
        faulty.far.reset()
        faulty.await_told(parts // 8)


def acknowledgements_lost(faulty: FaultyLine, parts: int) -> None:
    """The collector commits and says so, and the station never hears it: it sends again."""
    faulty.far.up.only, faulty.far.up.drop = "/down/ack", 1.0
    faulty.await_told(parts)
    assert faulty.far.up.seen["dropped"] > 0
    faulty.far.up.clear()
    faulty.far.reset()  # what the broker was never given takes places in the window until then


def lossy(faulty: FaultyLine, parts: int) -> None:
    """A fifth of the packets of both kinds gets lost, in both directions, and now and then the connection."""
    directions = [faulty.near.up, faulty.near.down, faulty.far.up, faulty.far.down]
    for direction in directions:
        direction.drop = direction.drop_acks = 0.2
    for _ in range(4):
        faulty.await_told(parts // 4)
        faulty.near.reset()
        faulty.far.reset()
    eventually(lambda: faulty.near.up.seen["dropped"] + faulty.far.down.seen["dropped"] > 0, 30)
    for direction in directions:
        direction.clear()
    faulty.near.reset()
    faulty.far.reset()


def slow(faulty: FaultyLine, parts: int) -> None:
    """1 Mbit/s each way, and a fifth of a second to the broker and back."""
    for direction in (faulty.near.up, faulty.near.down):
        direction.bytes_per_s, direction.delay_s = 125_000, 0.1
    faulty.await_told(parts)


def run(folder: Path, faults: list[Callable[[FaultyLine, int], None]], parts: int, rate: int) -> None:
    total = parts * (len(faults) + 1)
    with (
        faulty_line(folder) as faulty,
        faulty.line.daemon(),
        faulty.line.simulator(total, "--rate", str(rate), "--in-flight", "8") as simulator,
    ):
        for fault in faults:
            fault(faulty, parts)
        simulator.communicate(timeout=120)
        faulty.line.await_acknowledged(120)
        faulty.check(total)


@pytest.mark.long
def test_a_line_gets_over_one_fault_of_its_link_after_the_other(tmp_path: Path) -> None:
    run(tmp_path, [repeated_and_swapped, half_open, silent_broker, torn, acknowledgements_lost, lossy, slow], 60, 120)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "fault", [repeated_and_swapped, half_open, silent_broker, torn, acknowledgements_lost, lossy, slow]
)
def test_a_line_gets_over_a_fault_that_lasts(fault: Callable[[FaultyLine, int], None], tmp_path: Path) -> None:
    run(tmp_path, [fault], 3000, 100)
