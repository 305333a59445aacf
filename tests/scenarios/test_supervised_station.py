"""The real daemon under a service manager's eyes: what it says, and when it lets itself be killed."""

import fcntl
import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from disk_kit import loop_disk, run
from edge_kit import LineClient
from service_manager import ServiceManager
from station_kit import Station, end, make_bundle, process, write_frames

pytestmark = pytest.mark.long

LIMIT_S = 2.0
QUICK_DRIVER = {"open_timeout_ms": 50, "read_timeout_ms": 50}  # what it may wait for by itself is no hang


@dataclass
class Supervised:
    """A station's process, and who started it."""

    station: Station
    manager: ServiceManager
    child: subprocess.Popen[str]
    log: Path

    def stays_fed(self) -> None:
        """Feeds come, from now on, for longer than the limit."""
        until_s = time.monotonic() + LIMIT_S
        eventually(lambda: self.manager.said("WATCHDOG=1")[-1:] > [until_s])

    def starves(self) -> None:
        """No feed comes for longer than the limit: a service manager would kill it."""
        eventually(lambda: self.manager.said("WATCHDOG=1"))
        eventually(lambda: time.monotonic() - self.manager.said("WATCHDOG=1")[-1] > LIMIT_S)


def made_station(folder: Path, frames: int = 4, **settings: Any) -> Station:  # noqa: ANN401 - sections
    made = Station(folder, settings=settings)
    made.write_config()
    make_bundle(made.bundles)
    write_frames(folder / "frames", frames)
    return made


@contextmanager
def supervised(station: Station) -> Iterator[Supervised]:
    """Started, and told to be up."""
    folder = station.config.parent
    log = folder / "daemon.log"
    with (
        ServiceManager(f"@inspectd-{station.port}", LIMIT_S) as manager,
        process(["edge", "run", "-c", str(station.config)], log, manager.environment) as child,
    ):
        eventually(lambda: manager.said("READY=1"), 30)
        yield Supervised(station, manager, child, log)


class HeldImage:
    """An image that the kernel lets nobody else open, up to 45 s: who tries waits in the system call. By a lease."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        fcntl.fcntl(self._descriptor, fcntl.F_SETSIG, signal.SIGURG)  # that somebody waits: a signal without effect
        fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)

    def let_go(self) -> None:
        """Whoever waits goes on."""
        os.close(self._descriptor)


def told(line: LineClient, part_id: str) -> tuple[str, list[str]]:
    line.trigger(part_id)
    verdict = line.hear()
    line.ack(part_id)
    return verdict["verdict"], verdict["reasons"]


def test_it_is_up_once_its_port_listens_and_is_fed_on_an_idle_line_and_without_its_camera(tmp_path: Path) -> None:
    with supervised(made_station(tmp_path, frames=1, camera={"loop": False})) as up:
        with LineClient(up.station.port) as line:  # at once: READY is no promise but a fact
            line.hear_ready(ready=True)
            up.stays_fed()
            assert up.manager.statuses()[-1] == "ready"
            assert told(line, "p-1")[0] == "PASS"
            assert "at its end" in line.hear_ready(ready=False)["why"]
            assert told(line, "p-2") == ("UNDECIDED", ["camera_lost"])
            up.stays_fed()
        assert end(up.child) == 0
        eventually(lambda: up.manager.said("STOPPING=1"))
        assert statistics.median(b - a for a, b in pairwise(up.manager.said("WATCHDOG=1"))) < LIMIT_S / 2
        assert "hung" not in up.log.read_text()


def test_a_camera_driver_that_hangs_after_its_first_images_starves_the_watchdog_and_says_where(tmp_path: Path) -> None:
    made = made_station(tmp_path, camera=QUICK_DRIVER)
    held = HeldImage(tmp_path / "frames" / "000003.png")
    with supervised(made) as up, LineClient(made.port) as line:
        line.hear_ready(ready=True)
        assert [told(line, f"p-{number}")[0] for number in (1, 2)] == ["PASS", "PASS"]
        assert told(line, "p-3")[0] == "UNDECIDED"
        why = line.hear_ready(ready=False)["why"]
        assert why == "the driver of camera 'top' has not moved for 2 s"
        up.starves()
        assert up.manager.statuses()[-1] == f"not ready: {why}"
        said = up.log.read_text()
        assert said.count("restart_wanted=True") == 1
        assert "drain-top" in said
        assert "replay.py" in said
        held.let_go()
        line.hear_ready(ready=True)
        up.stays_fed()
        assert end(up.child, signal.SIGABRT) == -signal.SIGABRT  # what the service manager sends
    assert "Fatal Python error: Aborted" in up.log.read_text()


def test_a_driver_that_hangs_since_the_start_is_a_fault_and_no_loop_of_restarts(tmp_path: Path) -> None:
    made = made_station(tmp_path, camera=QUICK_DRIVER)
    held = HeldImage(tmp_path / "frames" / "000001.png")
    with supervised(made) as up:
        eventually(lambda: any("a restart would not help" in said for said in up.manager.statuses()))
        up.stays_fed()
        held.let_go()


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[tuple[Any, Station]]:
    with loop_disk(tmp_path, 48) as disk:
        made = made_station(tmp_path, station={"id": "test-1", "data_dir": str(disk.where / "data")})
        shutil.copytree(tmp_path / "data" / "bundles", disk.where / "data" / "bundles", symlinks=True)
        yield disk, made


def test_a_frozen_disk_starves_the_watchdog_and_a_full_one_does_not_and_parts_are_undecided(
    on_disk: tuple[Any, Station],
) -> None:
    disk, made = on_disk
    with supervised(made) as up, LineClient(made.port) as line:
        line.hear_ready(ready=True)
        assert told(line, "p-1")[0] == "PASS"
        run("fsfreeze", "-f", str(disk.where))
        try:
            assert told(line, "p-2") == ("UNDECIDED", ["deadline_passed"])
            eventually(lambda: "the disk's commit has not moved" in up.manager.statuses()[-1])
            up.starves()
        finally:
            run("fsfreeze", "-u", str(disk.where))
        line.hear_ready(ready=True)
        disk.fill()  # and no reason for a restart
        eventually(lambda: told(line, f"p-{os.urandom(4).hex()}")[1] == ["storage_failed"])
        up.stays_fed()
        disk.make_room()
        eventually(lambda: up.manager.statuses()[-1] == "ready")
