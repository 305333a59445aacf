"""Disks that fail under a running station: no told verdict is lost, and nothing passes while none can be recorded."""

import json
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from brokers import eventually
from disk_kit import LoopDisk, failing_syncs, loop_disk
from line_kit import Line, make_line
from station_kit import end

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port

PARTS = 200_000
RUN = ("--in-flight", "4", "--rate", "150")


@contextmanager
def line_on(folder: Path, disk: LoopDisk) -> Iterator[Line]:
    """A line whose station keeps its data on this disk, with broker and collector running."""
    broker = LocalBroker(available_kinds()[0], folder / "broker", free_port())
    (folder / "station").mkdir()
    (folder / "station" / "data").symlink_to(disk.where)
    line = make_line(folder, broker, frames=10, settings={"retention": {"free_bytes": 0}})
    disk.sync()
    with broker, line.collector():
        yield line


def told_since(line: Line, start: int) -> list[dict[str, object]]:
    return line.events("told")[start:]


def await_told(line: Line, verdict: str, count: int, within_s: float = 40) -> None:
    """Wait until so many more parts were told this verdict."""
    start = line.told()
    eventually(lambda: sum(event["verdict"] == verdict for event in told_since(line, start)) >= count, within_s)


def is_ready(line: Line) -> bool:
    status = json.loads((line.station.folder / "data" / "status.json").read_text())
    return bool(status["ready"])


def assert_nothing_lost(line: Line) -> None:
    report = line.check()
    assert report.clean, report


def cut_power_at_random_points(line: Line, disk: LoopDisk, cuts: int, chance: random.Random) -> None:
    with line.simulator(PARTS, "--in-flight", "4", "--rate", "400") as simulator:
        for number in range(cuts):
            with line.daemon() as daemon:
                goal = line.told() + chance.randint(5, 60)
                eventually(lambda goal=goal: line.told() >= goal, 60)
                disk.cut_power(log_flushed=bool(number % 2))
                end(daemon, signal.SIGKILL)
            disk.unmount()
            disk.mount()
        end(simulator, signal.SIGKILL)


@pytest.mark.parametrize(
    "cuts",
    [pytest.param(1, id="1"), pytest.param(20, id="20", marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_a_power_cut_takes_no_told_verdict(tmp_path: Path, cuts: int) -> None:
    with loop_disk(tmp_path) as disk, line_on(tmp_path, disk) as line:
        cut_power_at_random_points(line, disk, cuts, random.Random(11))
        with line.daemon():
            line.await_acknowledged(90)
        assert_nothing_lost(line)


@pytest.mark.long
def test_a_disk_that_goes_read_only_makes_parts_undecided_and_takes_no_told_verdict(tmp_path: Path) -> None:
    with loop_disk(tmp_path) as disk, line_on(tmp_path, disk) as line:
        with line.simulator(PARTS, *RUN) as simulator, line.daemon() as daemon:
            await_told(line, "PASS", 10)
            disk.go_read_only()
            await_told(line, "UNDECIDED", 30)
            assert daemon.poll() is None
            end(simulator)
        disk.unmount()
        disk.mount()
        with line.daemon():
            line.await_acknowledged()
        assert_nothing_lost(line)


@pytest.mark.long
def test_a_collector_whose_disk_goes_read_only_acknowledges_nothing_that_it_could_not_keep(tmp_path: Path) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port())
    with loop_disk(tmp_path) as disk, broker:
        line = make_line(tmp_path, broker, frames=10)
        line.store = disk.where / "cloud.db"
        with line.daemon(), line.simulator(PARTS, *RUN) as simulator:
            with line.collector():
                await_told(line, "PASS", 20)
                disk.go_read_only()
                start = line.told()
                eventually(lambda: line.told() >= start + 100)
            disk.unmount()
            disk.mount()
            end(simulator)
            with line.collector():
                line.await_acknowledged()
        assert_nothing_lost(line)


@dataclass(frozen=True)
class Running:
    """A line whose daemon runs, for tests that leave it as they found it."""

    disk: LoopDisk
    line: Line
    daemon_pid: int


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("running")
    with loop_disk(folder, 48) as disk, line_on(folder, disk) as line, line.daemon() as daemon:
        yield Running(disk, line, daemon.pid)


@contextmanager
def parts_passing(line: Line, prefix: str) -> Iterator[None]:
    """Parts pass meanwhile, good ones among them before and after; at the end all of them are on record and sent."""
    with line.simulator(PARTS, *RUN, "--prefix", prefix) as simulator:
        await_told(line, "PASS", 10)
        yield
        await_told(line, "PASS", 10)
        end(simulator)
    line.await_acknowledged()
    eventually(lambda: is_ready(line))
    assert_nothing_lost(line)
    told = {event["part_id"] for event in line.events("told")}
    assert told <= {record["part_id"] for record in line.records().values()}


def test_fsyncs_that_fail_make_parts_undecided_until_they_work_again(running: Running, tmp_path: Path) -> None:
    line = running.line
    with parts_passing(line, "fsync"), failing_syncs(running.daemon_pid, tmp_path / "strace.log"):
        start = line.told()
        eventually(lambda: line.told() >= start + 30, 40)
        assert {event["verdict"] for event in told_since(line, start + 10)} == {"UNDECIDED"}


def test_a_disk_that_somebody_fills_makes_parts_undecided_until_there_is_room(running: Running) -> None:
    line = running.line
    with parts_passing(line, "full"):
        running.disk.fill()
        await_told(line, "UNDECIDED", 30)
        assert all(event["verdict"] != "PASS" for event in told_since(line, line.told() - 10))
        running.disk.make_room()
