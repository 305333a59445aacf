"""`edge tune` from end to end on a small bundle: measured, kept, told, and used by the daemon."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from brokers import eventually
from quota_kit import inside, quota_group
from station_kit import Station, good_frame, make_bundle, process, run_json, write_frames

from edge.calibrate.tuning.facts import FRAMES, TuneLimits, station_facts
from edge.calibrate.tuning.rehearsal import Rehearsal, Staging
from edge.calibrate.tuning.section import section
from edge.calibrate.tuning.tune import tune
from edge.config import StationConfig, load_config
from edge.decide.recipe import Recipe
from edge.domain.errors import ConfigError
from edge.infer.kept_plans import find_plan, key_of
from models.bundle import Bundle
from models.cpus import cpu_grant
from models.errors import ModelError
from models.progress import SilentProgress
from models.spec import Kind

pytestmark = pytest.mark.long

SECONDS = "2"


@pytest.fixture
def station(tmp_path: Path) -> Station:
    made = Station(tmp_path / "station", settings={"inference": {"threads": 0}})
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 5)
    return made


def tuned(station: Station, *options: str) -> tuple[int, dict[str, object]]:
    code, said = run_json(["edge", "tune", "-c", str(station.config), "--seconds", SECONDS, "--json", *options], 120)
    return code, said


def test_what_is_measured_is_kept_told_and_used_by_the_daemon(station: Station, tmp_path: Path) -> None:
    page = tmp_path / "speed.html"
    code, said = tuned(station, "--report", str(page))
    assert (code, said["ok"], said["fits"]) == (0, True, True)
    plan, ratios, planning = said["plan"], said["ratios"], said["planning"]
    assert {"default", "THROUGHPUT", "LATENCY"} <= set(ratios)  # type: ignore[arg-type]
    rows = said["rehearsed"]
    assert [row["hint"] for row in rows if row["hint"]] == ["THROUGHPUT", "LATENCY"]  # type: ignore[index, union-attr]
    assert sum(row["chosen"] for row in rows) == 1  # type: ignore[index, union-attr, misc]
    assert any(row["pinning"] and not row["hint"] for row in rows)  # type: ignore[index, union-attr]
    assert [room["cameras"] for room in planning["cameras"]] == [1, 2, 4, 8]  # type: ignore[index]
    assert planning["cores"][0]["cores"] == 1  # type: ignore[index]
    assert planning["beyond"]["measured"] is False  # type: ignore[index]
    assert page.read_text().count("<svg") == 2
    assert not list((station.folder / "data").glob(".tune-*"))
    with process(["edge", "run", "-c", str(station.config)], tmp_path / "daemon.log"):
        eventually((station.folder / "data" / "status.json").exists)
        shown = json.loads((station.folder / "data" / "status.json").read_text())["models"]["blob"]["plan"]
    assert shown | {"origin": "tuned"} == plan
    assert shown["origin"] == "tuned"
    assert "tuned for this machine" in (tmp_path / "daemon.log").read_text()
    doctor = run_json(["edge", "doctor", "--data-dir", str(station.folder / "data"), "--json"])[1]
    (found,) = [each for each in doctor["findings"] if each["name"] == "plan"]
    assert (found["state"], "of this machine" in found["found"]) == ("ok", True)


def test_a_dry_run_keeps_nothing_and_a_table_is_for_people(station: Station) -> None:
    words = ["-c", str(station.config), "--seconds", "1", "--dry-run"]
    text = "from edge.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", text, "tune", *words], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.count("OpenVINO's") >= 2
    assert "not kept" in done.stdout
    assert "reckoned and not measured" in done.stdout
    assert not (station.folder / "data" / "plans").exists()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param(["--product", "nut"], 2, "--product must be one of blob", id="an unknown product"),
        pytest.param(["--from", "nowhere"], 2, "holds no image", id="no frames"),
        pytest.param(["--seconds", "0"], 2, "", id="no time"),
        pytest.param(["-c", "gone.toml"], 2, "cannot read gone.toml", id="no configuration"),
        pytest.param(["--report", "nowhere/page.html"], 2, "its folder is not there", id="no folder"),
    ],
)
def test_what_cannot_be_is_said(station: Station, options: list[str], code: int, said: str) -> None:
    found, answer = tuned(station, *options)
    assert found == code
    assert said in str(answer.get("error", ""))


def test_a_station_without_its_bundle_is_told_so(tmp_path: Path) -> None:
    made = Station(tmp_path)
    made.write_config()
    code, said = tuned(made)
    assert (code, said["kind"]) == (3, "ModelError")


def loaded(station: Station) -> tuple[StationConfig, Bundle]:
    from models.bundle import open_bundle
    from models.bundle_store import active_bundle

    return load_config(station.config), open_bundle(active_bundle(station.bundles, "blob"))


def test_a_limit_that_nothing_holds_is_no_success(station: Station) -> None:
    text = station.config.read_text().replace("deadline_ms = 1000", "deadline_ms = 60.001")
    station.config.write_text(text)
    code, said = tuned(station, "--plan-only")
    assert (code, said["ok"], said["fits"], said["planning"]) == (1, False, False, None)
    assert any("no plan holds" in note for note in said["notes"])  # type: ignore[attr-defined]


def test_a_quota_is_the_plan_s_own_and_the_daemon_of_another_share_leaves_it(station: Station) -> None:
    config, bundle = loaded(station)
    text = "from edge.cli import main; main()"
    words = [sys.executable, "-c", text, "tune", "-c", str(station.config), "--seconds", "1", "--plan-only"]
    words += ["--json"]
    with quota_group(0.5) as group:
        done = subprocess.run(inside(group, words), capture_output=True, text=True, check=True, timeout=200)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["key"]["cpus"] == 0.5
    assert [row["threads"] for row in said["rehearsed"] if row["default"]] == [1]
    assert not said["plan"]["pinning"]
    assert "by the quota of" in said["machine"]
    found = find_plan(config.plans_dir, key_of(bundle, cpu_grant(), 1, 940.0))
    assert found.plan is None
    assert "cpus 0.5, now" in found.why


def test_frames_are_the_cameras_own_where_there_are_some(station: Station, tmp_path: Path) -> None:
    config, bundle = loaded(station)
    own = station_facts(config, config.product[0], bundle)
    assert own.frames_from == "camera top's own files"
    assert [image.shape for image in own.cameras["top"]] == [(60, 80, 3)] * FRAMES
    write_frames(tmp_path / "two", 2)
    given = station_facts(config, config.product[0], bundle, tmp_path / "two")
    assert len({image.tobytes() for image in given.cameras["top"]}) == FRAMES
    live = config.model_copy(update={"camera": [config.camera[0].model_copy(update={"source": "0"})]})
    assert "self-test" in station_facts(live, live.product[0], bundle).frames_from
    with pytest.raises(ConfigError, match="holds no image"):
        station_facts(config, config.product[0], bundle, tmp_path)


def test_as_a_library_it_keeps_nothing_by_itself_and_gives_a_section(station: Station) -> None:
    config, bundle = loaded(station)
    facts = station_facts(config, config.product[0], bundle)
    progress = SilentProgress()
    found = tune(bundle, facts, TuneLimits(1.5, planning=False), progress)
    assert progress.stages == ["search", "rehearse"]
    assert found.planning is None
    assert not config.plans_dir.exists()
    text = section(found)
    assert text.count("<svg") == 1
    assert "parts a second in the whole station" in text
    json.dumps(found.as_json())


def test_a_rehearsal_whose_model_never_answers_ends_with_the_reason(tmp_path: Path) -> None:
    class Broken:
        spec = None
        model_id = None

        def submit(self, _image: object, _timeout_s: float) -> object:
            raise ModelError("no more")

    staging = Staging(
        tmp_path, {"top": [good_frame(seed=seed) for seed in range(2)]}, Recipe(Kind.ANOMALY, "1", {}), ""
    )
    with Rehearsal(staging, {"broken": Broken()}) as rehearsal:  # type: ignore[dict-item]
        reading = rehearsal.run("broken", 0.05, 2)
    assert (reading.parts, reading.failed > 0) == (0, True)
    assert list(tmp_path.iterdir()) == []
