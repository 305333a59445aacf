"""Station and collector at work under what their units forbid, made real: nothing they need is missing."""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import eventually
from clouds import stored
from confinement import ENVIRONMENT, allowed_calls, confined, missing
from daemon_kit import status
from edge_kit import LineClient
from edge_rows import rows
from service_manager import ServiceManager
from station_kit import Station, end, make_bundle, write_frames

from cloud_sync.wire.broker import LocalBroker, free_port
from models.bundle_store import activate

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
PARTS = 8


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that nobody may reach, unlike a test's own."""
    if why := missing():
        pytest.skip(why)
    made = Path(tempfile.mkdtemp(prefix="inspectd-confined-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@contextmanager
def running(
    unit: str, writable: Path, words: list[str], log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], ServiceManager]]:
    command = confined(UNITS / unit, writable, words)
    with ServiceManager(f"@{writable.parent.name}-{unit}", 30) as manager, log.open("ab") as out:
        environment = os.environ | ENVIRONMENT | manager.environment
        child = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            eventually(lambda: manager.said("READY=1") or child.poll() is not None, 60)
            assert child.poll() is None, log.read_text()
            yield child, manager
        finally:
            end(child)  # type: ignore[arg-type]


def test_a_station_and_a_collector_do_all_their_work_within_what_their_units_allow(folder: Path) -> None:
    metrics, hub = free_port(), folder / "hub"
    hub.mkdir()
    with LocalBroker("iotcore", folder / "broker", free_port()) as broker:
        made = Station(
            folder / "station", str(broker.address), settings={"metrics": {"listen": f"127.0.0.1:{metrics}"}}
        )
        made.write_config()
        make_bundle(made.bundles)
        write_frames(made.folder / "frames", PARTS, bad_every=2)
        collect = ["cloud", "collect", "--broker", f"mqtt://{broker.address}", "--store", str(hub / "cloud.db")]
        collect += ["--metrics", f"127.0.0.1:{free_port()}", "--json"]
        run = ["edge", "run", "--config", str(made.config), "--json"]
        with (
            running("inspectd-collect.service", hub, collect, folder / "hub.log") as (collector, _),
            running("inspectd.service", made.folder, run, folder / "station.log") as (station, manager),
        ):
            work(made)
            eventually(lambda: manager.said("WATCHDOG=1"))
            eventually(lambda: len(stored(hub / "cloud.db")) >= PARTS)
            eventually(lambda: rows(made.database, "SELECT count(*) FROM outbox") == [(0,)], 30)
            assert end(station) == 0, (folder / "station.log").read_text()  # type: ignore[arg-type]
            assert end(collector) == 0, (folder / "hub.log").read_text()  # type: ignore[arg-type]
        assert rows(made.database, "SELECT count(*) FROM images WHERE stored") == [(PARTS,)]


def work(made: Station) -> None:
    with LineClient(made.port) as line:
        line.hear_ready(ready=True)
        for number in range(PARTS):
            line.trigger(f"p-{number}")
            assert line.hear()["verdict"] in {"PASS", "REJECT"}
            line.ack(f"p-{number}")


@pytest.mark.long
def test_a_challengers_process_does_its_work_within_what_the_stations_unit_allows(folder: Path) -> None:
    made = Station(folder / "station")
    made.write_config()
    make_bundle(made.bundles)
    make_bundle(made.bundles, version=2, blindness=2)
    activate(made.bundles, "blob", 1)
    write_frames(made.folder / "frames", PARTS)
    run, log = ["edge", "run", "--config", str(made.config), "--json"], folder / "station.log"
    with running("inspectd.service", made.folder, run, log) as (station, _):
        activate(made.bundles, "blob", 2)
        eventually(lambda: status(made)["models"]["blob"]["version"] == 2, 60)
        assert status(made)["models"]["blob"]["graph"] == "cached", "the process that compiles it was let do so"
        assert end(station) == 0, log.read_text()  # type: ignore[arg-type]
    assert "not compiled apart" not in log.read_text()
    looks = {"memfd_create", "mmap", "poll", "setpriority", "sched_setscheduler", "prctl"}
    assert looks <= allowed_calls(UNITS / "inspectd.service")


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        pytest.param("MemoryDenyWriteExecute=no", "MemoryDenyWriteExecute=yes", id="OpenVINO compiles at run time"),
        pytest.param("~@privileged", "~@network-io", id="a call that the station makes"),
    ],
)
def test_what_a_unit_forbids_kills_who_does_it(folder: Path, setting: str, instead: str) -> None:
    text = (UNITS / "inspectd.service").read_text()
    assert setting in text
    unit = folder / "inspectd.service"
    unit.write_text(text.replace(setting, instead))
    made = Station(folder / "station")
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 1)
    words = confined(unit, made.folder, ["edge", "run", "--config", str(made.config), "--json"])
    assert ended(words) == -signal.SIGSYS


def test_a_station_writes_nowhere_but_where_its_unit_lets_it(folder: Path) -> None:
    made = Station(folder / "station", settings={"station": {"id": "test-1", "data_dir": str(folder / "elsewhere")}})
    made.write_config()
    make_bundle(made.bundles)
    (folder / "elsewhere").mkdir(mode=0o777)
    (folder / "elsewhere").chmod(0o777)
    write_frames(made.folder / "frames", 1)
    words = confined(UNITS / "inspectd.service", made.folder, ["edge", "run", "--config", str(made.config), "--json"])
    assert ended(words) == 3
    assert list((folder / "elsewhere").iterdir()) == []


def test_cameras_can_be_looked_for_within_what_the_station_is_allowed(folder: Path) -> None:
    command = confined(UNITS / "inspectd.service", folder, ["edge", "camera", "list", "--gige", "--json"])
    assert ended(command) == 0


def ended(command: list[str]) -> int:
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, check=False, timeout=60)
    return done.returncode


@contextmanager
def pages(unit: str, writable: Path, words: list[str], port: int) -> Iterator[str]:
    """Pages within what their unit allows; gives what their first page says."""
    log = writable.parent / f"{unit}.log"
    with log.open("ab") as out:
        child = subprocess.Popen(
            confined(UNITS / unit, writable, words), stdout=out, stderr=out, env=os.environ | ENVIRONMENT
        )
        try:
            eventually(lambda: '"ok": true' in log.read_text() or child.poll() is not None, 60)
            assert child.poll() is None, log.read_text()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=20) as answer:
                yield answer.read().decode()
            assert end(child) == 0, log.read_text()  # type: ignore[arg-type]
        finally:
            if child.poll() is None:
                child.kill()
            child.wait(20)


@pytest.mark.long
def test_the_pages_of_both_are_served_within_what_their_units_allow(folder: Path) -> None:
    hub, ports = folder / "hub", (free_port(), free_port())
    hub.mkdir()
    cloud_toml = hub / "cloud.toml"
    cloud_toml.write_text(f'[web]\nlisten = "127.0.0.1:{ports[0]}"\n')
    made = Station(folder / "station", settings={"web": {"listen": f"127.0.0.1:{ports[1]}"}})
    made.write_config()
    with pages("inspectd-web.service", hub, ["cloud", "web", "--config", str(cloud_toml), "--json"], ports[0]) as said:
        assert 'action="/login"' in said
    words = ["edge", "web", "--config", str(made.config), "--json"]
    with pages("inspectd-station-web.service", made.folder, words, ports[1]) as said:
        assert 'action="/login"' in said
