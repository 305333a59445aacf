"""A released detector is taken as it is: tried here, imported under the next version, activated unless refuted."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from detector_kit import RECIPE, make_detector, pattern, with_square
from station_kit import Station, run_json, ungated_int8

from edge.calibrate.pictures import checks_target
from edge.calibrate.releases.release import ReleaseRequest, take_release
from edge.calibrate.report.release import DATA, REPORT
from edge.capture.pictures.limits import limits_path, load_limits
from edge.config import load_config
from edge.domain.errors import ConfigError
from models.bundle import open_bundle
from models.bundle_store import active_bundle, list_bundles
from models.errors import GateError, ModelError
from models.progress import SilentProgress
from models.spec import Precision

pytestmark = pytest.mark.long

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
    what = config.product[0], config.bundles_dir, release, frames
    return ReleaseRequest(*what, threads=1, speed_s=0.1, checks=checks, study=False)


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
    asked = request(station, release, good_parts(tmp_path / "good", 60))
    result = take_release(replace(asked, study=True, fast=True), progress)
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
    assert {"self-test", "good frames", "measure", "repeat", "write"} <= set(progress.stages)
    page = (taken.path / REPORT).read_text()
    assert released.model_id.sha256 in page
    assert "needs 149 held-out parts" in page
    assert "checks of camera 'top', product 'blob': learned from 60 frames" in page
    assert load_limits(limits_path(station.folder / "data", "blob", "top")) is not None


def test_what_shall_not_become_active_is_taken_and_does_not(station: Station, release: Path) -> None:
    """--no-activate once meant nothing beside --bundle: the release went live."""
    result = take_release(replace(request(station, release, None), activate=False), SilentProgress())
    assert result.activated is False
    assert result.tried.against == ""
    assert [bundle.active for bundle in list_bundles(station.bundles)] == [False]
    options = ["calibrate", "-c", str(station.config), "--bundle", str(release), "--no-activate", "--tune-s", "0"]
    code, answer = run_json(["edge", *options, "--json"], 60)
    assert (code, answer["ok"], answer["activated"]) == (0, True, False)
    assert [bundle.active for bundle in list_bundles(station.bundles)] == [False, False]


def defects(folder: Path, count: int) -> Path:
    """Folders per class: squares where none belong, and some too faint to see."""
    for kind, level in (("square", 255), ("faint", 0)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            frame = WORLD[10:74, 20:84].copy()
            frame[number % 50, :3] += np.uint8(number + 101)
            if level:
                frame = with_square(frame, 10 + number, 30, level)
            cv2.imwrite(str(folder / kind / f"{number:03}.png"), frame)
    return folder


def test_labelled_defects_give_escapes_the_trade_off_and_a_min_score(
    station: Station, release: Path, tmp_path: Path
) -> None:
    good, bad = good_parts(tmp_path / "good", 60), defects(tmp_path / "bad", 12)
    asked = replace(request(station, release, good), defects=bad, station="press-3", options=(("--overkill", "0.02"),))
    result = take_release(asked, SilentProgress())
    assert result.trial is not None
    trade = result.trial.trade
    assert trade is not None
    assert {kind: rate.value for kind, rate in trade.escape_by_kind.items()} == {"faint": 1.0, "square": 0.0}
    plain = json.loads(json.dumps(result.as_json()))
    assert (plain["escapes"]["missed"], plain["escapes"]["defects"]) == (12, 24)
    value = plain["min_score"]["value"]
    assert trade.at(value).overkill == 0
    page, data = ((result.bundle.path / name).read_text() for name in (REPORT, DATA))
    assert f"min_score = {value:.3f} for every class" in page
    assert "12 of 24 labelled defective parts pass" in page
    told = json.loads(data)
    assert told["schema"] == "inspectd/release-report/1"
    assert (told["station"], told["options"]) == ("press-3", {"--overkill": "0.02"})
    assert told["escapes"]["escape_by_kind"]["faint"]["value"] == 1.0
    assert told["files"]["model.bin"]["sha256"] in page


def test_quantized_here_or_as_it_came_and_no_frame_both_teaches_and_judges(
    station: Station, release: Path, tmp_path: Path
) -> None:
    good, bad = good_parts(tmp_path / "good", 60), defects(tmp_path / "bad", 20)
    asked = replace(request(station, release, good), defects=bad, quantize=True)
    result = take_release(asked, SilentProgress())
    offer, taken = result.offer, open_bundle(active_bundle(station.bundles, "blob"))
    assert offer is not None
    assert offer.quantized is not None
    assert offer.quantized.labelled
    assert result.trial is not None
    assert len(result.trial.names) == 60 - offer.ranges
    assert 0 < offer.ranges < 20
    assert taken.manifest.parent == open_bundle(release).model_id.sha256
    runs_int8 = not offer.quantized.against
    assert (taken.precision is Precision.INT8) is runs_int8
    assert str(result.quantized).startswith("INT8 runs" if runs_int8 else "the released graph stays")
    assert (taken.manifest.gate.step == "ptq") is runs_int8
    assert ("INT8, quantized here by" if runs_int8 else "The released graph stays") in (taken.path / REPORT).read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"quantize": True}, "--quantize: INT8 learns its ranges from good parts", id="quantize"),
        pytest.param({"defects": Path("bad")}, "--defects: escapes are weighed against overkill", id="defects"),
    ],
)
def test_what_needs_good_parts_says_so(station: Station, release: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        take_release(replace(request(station, release, None), **changes), SilentProgress())
    assert not list_bundles(station.bundles)


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
    base = [
        "edge",
        "calibrate",
        "--config",
        str(station.config),
        "--bundle",
        str(release),
        "--tune-s",
        "0",
        "--no-study",
        "--json",
    ]
    frames = good_parts(tmp_path / "good", 30, bad=10)
    code, said = run_json([*base, "--from", str(frames)])
    assert (code, said["ok"], said["activated"], said["overkill"]["rejected"]) == (1, False, False, 10)
    assert said["parent"] == open_bundle(release).model_id.sha256
    code, said = run_json([*base, "--from", str(tmp_path / "gone")])
    assert (code, said["kind"]) == (2, "ConfigError")
