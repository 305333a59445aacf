"""Calibration end to end on plates that the tests make, and on real solar cells where installed."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from faults_kit import blurred
from numpy.typing import NDArray
from plates_kit import plate

from edge.calibrate.calibrate import calibrate, unfinished
from edge.calibrate.request import CalibrationRequest
from edge.calibrate.result import CalibrationResult
from edge.capture.pictures.checks import Gauge, find
from edge.capture.pictures.limits import limits_path, load_limits
from edge.decide.recipe import Recipe, Rule, decide
from edge.domain.errors import ConfigError
from edge.domain.part import Verdict
from edge.infer.regions import regions
from models.anomaly.bench import FrameSets, Workbench
from models.anomaly.fit import FAST_FRAMES, input_for
from models.anomaly.statistics import main_directions
from models.bundle import open_bundle
from models.bundle_store import active_bundle, adopt_next, list_bundles
from models.compile import compile_bundle
from models.errors import RequestError
from models.evaluate import auroc
from models.gate import Outcome, judge
from models.letterbox import placement
from models.networks.anomaly import feature_graph
from models.networks.weights import read_weights
from models.progress import RichProgress, SilentProgress
from models.scoring import score_images
from models.selftest import check_selftest
from models.spec import Kind, Precision
from models.synthetic import with_defect
from models.verify import verify

pytestmark = pytest.mark.long


def test_the_bundle_is_active_verifies_and_passes_its_own_self_test(calibrated: CalibrationResult) -> None:
    assert active_bundle(calibrated.bundle.parent.parent, "plates") == calibrated.bundle
    bundle = open_bundle(calibrated.bundle)
    assert bundle.model_id == calibrated.model_id
    check_selftest(bundle, compile_bundle(bundle, threads=1, streams=1))
    assert {case.frame.name for case in bundle.selftest} == {"good1.png", "good2.png", "defect1.png"}
    assert (verify(bundle).int8_share > 0.5) is (bundle.precision is Precision.INT8)


def test_unseen_good_plates_pass_and_defects_score_higher(
    calibrated: CalibrationResult, new_plates: list[NDArray[np.uint8]]
) -> None:
    bad = [with_defect(plate, new_plates, seed) for seed, plate in enumerate(new_plates)]
    bundle = open_bundle(calibrated.bundle)
    scores = score_images(compile_bundle(bundle), [*new_plates, *bad], bundle.spec.inputs[0]).scores
    good, defective = scores[: len(bad)], scores[len(bad) :]
    assert auroc(good, defective).value > 0.9
    assert (good > 0.5).mean() < 0.15
    assert (defective > 0.5).mean() > 0.5


def test_few_frames_are_said_to_prove_little(calibrated: CalibrationResult) -> None:
    assert not calibrated.threshold.meets_target
    assert calibrated.threshold.needed == 149
    assert calibrated.gate.outcome is not Outcome.PASSED
    record = open_bundle(calibrated.bundle).manifest.gate
    assert (record.outcome, record.images) == (calibrated.gate.outcome, 2 * calibrated.split["gate"])
    page = calibrated.report.read_text(encoding="utf-8")
    assert "needs 149 held-out parts" in page


def test_the_report_needs_no_other_file(calibrated: CalibrationResult) -> None:
    page = calibrated.report.read_text(encoding="utf-8")
    assert page.count("<svg") >= 3
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page


def test_every_stage_reports_progress_and_the_result_is_plain_json(
    calibrated: CalibrationResult, progress: SilentProgress
) -> None:
    assert progress.stages[:4] == ["collect", "how parts lie", "checks", "features FP32"]
    assert {"quantize", "fit INT8", "measure", "write"} <= set(progress.stages)
    plain = json.loads(json.dumps(calibrated.as_json()))
    assert plain["model_id"]["precision"] == calibrated.precision
    assert sum(plain["split"].values()) + len(plain["refused"]) == 120


def test_a_dot_in_a_zone_is_never_passed_because_its_region_is_wide(
    calibrated: CalibrationResult, new_plates: list[NDArray[np.uint8]]
) -> None:
    """21 of 30 such plates once passed: ordinary places joined the dot, and the region's middle left the zone."""
    bundle = open_bundle(calibrated.bundle)
    spec = bundle.spec.inputs[0]
    zone = np.array([[30, 70, 90, 130]], np.float32)
    rules = Recipe(Kind.ANOMALY, "1", {"anomaly": Rule(0.5, 0, 0, zone)})
    dotted = [plate.copy() for plate in new_plates]
    for image in dotted:
        cv2.circle(image, (60, 100), 8, (20, 20, 20), -1)
    scored = score_images(compile_bundle(bundle), dotted, spec)
    seen = 0
    for image, score, heat in zip(dotted, scored.scores, scored.maps, strict=True):
        found = regions(heat, placement(image.shape[1], image.shape[0], spec), spec)
        seen += bool(score >= 0.5)
        assert (decide(found, ("anomaly",), rules)[0] is Verdict.REJECT) == (score >= 0.5)
    assert seen > 30


@pytest.mark.soak
def test_bad_plates_among_the_good_are_named_and_no_good_one_is(plates: Path, tmp_path: Path) -> None:
    folder, bad = tmp_path / "mixed", [f"bad{index}.png" for index in range(6)]
    shutil.copytree(plates, folder)
    for index, name in enumerate(bad):
        image = plate(3000 + index)
        image[20 + 10 * index : 50 + 10 * index, 60:100] //= 4
        cv2.imwrite(str(folder / name), image)
    result = calibrate(
        CalibrationRequest("mixed", tmp_path / "b", folder, fast=True, activate=False, study=False), SilentProgress()
    )
    named = {*result.left_out, *result.doubtful}
    assert named
    assert named <= set(bad)
    page = result.report.read_text(encoding="utf-8")
    assert all(name in page for name in named)


INPUT = input_for([(1, 1)])


@pytest.fixture(scope="module")
def bench(plates: Path) -> Workbench:
    files = tuple(sorted(plates.iterdir()))
    sets = FrameSets(files[:40], files[40:50], files[50:85], files[85:])
    return Workbench(sets, INPUT, FAST_FRAMES, (0.02, 0.95), 0, 0, SilentProgress())


def test_a_damaged_int8_model_fails_the_gate(bench: Workbench) -> None:
    """The gate exists for this: quantization gone wrong must not reach the line."""
    backbone = feature_graph(read_weights(), INPUT)
    seen = bench.runner.features(backbone, Precision.FP32, bench.sets.learn)
    projection = main_directions(seen)
    fp32, healthy = bench.trial(backbone, Precision.FP32, seen, projection), bench.quantized(backbone)
    int8, damaged = (
        bench.trial(graph, Precision.INT8, bench.runner.features(graph, Precision.INT8, bench.sets.learn), projection)
        for graph in (healthy, _damaged(healthy))
    )
    assert judge(fp32.scores, int8.scores).allows
    assert judge(fp32.scores, damaged.scores).outcome is Outcome.FAILED


def _damaged(model: ov.Model) -> ov.Model:
    """A copy whose eight-bit weights of the middle blocks were shuffled: it runs, it answers, and it is wrong."""
    copy = model.clone()
    random = np.random.default_rng(0)
    for node in copy.get_ops():
        if node.get_type_name() == "Constant" and node.get_element_type() == ov.Type.i8:
            values = node.get_data().copy()
            fresh = ov.opset13.constant(random.permutation(values.ravel()).reshape(values.shape), ov.Type.i8)
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(fresh.output(0))
    copy.validate_nodes_and_infer_types()
    return copy


def test_where_int8_fails_a_float_precision_takes_its_place(bench: Workbench) -> None:
    class Damaging(Workbench):
        def quantized(self, backbone: ov.Model) -> ov.Model:
            return _damaged(super().quantized(backbone))

    parts = (bench.sets, bench.spec, bench.most, bench.target, bench.seed, bench.threads, bench.progress)
    choice = Damaging(*parts).choose(feature_graph(read_weights(), INPUT))
    assert choice.gate.outcome is Outcome.FAILED
    assert choice.precision in {Precision.FP32, Precision.BF16}
    assert choice.chosen.candidate.precision is choice.precision


def test_too_few_frames_are_refused_before_anything_is_made(plates: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(plates.iterdir())[:20]:
        shutil.copy(path, few)
    with pytest.raises(RequestError, match="20 usable frames"):
        calibrate(CalibrationRequest("plates", tmp_path / "bundles", few), SilentProgress())
    assert not (tmp_path / "bundles").exists()


_KILLED = """
import os, signal, sys
from pathlib import Path
from edge.calibrate.calibrate import calibrate
from edge.calibrate.request import CalibrationRequest
from models.progress import SilentProgress

class Deadly(SilentProgress):
    def stage(self, name, total):
        super().stage(name, total)
        if name == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)

calibrate(CalibrationRequest("plates", Path(sys.argv[1]), Path(sys.argv[2]), fast=True), Deadly())
"""


@pytest.mark.parametrize("stage", [pytest.param("quantize", marks=pytest.mark.soak), "write"])
def test_a_kill_leaves_the_active_bundle_as_it_was_and_resume_goes_on(
    calibrated: CalibrationResult, plates: Path, tmp_path: Path, stage: str
) -> None:
    root = tmp_path / "bundles"
    shutil.copytree(calibrated.bundle.parent, root / "plates", symlinks=True)
    done = subprocess.run([sys.executable, "-c", _KILLED, str(root), str(plates), stage], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [(bundle.version, bundle.active) for bundle in list_bundles(root)] == [(1, True)]
    assert open_bundle(active_bundle(root, "plates")).model_id == calibrated.model_id
    if stage == "write":
        result = calibrate(unfinished(root, "plates"), SilentProgress(), resume=True)
        assert result.reused == ("fit", "repeat")
        assert active_bundle(root, "plates") == result.bundle == root / "plates" / "v2"
        assert result.threshold.value == pytest.approx(calibrated.threshold.value, rel=1e-3)
        with pytest.raises(ConfigError, match="nothing to resume"):
            unfinished(root, "plates")


def test_a_bundle_that_a_killed_run_put_in_place_is_not_made_twice(
    calibrated: CalibrationResult, tmp_path: Path
) -> None:
    draft, root = open_bundle(calibrated.bundle), tmp_path / "bundles"

    def add(folder: Path, version: int) -> None:
        (folder / "station.html").write_text(f"v{version}")

    first, again = (adopt_next(root, "plates", draft, add) for _ in range(2))
    assert first.path == again.path == root / "plates" / "v1"
    assert first.manifest.parent == draft.manifest.parent


def test_bars_go_to_stderr_and_stdout_stays_empty(capfd: pytest.CaptureFixture[str]) -> None:
    with RichProgress() as bars:
        bars.stage("collect", 2)
        bars.advance()
        bars.stage("fit", 1)
    seen = capfd.readouterr()
    assert seen.out == ""
    assert "collect" in seen.err


def test_the_cameras_checks_are_learned_from_the_same_frames_kept_and_shown(
    calibrated: CalibrationResult, plates: Path, new_plates: list[NDArray[np.uint8]]
) -> None:
    assert calibrated.checks is not None
    target = calibrated.checks.target
    limits = load_limits(limits_path(target.data_dir, target.product, target.camera))
    assert limits is not None
    gauge = Gauge()
    taught = [np.asarray(cv2.imread(str(path)), np.uint8) for path in sorted(plates.iterdir())]
    assert [find(gauge, image, limits) for image in taught] == [()] * len(taught)
    assert sum(bool(find(gauge, image, limits)) for image in new_plates) <= 2
    assert {finding.reason for finding in find(gauge, blurred(new_plates[0], 3), limits)} == {"camera_blurred"}
    page = calibrated.report.read_text(encoding="utf-8")
    assert "a picture that breaks one makes its part UNDECIDED" in page
    assert calibrated.as_json()["checks"] == calibrated.checks.as_json()
