"""Killed at the n-th write or fsync, station and collector go on where they were, and the checker finds nothing wrong.

Short: a few points. Long: every write and every fsync of a 200-part run of recorder and uplink (`small_station.py`,
without camera and model), every one of a collector that takes in such a run, and a sample of the whole daemon's.
"""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from checker import Report
from checker_sources import check
from clouds import CLOUD, CloudProcess
from line_kit import Line, make_line
from tracing import calls_in, counted, killed_at, needs_strace, traced

from cloud_sync.wire.broker import LocalBroker, available_kinds
from edge.processes import command

pytestmark = [needs_strace, pytest.mark.long]
PARTS = 200
WITHIN_S = 90.0
AT_ONCE = 2
SMALL_STATION = Path(__file__).parents[1] / "kit" / "small_station.py"

Run = Callable[[Path, LocalBroker, list[str]], bool]


def run_station(folder: Path, broker: LocalBroker, prefix: list[str]) -> bool:
    """A small station from its first part to its last acknowledgement, started again where it is killed: was it?"""
    with collecting(folder, broker):
        with traced(prefix, small_station(folder, broker), folder / "station.log") as first:
            killed = first.wait(WITHIN_S) != 0
        if killed:
            subprocess.run(small_station(folder, broker), check=True, timeout=WITHIN_S)
    return killed


def run_collector(folder: Path, broker: LocalBroker, prefix: list[str]) -> bool:
    """The same of a collector that takes in what a small station sends."""
    collect = [*CLOUD, "collect", "--broker", f"mqtt://{broker.address}", "--store", str(folder / "cloud.db")]
    with (
        ExitStack() as stack,
        traced(prefix, collect, folder / "collector.log") as first,
        traced([], small_station(folder, broker), folder / "station.log") as station,
    ):
        eventually(lambda: first.poll() is not None or station.poll() is not None, WITHIN_S)
        killed = first.poll() is not None
        if killed:
            stack.enter_context(collecting(folder, broker))
        assert station.wait(WITHIN_S) == 0
    return killed


def run_daemon(folder: Path, broker: LocalBroker, prefix: list[str]) -> bool:
    """The same of the whole daemon, with a simulated line."""
    line = make_line(folder, broker)
    run = [command("edge"), "run", "-c", str(line.station.config)]
    with (
        ExitStack() as stack,
        line.collector(),
        line.simulator(PARTS, "--in-flight", "4") as simulator,
        traced(prefix, run, folder / "daemon.log") as first,
    ):
        eventually(lambda: first.poll() is not None or simulator.poll() is not None, WITHIN_S)
        killed = first.poll() is not None
        if killed:
            stack.enter_context(line.daemon())
        simulator.wait(WITHIN_S)
        line.await_acknowledged(WITHIN_S)
    return killed


@contextmanager
def collecting(folder: Path, broker: LocalBroker) -> Iterator[None]:
    collector = CloudProcess(broker.address, folder / "cloud.db")
    collector.start()
    try:
        yield
    finally:
        collector.stop()


def small_station(folder: Path, broker: LocalBroker) -> list[str]:
    words = ("small", folder / "small.db", broker.address, folder / "small.jsonl", PARTS)
    return [sys.executable, str(SMALL_STATION), *map(str, words)]


def found(run: Run, folder: Path) -> Report:
    """What the checker says of a folder in which a run has ended."""
    if run is run_daemon:
        return Line.at(folder).check()
    return check("small", folder / "small.db", str(folder / "cloud.db"), folder / "small.jsonl")


def killed_and_whole(run: Run, folder: Path, prefix: list[str]) -> bool:
    """Run with a kill at some point; fails the test unless nothing is lost and nothing is twice."""
    with local_broker(available_kinds()[0], folder) as broker:
        killed = run(folder, broker, prefix)
    report = found(run, folder)
    assert report.clean, f"{prefix}: {report}"
    assert report.tally["inspections"] >= PARTS * 9 // 10
    return killed


@pytest.mark.parametrize(
    ("run", "call", "number"),
    [
        pytest.param(run_station, "pwrite64", 333, id="station-write-333"),
        pytest.param(run_station, "fdatasync", 21, id="station-fsync-21"),
        pytest.param(run_collector, "pwrite64", 77, id="collector-write-77"),
        pytest.param(run_daemon, "fdatasync", 60, id="daemon-fsync-60"),
    ],
)
def test_a_process_killed_at_a_write_goes_on_where_it_was(tmp_path: Path, run: Run, call: str, number: int) -> None:
    assert killed_and_whole(run, tmp_path, killed_at(call, number))


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(
    ("run", "every"),
    [
        pytest.param(run_station, 1, id="station-every-point"),
        pytest.param(run_collector, 1, id="collector-every-point"),
        pytest.param(run_daemon, 61, id="daemon-every-61st-point"),
    ],
)
def test_killed_at_any_write_or_fsync_nothing_is_lost(tmp_path: Path, run: Run, every: int) -> None:
    assert not killed_and_whole(run, make(tmp_path / "count"), counted(tmp_path / "trace"))
    counts = calls_in(tmp_path / "trace")
    points = [(call, n) for call, count in counts.items() for n in range(1, count + 1)][::every]
    random.Random(0).shuffle(points)  # what was done when somebody stops it is a fair sample
    done = 0

    def at(point: tuple[str, int]) -> bool:
        nonlocal done
        killed = killed_and_whole(run, make(tmp_path / f"{point[0]}-{point[1]}"), killed_at(*point))
        done += 1
        sys.stderr.write(f"\r{run.__name__}: {done} of {len(points)} points of {counts} ")
        return killed

    with ThreadPoolExecutor(AT_ONCE) as pool:
        kills = sum(pool.map(at, points))
    sys.stderr.write(f"\n{kills} kills at {len(points)} points\n")
    assert kills > 0.8 * len(points)  # the last numbers are not reached in every run


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder
