"""Killed at any write to disk on the way into use and back, exactly the old or the new bundle is active, and whole."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from release_kit import Cloud, asks, release_station

from edge.config import load_config
from edge.release.course import Course, Phase
from edge.release.gates import Beside
from edge.release.kept import KeptCourse, course_path

KIT = Path(__file__).parents[2] / "kit" / "killed_release.py"
GOOD = Beside(parts=30, rejects=10, champion_rejects=10)


def prepared(tmp_path: Path) -> Path:
    """A station with a fetched release, and beside it the release unpacked."""
    station = release_station(tmp_path)
    cloud = Cloud(tmp_path / "cloud", station)
    release = cloud.made()
    job, _ = cloud.release(release)
    course = Course(asks(job, "live"), Phase.FETCHED, beside={"blob": GOOD})
    KeptCourse(course_path(load_config(station.config))).keep(course)
    shutil.copytree(release.path, station.folder / "draft")
    station.folder.rename(tmp_path / "made")
    return tmp_path


def killed(folder: Path, every: int) -> list[dict[str, Any]]:
    command = [sys.executable, str(KIT), str(folder), str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1000)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("every", "least"),
    [
        pytest.param(97, 4, id="few"),
        pytest.param(15, 25, id="every-fifteenth", marks=pytest.mark.long),
        pytest.param(1, 200, id="all", marks=pytest.mark.soak),
    ],
)
def test_kills_leave_exactly_the_old_or_the_new_bundle_active(tmp_path: Path, every: int, least: int) -> None:
    found = killed(prepared(tmp_path), every)
    assert len(found) >= least
    for one in found:
        assert one["after"]["active"] in {1, 2}, one
        assert set(one["after"]["versions"]) <= {1, 2}, one
        assert one["then"] == {"active": 2 if one["start"] == "fetched" else 1, "versions": [1, 2]}, one
    assert {one["after"]["active"] for one in found} == {1, 2}, "some before a link moved, some after"
    sys.stderr.write(f"\n{len(found)} kills\n")
