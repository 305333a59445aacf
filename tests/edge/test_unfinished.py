"""An import that is killed in the middle leaves nothing for good, and one that runs is left alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import eventually
from doctor_kit import expect
from pages_kit import let_in, visitor
from station_kit import Station, make_bundle, process, run_json

from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.doctor.around import Around
from edge.doctor.rooms.bundles import unfinished
from edge.web.site import make_station_pages
from models.archive import pack
from models.bundle_store import clear_unfinished, list_bundles, version_path, write_next
from models.scratch import COMING, scratch_folder


@pytest.fixture
def station(tmp_path: Path) -> Station:
    made = Station(tmp_path / "station")
    made.write_config()
    make_bundle(made.bundles)
    return made


@contextmanager
def stopped_import(made: Station, folder: Path) -> Iterator[int]:
    """The process of an import that stands still in the middle, with a bundle half unpacked."""
    pack(make_bundle(folder / "elsewhere", "boards"), folder / "boards.bundle")
    words = ["edge", "bundle", "import", str(folder / "boards.bundle"), "-c", str(made.config)]
    with process(words, folder / "import.log") as child:
        eventually(lambda: left(made) or child.poll() is not None)
        os.kill(child.pid, signal.SIGSTOP)
        assert left(made)
        try:
            yield child.pid
        finally:
            child.kill()


def left(made: Station) -> list[Path]:
    return list(made.bundles.glob(".unpacked-*"))


def test_what_a_killed_import_left_goes_with_the_next_command_and_never_while_it_runs(
    station: Station, tmp_path: Path
) -> None:
    config = load_config(station.config)
    around = Around(config.station.data_dir, station.config, config)
    with stopped_import(station, tmp_path) as running:
        assert run_json(["edge", "bundle", "list", "-c", str(station.config), "--json"])[0] == 0
        assert left(station)
        assert list(unfinished(around)) == []
        os.kill(running, signal.SIGKILL)
        os.waitid(os.P_PID, running, os.WEXITED | os.WNOWAIT)
        expect(unfinished(around), "bundles.unfinished", "1 of killed imports", "edge bundle list -c")
        assert run_json(["edge", "bundle", "list", "-c", str(station.config), "--json"])[0] == 0
    assert left(station) == []
    assert list(unfinished(around)) == []
    assert [one.id for one in list_bundles(station.bundles)] == ["blob"]


def test_a_station_that_starts_clears_what_was_left(station: Station, tmp_path: Path) -> None:
    below = [station.bundles / ".unpacked-1" / "bundle", station.bundles / "blob" / ".making-2"]
    for folder in below:
        folder.mkdir(parents=True)
        (folder / "model.bin").write_bytes(b"x" * 1000)
    with process(["edge", "run", "-c", str(station.config)], tmp_path / "daemon.log"):
        eventually(lambda: not any(folder.exists() for folder in below))
    assert [one.version for one in list_bundles(station.bundles)] == [1]


def test_the_next_version_clears_what_was_left_beside_it(station: Station) -> None:
    (station.bundles / "blob" / ".writing-3").mkdir()
    with pytest.raises(ZeroDivisionError):
        write_next(station.bundles, "blob", lambda _folder, _version: 1 // 0)  # type: ignore[arg-type, return-value]
    assert sorted(path.name for path in version_path(station.bundles, "blob", 1).parent.iterdir()) == ["active", "v1"]
    assert clear_unfinished(station.bundles) == []


def test_a_file_that_broke_off_on_its_way_to_the_pages_goes_with_their_next_start_and_the_next_file(
    station: Station,
) -> None:
    config = load_config(station.config)
    tray, masters = (config.station.data_dir / "pages" / name for name in ("tray", "masters"))
    app = make_station_pages(config, Listen())
    let_in(app)
    engineer = visitor(app, "engineer")
    for folder in (tray / ".coming-1", masters / ".coming-2"):
        folder.mkdir(parents=True)
    with scratch_folder(tray, COMING) as another:
        with engineer.client:
            eventually(lambda: not [*tray.glob(".coming-1"), *masters.iterdir()])
        (tray / ".coming-3").mkdir()
        headers = {"X-CSRF-Token": engineer.csrf}
        sent = engineer.client.post("/bundles/tray?name=a.bundle", content=b"whole", headers=headers)
        assert sent.status_code == 204
        assert sorted(tray.iterdir()) == sorted([another, tray / "a.bundle"])
    assert (tray / "a.bundle").read_bytes() == b"whole"
    assert (tray / "a.bundle").stat().st_mode & 0o777 == 0o600
