"""A real anomaly model of parts that lie where they like: learned, packed and run through one and the same pose."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from detector_kit import Picture
from plates_kit import plate

from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from models.anomaly.bench import Choice, FrameSets, Workbench
from models.anomaly.fit import FAST_FRAMES, input_for
from models.anomaly.layout import Layout, Worth, survey
from models.anomaly.packaging import Provenance, package
from models.anomaly.statistics import main_directions
from models.bundle import Bundle
from models.compile import compile_bundle
from models.evaluate import auroc
from models.gate import judge
from models.networks.anomaly import feature_graph
from models.networks.weights import Weights
from models.progress import SilentProgress
from models.scoring import pose_of, rejected, score_images
from models.selftest import run_selftest
from models.spec import Precision
from models.synthetic import with_defect

pytestmark = pytest.mark.long

COUNT = 40
FAR_PX, TURN_DEG = 7.0, 2.0


def moved(image: Picture, seed: int) -> Picture:
    """The part on a dark ground, so far aside and so far turned by chance."""
    random = np.random.default_rng(seed)
    grounded = cv2.copyMakeBorder(image, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=(40, 40, 40))
    height, width = grounded.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), random.uniform(-TURN_DEG, TURN_DEG), 1)
    matrix[:, 2] += random.uniform(-FAR_PX, FAR_PX, 2)
    return np.asarray(cv2.warpAffine(grounded, matrix, (width, height), borderValue=(40, 40, 40)), np.uint8)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, tuple[Path, ...]]:
    folder = tmp_path_factory.mktemp("plates")
    paths = tuple(folder / f"{index:03}.png" for index in range(COUNT))
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), moved(plate(index), index))
    return survey(paths), paths


@pytest.fixture(scope="module")
def bundle(
    layout: tuple[Layout, tuple[Path, ...]], weights: Weights, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    found, paths = layout
    spec = input_for([(220, 180)])
    sets = FrameSets(paths[:20], paths[:4], paths[20:32], paths[32:])
    target = 0.02, 0.95
    bench = Workbench(sets, spec, FAST_FRAMES, target, 0, 1, SilentProgress(), found.pose(spec))
    backbone = feature_graph(weights, spec)
    seen = bench.runner.features(backbone, Precision.FP32, sets.learn)
    trial = bench.trial(backbone, Precision.FP32, seen, main_directions(seen))
    choice = Choice(Precision.FP32, judge(trial.scores, trial.scores), {Precision.FP32: trial}, {Precision.FP32: 1.0})
    root = tmp_path_factory.mktemp("bundles")
    (root / "scratch").mkdir()
    origin = Provenance("plates", 1, "0" * 64, datetime(2026, 11, 25, tzinfo=UTC))
    return package(root / "scratch", root / "v1", bench, choice, origin)


def test_the_bundle_holds_its_reference_and_its_self_test_shows_a_moved_part(bundle: Bundle) -> None:
    assert bundle.reference is not None
    assert [case.frame.name for case in bundle.selftest] == ["good1.png", "good2.png", "moved1.png", "defect1.png"]
    assert all(result.passed for result in run_selftest(bundle, compile_bundle(bundle, threads=1)))


def test_a_part_scores_alike_wherever_it_lies_and_a_defect_is_seen(bundle: Bundle) -> None:
    parts = [plate(1000 + index) for index in range(12)]
    bad = [with_defect(part, parts, seed) for seed, part in enumerate(parts)]
    compiled, pose, spec = compile_bundle(bundle, threads=1), pose_of(bundle), bundle.spec.inputs[0]

    def scores(pictures: list[Picture], first: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        shown = [moved(picture, first + index) for index, picture in enumerate(pictures)]
        return score_images(compiled, shown, spec, pose=pose, on_misfit=rejected).scores

    here, there = scores(parts, 5000), scores(parts, 6000)
    assert np.abs(here - there).mean() < 0.05
    assert auroc(here, scores(bad, 7000)).value > 0.9


def test_the_station_says_the_same_as_scoring(bundle: Bundle) -> None:
    frame = moved(plate(2000), 9000)
    engine = OpenVinoEngine(bundle, Plan(1, 1, 1))
    scored = score_images(compile_bundle(bundle, threads=1), [frame], bundle.spec.inputs[0], pose=pose_of(bundle))
    found = engine.submit(frame, 10).result(10)
    assert found.map is not None
    np.testing.assert_allclose(found.map, scored.maps[0], atol=1e-5)


def test_such_parts_are_to_be_laid_on_each_other(layout: tuple[Layout, tuple[Path, ...]]) -> None:
    assert layout[0].judgement.worth is Worth.NEEDED
    assert layout[0].misfits == ()


def test_the_manifest_says_what_frames_must_keep_to(bundle: Bundle) -> None:
    assert bundle.manifest.alignment is not None
    assert bundle.spec.alignment is not None
    assert FAR_PX < bundle.spec.alignment.max_shift_px < 0.121 * 220
