"""`cloud train | evaluate | quantize` as a user runs them, on pictures that the test paints and labels as COCO."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from detector_kit import grey, make_detector, with_square
from pictures_kit import painted_dataset
from station_kit import run_json
from typer.testing import CliRunner

from cloud_sync.hub.cli import app
from models.bundle import MANIFEST, open_bundle, write_bundle
from models.manifest import DetectorThreshold

pytestmark = pytest.mark.long

WAIT_S = 240.0
KILLED = Path(__file__).parents[1] / "kit" / "killed_job.py"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    dataset = painted_dataset(folder / "images", 60)
    rows = [
        {"id": number, "image_id": index, "category_id": int(class_id) + 1, "bbox": [*box[:2], *(box[2:] - box[:2])]}
        for number, (index, box, class_id) in enumerate(
            (index, box, class_id)
            for index, image in enumerate(dataset.images)
            for box, class_id in zip(image.truth.boxes_xyxy, image.truth.class_ids, strict=True)
        )
    ]
    for row in rows:
        row["bbox"] = [float(value) for value in row["bbox"]]  # type: ignore[attr-defined]
    content = {
        "images": [{"id": index, "file_name": image.name} for index, image in enumerate(dataset.images)],
        "annotations": rows,
        "categories": [{"id": 1, "name": "disc"}, {"id": 2, "name": "bar"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def trained(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Killed when quantizing began, then run again by the same words."""
    work = tmp_path_factory.mktemp("work")
    out = work / "painted" / "v2"
    first = [sys.executable, str(KILLED), str(labelled), str(out), str(work / "cache"), "2", "96"]
    assert subprocess.run(first, check=False, timeout=WAIT_S).returncode == -signal.SIGKILL
    assert not out.exists()
    (left,) = (work / "cache").rglob("checkpoint.pt")
    learned_s = torch.load(left, weights_only=True)["seconds"]
    words = ["cloud", "train", "--data", str(labelled), "--kind", "detector", "--out", str(out)]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INSPECTD_CACHE", str(work / "cache"))
        code, found = run_json([*words, "--epochs", "2", "--size", "96", "--json"], WAIT_S)
    assert code == 0
    assert len(list((work / "cache").glob("detector-*/*/snapshot.json"))) == 1
    return out, found | {"learned_before_the_kill_s": learned_s}


def test_train_writes_a_bundle_that_says_what_was_proven(trained: tuple[Path, dict[str, Any]]) -> None:
    out, found = trained
    bundle = open_bundle(out)
    assert (found["id"], found["version"], found["sha256"]) == ("painted", 2, bundle.model_id.sha256)
    assert bundle.spec.classes == ("disc", "bar")
    assert found["parity"]["largest_score_difference"] < 0.01
    assert found["gate"]["outcome"] in {"passed", "not proven", "failed"}
    assert {"fp32", "ptq"} <= found["speed_ms"].keys()
    assert sum(found["split"][name] for name in ("train", "val", "test")) == 60
    assert "<svg" in (out / "report.html").read_text(encoding="utf-8")


def test_killed_in_the_ladder_the_same_words_train_no_step_again(trained: tuple[Path, dict[str, Any]]) -> None:
    _, found = trained
    assert found["training"]["seconds"] == pytest.approx(found["learned_before_the_kill_s"], abs=0.06)


def test_evaluate_measures_a_bundle_on_other_pictures(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    out, _ = trained
    page = tmp_path / "page.html"
    words = ["cloud", "evaluate", "--bundle", str(out), "--data", str(labelled)]
    code, found = run_json([*words, "--champion", str(out), "--report", str(page), "--json"], WAIT_S)
    assert code == 0
    assert found["images"] == 60
    assert {"map50", "map50_95", "pooled_map33", "per_class", "escape", "overkill", "confusion"} <= found.keys()
    assert found["comparison"]["answer"] == "no proven difference"
    for who in ("the bundle", "the champion"):
        assert any(note.startswith(f"{who} learned from") for note in found["notes"]), found["notes"]
    assert "Challenger against champion" in page.read_text(encoding="utf-8")


def test_a_challenger_that_is_proven_worse_exits_1(tmp_path: Path) -> None:
    data = squares(tmp_path / "data", 24)
    seeing = make_detector(tmp_path, "seeing", active=False).path
    blind = make_detector(tmp_path, "blind", sight=0.01, active=False).path
    for challenger, champion, code, answer in ((blind, seeing, 1, "worse"), (seeing, blind, 0, "better")):
        words = ["cloud", "evaluate", "--bundle", str(challenger), "--champion", str(champion), "--data", str(data)]
        got, found = run_json([*words, "--json"], WAIT_S)
        assert (got, found["comparison"]["answer"]) == (code, answer)


def squares(folder: Path, count: int) -> Path:
    """Grey pictures in COCO form, each with one bright and one dark square."""
    folder.mkdir()
    boxes = [[4 + index, 8, 8, 8] for index in range(count)], [[8, 40, 8, 8] for _ in range(count)]
    for index in range(count):
        picture = with_square(with_square(grey(), *boxes[0][index][:2]), *boxes[1][index][:2], level=0)
        cv2.imwrite(str(folder / f"{index:02}.png"), picture)
    content = {
        "images": [{"id": index, "file_name": f"{index:02}.png"} for index in range(count)],
        "annotations": [
            {"id": number, "image_id": number // 2, "category_id": number % 2, "bbox": boxes[number % 2][number // 2]}
            for number in range(2 * count)
        ],
        "categories": [{"id": 0, "name": "bright"}, {"id": 1, "name": "dark"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(("seed", "same"), [pytest.param("0", True, id="same"), pytest.param("5", False, id="other")])
def test_a_split_that_was_not_the_trainings_is_said(
    trained: tuple[Path, dict[str, Any]],
    labelled: Path,
    seed: str,
    same: bool,  # noqa: FBT001 - a table's row
) -> None:
    words = ["cloud", "evaluate", "--bundle", str(trained[0]), "--data", str(labelled), "--only", "test"]
    code, found = run_json([*words, "--seed", seed, "--json"], WAIT_S)
    assert code == 0
    assert found["same_split_as_training"] is same
    assert any("images it learned from" in note for note in found["notes"]) is not same


@pytest.mark.parametrize(
    "how", [pytest.param([], id="same"), pytest.param(["--seed", "7", "--other-data"], id="other")]
)
def test_quantize_makes_a_child_of_the_bundle(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path, how: list[str]
) -> None:
    out, _ = trained
    target = tmp_path / "again"
    words = ["cloud", "quantize", "--bundle", str(out), "--data", str(labelled), "--out", str(target)]
    code, found = run_json([*words, *how, "--json"], WAIT_S)
    assert code == (0 if found["precision"] == "INT8" else 1)
    assert open_bundle(target).manifest.parent == open_bundle(out).model_id.sha256


def test_a_quantized_child_states_what_its_parent_never_reports(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    """A rule below that floor would be let by, and what lies between would pass unseen."""
    held = open_bundle(trained[0])
    stated = {name: one.model_copy(update={"lowest_raw_score": 0.2}) for name, one in held.manifest.thresholds.items()}
    shutil.copytree(held.path, tmp_path / "files", ignore=shutil.ignore_patterns(MANIFEST))
    changed = held.manifest.model_copy(update={"thresholds": stated})
    parent = write_bundle(tmp_path / "files", tmp_path / "strict" / "v1", changed)
    target = tmp_path / "strict" / "v2"
    words = ["cloud", "quantize", "--bundle", str(parent.path), "--data", str(labelled), "--out", str(target)]
    run_json([*words, "--json"], WAIT_S)
    found = open_bundle(target).manifest.thresholds.values()
    assert {one.lowest_raw_score for one in found if isinstance(one, DetectorThreshold)} == {0.2}


def said(words: list[str]) -> tuple[int, str]:
    """In this process: a dozen refusals in processes of their own take most of a minute to import torch."""
    done = CliRunner().invoke(app, words)
    assert not done.stdout
    return done.exit_code, done.stderr.strip()


def test_what_cannot_be_done_is_one_line_and_the_right_code(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    out, empty = trained[0], tmp_path / "empty"
    empty.mkdir()
    new, cache = str(tmp_path / "new"), str(tmp_path / "cache")
    table = [
        (["train", "--data", str(empty), "--out", new, "--cache", cache], 2, "known form"),
        (["train", "--data", str(labelled), "--out", str(out), "--cache", cache], 2, "exists"),
        (["train", "--data", str(labelled), "--out", str(tmp_path / "Mein Bündel"), "--cache", cache], 2, "name"),
        (["train", "--data", str(labelled), "--out", str(tmp_path / "PCB" / "v1"), "--cache", cache], 2, "name"),
        (["quantize", "--bundle", str(out), "--data", str(labelled), "--out", new, "--seed", "7"], 2, "trained by"),
        (["quantize", "--bundle", str(out), "--data", str(labelled), "--out", new, "--test-share", ".3"], 2, "trained"),
        (["train", "--data", str(labelled), "--out", new, "--cache", cache, "--test-share", "0.9"], 2, "between 0 and"),
        (["train", "--data", str(labelled), "--out", new, "--cache", cache, "--reference"], 2, "has no reference"),
        (["train", "--data", str(labelled), "--out", new, "--cache", cache, "--split-by", "moon"], 2, "cannot divide"),
        (["evaluate", "--bundle", str(empty), "--data", str(labelled)], 3, "no bundle.json"),
        (["evaluate", "--bundle", str(out), "--data", str(labelled), "--only", "moon"], 2, "no split 'moon'"),
        (["quantize", "--bundle", str(out), "--data", str(empty), "--out", new], 2, "known form"),
    ]
    for words, code, message in table:
        found, line = said(words)
        assert (found, message in line.splitlines()[-1]) == (code, True), (words, found, line)


@pytest.mark.parametrize("command_name", ["evaluate", "quantize"])
def test_a_bundle_that_compares_wants_references(labelled: Path, tmp_path: Path, command_name: str) -> None:
    bundle = make_detector(tmp_path, compares=True).path
    words = [command_name, "--bundle", str(bundle), "--data", str(labelled)]
    found, text = said([*words, *(["--out", str(tmp_path / "new")] if command_name == "quantize" else [])])
    assert found == 2
    assert "compares with golden references, and images/000.png has none" in text


@pytest.mark.parametrize(("option", "value"), [("--seed", "-1"), ("--minutes", "inf"), ("--minutes", "nan")])
def test_a_value_out_of_its_range_is_wrong_usage(labelled: Path, tmp_path: Path, option: str, value: str) -> None:
    found, text = said(["train", "--data", str(labelled), "--out", str(tmp_path / "new"), option, value])
    assert found == 2
    assert option in text


@pytest.mark.parametrize(
    ("words", "option"),
    [
        pytest.param(["--kind", "anomaly", "--method", "probe"], "--method", id="method of an anomaly model"),
        pytest.param(["--kind", "detector", "--method", "finetune"], "--method", id="method of a detector"),
        pytest.param(["--kind", "classifier", "--reference"], "--reference", id="reference of a classifier"),
        pytest.param(["--kind", "classifier", "--epochs", "3"], "--epochs", id="epochs of a probe"),
        pytest.param(["--kind", "anomaly", "--minutes", "3"], "--minutes", id="minutes of an anomaly model"),
        pytest.param(["--kind", "anomaly", "--cache", "c"], "--cache", id="checkpoints of an anomaly model"),
        pytest.param(["--kind", "detector", "--overkill", "0.05"], "--overkill", id="overkill of a detector"),
        pytest.param(
            ["--kind", "classifier", "--method", "finetune", "--overkill", "0.05"], "--overkill", id="of finetune"
        ),
    ],
)
def test_an_option_that_means_nothing_for_the_kind_is_refused(tmp_path: Path, words: list[str], option: str) -> None:
    found, text = said(["train", "--data", str(tmp_path), "--out", str(tmp_path / "new"), *words])
    assert found == 2
    assert f"Invalid value for {option}" in text
