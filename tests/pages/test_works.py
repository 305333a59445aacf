"""A command that a page started: one at a time, giving way, outliving the pages, and never shown better than it is."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import eventually
from pages_kit import let_in, visitor
from station_kit import Station, make_bundle, write_frames

from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.web.site import make_station_pages
from edge.web.works.runner import PID
from edge.web.works.steps import Step, last_object, read_steps
from edge.web.works.work import BusyError, Works
from models.progress import LineProgress

_START = """
import sys
from pathlib import Path
from edge.web.works.work import Works
Works(Path(sys.argv[1])).start(sys.argv[2:], "anna", "a station", {"what": "run"})
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Works]:
    """A station's daemon, started as a work by a process that is gone."""
    station = Station(tmp_path / "station")
    station.write_config()
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 3)
    folder = tmp_path / "works"
    subprocess.run([sys.executable, "-c", _START, str(folder), "run", "-c", str(station.config)], check=True)
    works = Works(folder)
    yield works
    works.stop()
    eventually(lambda: not works.runs, 150)


def test_a_work_outlives_who_started_it_is_found_again_and_stopped(running: Works) -> None:
    found = running.find()
    assert found is not None
    assert (found.running, found.by, found.about) == (True, "anna", {"what": "run"})
    with pytest.raises(BusyError):
        running.start(["status"], "ben", "another")
    eventually((running.folder.parent / "station" / "data" / "status.json").exists, 150)
    assert running.stop()
    eventually(lambda: not running.runs, 150)
    ended = running.find()
    assert ended is not None
    assert (ended.code, ended.by, ended.fault) == (0, "anna", "")


def test_a_work_gives_way_to_whoever_wants_the_processor(running: Works) -> None:
    eventually((running.folder / PID).exists)
    runner = int((running.folder / PID).read_text())
    eventually(lambda: os.sched_getscheduler(runner) == os.SCHED_IDLE)
    assert os.getpriority(os.PRIO_PROCESS, runner) == 19


def test_what_a_command_refuses_is_told_as_it_said_it(tmp_path: Path) -> None:
    works = Works(tmp_path / "works")
    works.start(["bundle", "verify", str(tmp_path / "nowhere"), "--json"], "anna", "nothing")
    eventually(lambda: not works.runs, 150)
    found = works.find()
    assert found is not None
    assert found.code == 3
    assert "has no bundle.json" in found.fault


def test_a_work_whose_end_nobody_saw_is_not_called_good(tmp_path: Path) -> None:
    works = Works(tmp_path / "works")
    works.start(["--version"], "anna", "nothing")
    eventually(lambda: not works.runs, 150)
    (works.folder / "exit").unlink()  # as a loss of power leaves it
    found = works.find()
    assert found is not None
    assert (found.running, found.code) == (False, None)


def test_progress_that_a_command_writes_is_read_back_stage_by_stage() -> None:
    out = io.StringIO()
    with LineProgress(out, every_s=0) as progress:
        progress.stage("collect", 2)
        progress.advance()
        progress.stage("fit", 3)
        progress.note("slowly")
        out.write("a warning\n")
    assert read_steps(out.getvalue()) == ((Step("collect", 2, 2), Step("fit", 3, 3, "slowly")), "a warning")
    assert read_steps('{"stage": "fit", "done": 1, "tot') == ((), "")


def test_progress_says_no_more_than_asked_but_every_beginning_and_end() -> None:
    out = io.StringIO()
    with LineProgress(out, every_s=3600) as progress:
        progress.stage("collect", 1000)
        for _ in range(1000):
            progress.advance()
    assert [json.loads(line)["done"] for line in out.getvalue().splitlines()] == [0, 1000]


@pytest.mark.parametrize(
    ("said", "is_found"),
    [
        pytest.param('first\n{"ok": true}\n', {"ok": True}, id="after other lines"),
        pytest.param('{"ok": tr', {}, id="cut off"),
        pytest.param("[1]", {}, id="no object"),
        pytest.param("", {}, id="nothing"),
    ],
)
def test_an_answer_is_read_only_where_it_is_one(said: str, is_found: dict[str, object]) -> None:
    assert last_object(said) == is_found


def test_a_work_is_put_away_and_to_stop_none_changes_nothing_and_is_written_down(tmp_path: Path) -> None:
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(app)
    engineer, works = visitor(app, "engineer"), app.state.here.works["bundles"]
    works.start(["--version"], "anna", "nothing")
    eventually(lambda: not works.runs, 150)
    assert engineer.post("/bundles/work/stop").headers["location"] == "/bundles"
    assert engineer.get("/bundles/work").headers["HX-Refresh"] == "true"
    assert works.find() is not None
    assert engineer.post("/bundles/work/forget").status_code == 303
    assert works.find() is None
    assert "none ran" in visitor(app, "admin").get("/audit").text
    assert engineer.post("/masters/work/stop").status_code in {404, 405}


def test_no_folder_of_the_stations_but_those_it_offers_can_be_named(tmp_path: Path) -> None:
    station = Station(tmp_path / "station")
    app = make_station_pages(load_config(station.write_config()), Listen())
    let_in(app)
    engineer = visitor(app, "engineer")
    for key in ("/etc", "beside:..", "beside:data", "camera:../..", "frames:"):
        answer = engineer.post("/calibrate", {"product": "blob", "camera": "top", "source": key})
        assert answer.status_code == 422, key
        assert "Choose a folder of the list" in answer.text
    assert "Start a calibration" in engineer.get("/calibrate").text
    assert visitor(app, "operator").get("/calibrate").status_code == 403
