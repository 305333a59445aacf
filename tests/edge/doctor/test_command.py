"""`edge doctor` as people and monitors run it, beside nothing and beside a running station."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from rich.console import Console
from station_kit import Station, make_bundle, process, run_json, simulate, write_frames

from edge.config import load_config
from edge.doctor.finding import fault, meanings, ok
from edge.doctor.showing import show
from edge.status import read_status

LONG = "/var/lib/inspectd/a/very/long/path/without/any/blank/in/it/that/does/not/fit/into/one/line/of/a/terminal"


def by_id(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["id"]: finding for finding in said["findings"]}


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    """A whole station that has never run."""
    folder = tmp_path_factory.mktemp("station")
    made = Station(folder)
    write_frames(folder / "frames", 4)
    made.write_config()
    make_bundle(made.bundles)
    return made


def test_a_machine_alone_is_looked_at_everywhere_and_left_as_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from edge.cli import main; main()", "doctor", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    said = json.loads(done.stdout)
    assert {"machine", "packages", "clock", "disk", "permissions"} <= {each["room"] for each in said["findings"]}
    assert done.returncode == (0 if said["ok"] else 1), done.stderr
    assert all(each["mend"] for each in said["findings"] if each["state"] != "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_whose_packages_cannot_be_loaded_is_looked_at_all_the_same(station: Station, tmp_path: Path) -> None:
    for name in ("cv2", "numpy", "openvino", "cryptography"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    command = [sys.executable, "-c", "from edge.cli import main; main()", "doctor", "--json", "-c", str(station.config)]
    env = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    found = by_id(json.loads(done.stdout))
    assert "libGL" in found["doctor.no-package"]["found"]
    assert {"packages.openvino", "disk.disk", "network.line", "broker.broker"} <= set(found)


def test_a_station_that_could_start_is_found_fit_and_left_as_it_was(station: Station) -> None:
    before = sorted(station.folder.rglob("*"))
    code, said = run_json(["edge", "doctor", "-c", str(station.config), "--json"])
    found = by_id(said)
    assert [each for each in said["findings"] if each["state"] == "bad"] == []
    assert code == 0
    assert {"station.station.toml", "camera.camera", "bundles.product", "network.line", "broker.broker"} <= set(found)
    assert sorted(station.folder.rglob("*")) == before


def test_a_running_station_is_not_disturbed(station: Station, tmp_path: Path) -> None:
    config = load_config(station.config)
    with process(["edge", "run", "-c", str(station.config)], tmp_path / "daemon.log") as daemon:
        eventually(lambda: config.status_path.exists() and read_status(config)["ready"], 60)
        with process(simulate(station, tmp_path / "line.jsonl", 60, "--rate", "15"), tmp_path / "line.log") as line:
            code, said = run_json(["edge", "doctor", "-c", str(station.config), "--json"])
            assert line.wait(60) == 0  # every part was told
        assert daemon.poll() is None
        status = read_status(config)
    found = by_id(said)
    assert code == 0, [each for each in said["findings"] if each["state"] == "bad"]
    assert "is ready" in found["station.daemon"]["found"]
    assert "running station" in found["camera.camera"]["found"]
    assert "held while" in found["network.line"]["found"]
    assert status["faults"] == {}


def test_a_wrong_configuration_is_a_finding_beside_the_machines_and_the_report_says_what_mends_it(
    tmp_path: Path,
) -> None:
    config, report = tmp_path / "station.toml", tmp_path / "doctor.txt"
    config.write_text("[station]\n")
    code, said = run_json(["edge", "doctor", "-c", str(config), "--quick", "--report", str(report), "--json"])
    assert code == 1
    assert by_id(said)["station.configuration"]["state"] == "bad"
    assert "packages.openvino" in by_id(said)
    text = report.read_text()
    assert "[station.configuration]" in text
    assert "edge config check" in text
    assert "\x1b" not in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_report_that_cannot_be_written_is_said_before_anything_is_looked_at(tmp_path: Path) -> None:
    code, said = run_json(["edge", "doctor", "--report", str(tmp_path / "no" / "x.txt"), "--json"])
    assert (code, said["kind"]) == (2, "ConfigError")


def test_a_finding_is_explained_without_looking_at_anything() -> None:
    code, said = run_json(["edge", "doctor", "--explain", "certificates.expired", "--json"])
    (meaning,) = said["meanings"]
    assert (code, meaning["state"]) == (0, "bad")
    assert meaning["mend"].startswith("edge renew")
    code, said = run_json(["edge", "doctor", "--explain", "all", "--json"])
    assert (code, [each["id"] for each in said["meanings"]]) == (0, list(meanings()))
    code, said = run_json(["edge", "doctor", "--explain", "certificates.nonsense", "--json"])
    assert (code, "certificates" in said["error"]) == (2, True)


def test_a_room_is_explained_for_people() -> None:
    command = [sys.executable, "-c", "from edge.cli import main; main()", "doctor", "--explain", "clock"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.count("To mend it: ") == 4
    assert "clock.went-back (bad)" in said


@pytest.mark.parametrize("width", [80, 120])
def test_a_page_fits_the_terminal_and_loses_no_word(width: int) -> None:
    names = {name for meaning in meanings().values() for name in re.findall(r"\{(\w+)", meaning.mend)}
    words = {name: f"<{name}>" for name in names}
    found = [fault(fault_id, "what it is", LONG, **words) for fault_id in meanings()]
    paper = StringIO()
    show([*found, ok("disk", "disk", "fine")], Console(file=paper, width=width, color_system=None))
    lines = paper.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    squeezed = re.sub(r"\s+", "", paper.getvalue())
    for finding in found:
        assert re.sub(r"\s+", "", finding.mend) in squeezed
    assert squeezed.count(LONG) == len(found)
