"""A released detector is taken as it is: tried here, imported under the next version, activated unless refuted."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from detector_kit import RECIPE, make_detector, pattern, with_square
from station_kit import Station, run_json, ungated_int8

from edge.calibrate.pictures import checks_target
from edge.calibrate.release import ReleaseRequest, take_release
from edge.calibrate.report.release import DATA, REPORT
from edge.capture.pictures.limits import limits_path, load_limits
from edge.config import load_config
from edge.domain.errors import ConfigError
from models.bundle import open_bundle
from models.bundle_store import active_bundle, list_bundles
from models.errors import GateError, ModelError
from models.progress import SilentProgress

WORLD = pattern((104, 84), seed=3)


def good_parts(folder: Path, count: int, *, bad: int = 0, strange: int = 0) -> Path:
    """Frames of one part that never lies quite the same."""
    folder.mkdir()
    for number in range(count):
        right, down = number % 5 - 2, number // 5 % 5 - 2
        frame = WORLD[10 + down : 74 + down, 20 + right : 84 + right].copy()
        frame[number % 50, :3] += np.uint8(number + 1)
        if number < bad:
            frame = with_square(frame, 20, 30)
        elif number < bad + strange:
            frame = pattern(seed=100 + number)
        cv2.imwrite(str(folder / f"{number:03}.png"), frame)
    return folder


@pytest.fixture
def station(tmp_path: Path) -> Station:
    made = Station(tmp_path / "station")
    made.config.parent.mkdir()
    text = made.write_config().read_text()
    made.config.write_text(text + "reference = 'golden.png'\n" + RECIPE)
    cv2.imwrite(str(made.folder / "golden.png"), WORLD[10:74, 20:84])
    return made


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_detector(tmp_path_factory.mktemp("cloud"), "boards", compares=True, active=False).path


def request(made: Station, release: Path, frames: Path | None) -> ReleaseRequest:
    config = load_config(made.config)
    checks = checks_target(config, "blob", "")
    return ReleaseRequest(config.product[0], config.bundles_dir, release, frames, threads=1, speed_s=0.1, checks=checks)


@pytest.mark.parametrize("outcome", ["failed", "not run"])
def test_int8_that_its_gate_did_not_let_through_is_refused(
    station: Station, release: Path, tmp_path: Path, outcome: str
) -> None:
    (tmp_path / "cloud" / "boards").mkdir(parents=True)
    shutil.copytree(release, tmp_path / "cloud" / "boards" / "v1")
    wrong = ungated_int8(tmp_path / "cloud", "boards", 2, outcome)
    with pytest.raises(GateError, match=f"says of the gate: {outcome}"):
        take_release(request(station, wrong, None), SilentProgress())
    assert not list_bundles(station.bundles)


def test_it_is_imported_with_its_parent_and_activated(station: Station, release: Path, tmp_path: Path) -> None:
    progress = SilentProgress()
    result = take_release(request(station, release, good_parts(tmp_path / "good", 60)), progress)
    taken, released = open_bundle(active_bundle(station.bundles, "blob")), open_bundle(release)
    assert (taken.model_id.id, taken.model_id.version) == ("blob", 1)
    assert taken.manifest.parent == released.model_id.sha256
    for name in ("classes", "inputs", "precision", "thresholds", "gate", "alignment", "metrics", "dataset_sha256"):
        assert getattr(taken.manifest, name) == getattr(released.manifest, name)
    own = {REPORT: None, DATA: None}
    assert {**taken.manifest.files, **own} == {**released.manifest.files, **own}
    assert result.trial is not None
    assert (result.trial.rejected, result.trial.misaligned, result.trial.proof.held_out) == (0, 0, 60)
    assert result.speed_ms["FP32"] > 0
    assert {"self-test", "good frames", "measure", "write"} <= set(progress.stages)
    page = (taken.path / REPORT).read_text()
    assert released.model_id.sha256 in page
    assert "needs 149 held-out parts" in page
    assert "checks of camera 'top', product 'blob': learned from 60 frames" in page
    assert load_limits(limits_path(station.folder / "data", "blob", "top")) is not None


def test_a_second_time_is_the_next_version_and_the_first_stays(station: Station, release: Path) -> None:
    first = take_release(request(station, release, None), SilentProgress())
    second = take_release(request(station, release, None), SilentProgress())
    assert (first.bundle.model_id.version, second.bundle.model_id.version) == (1, 2)
    assert [(one.version, one.active, one.previous) for one in list_bundles(station.bundles)] == [
        (1, False, True),
        (2, True, False),
    ]
    assert "not measured" in second.verdict


@pytest.mark.parametrize(("bad", "strange"), [(9, 0), (0, 9), (5, 4)], ids=["rejected", "misaligned", "both"])
def test_good_parts_that_it_would_reject_keep_it_from_the_line(
    station: Station, release: Path, tmp_path: Path, bad: int, strange: int
) -> None:
    take_release(request(station, release, None), SilentProgress())
    frames = good_parts(tmp_path / "good", 60, bad=bad, strange=strange)
    result = take_release(request(station, release, frames), SilentProgress())
    assert result.trial is not None
    assert (result.trial.rejected, result.trial.misaligned) == (bad, strange)
    assert not result.activated
    assert load_limits(limits_path(station.folder / "data", "blob", "top")) is None, "nor are its frames to go by"
    assert active_bundle(station.bundles, "blob").name == "v1"


def test_a_release_that_does_not_verify_or_fit_changes_nothing(station: Station, release: Path, tmp_path: Path) -> None:
    broken = make_detector(tmp_path / "broken", compares=True, wrong_selftest=True, active=False)
    with pytest.raises(ModelError, match="self-test"):
        take_release(request(station, broken.path, None), SilentProgress())
    plain = make_detector(tmp_path / "plain", active=False)
    with pytest.raises(ConfigError, match="compares with no reference"):
        take_release(request(station, plain.path, None), SilentProgress())
    (plain.path / "model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.bin"):
        take_release(request(station, plain.path, None), SilentProgress())
    station.config.write_text(station.config.read_text().replace("classes.dark", "classes.dent"))
    with pytest.raises(ConfigError, match="dent"):
        take_release(request(station, release, None), SilentProgress())
    assert list_bundles(station.bundles) == []


def test_the_command_ends_in_one_when_good_parts_speak_against_it_and_in_two_when_there_are_none(
    station: Station, release: Path, tmp_path: Path
) -> None:
    base = ["edge", "calibrate", "--config", str(station.config), "--bundle", str(release), "--json"]
    frames = good_parts(tmp_path / "good", 30, bad=10)
    code, said = run_json([*base, "--from", str(frames)])
    assert (code, said["ok"], said["activated"], said["overkill"]["rejected"]) == (1, False, False, 10)
    assert said["parent"] == open_bundle(release).model_id.sha256
    code, said = run_json([*base, "--from", str(tmp_path / "gone")])
    assert (code, said["kind"]) == (2, "ConfigError")
