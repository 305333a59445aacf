"""`cloud train --kind classifier --method finetune`: it learns, survives a kill, its graph says what was trained."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import killed_finetune
import numpy as np
import pytest
import torch
from classifier_kit import WITHOUT_TORCH, painted_folders
from killed_finetune import SETTINGS, SPEC, lesson_of, random_start, run
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from cloud_sync.hub.cli import app
from models.bundle import open_bundle
from models.classifier.figures import class_exam
from models.classifier.probe import STAGES
from models.compile import compile_bundle, compile_graph
from models.dataset.image_level import split_image_level
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.splits import Splits, groups_of
from models.errors import ModelError
from models.networks.classes import LinearHead
from models.networks.finetuned import ClassNetwork
from models.networks.weights import Weights, read_weights
from models.progress import SilentProgress
from models.scoring import model_input
from models.selftest import check_selftest
from models.spec import InputSpec, Kind, ModelSpec, Precision
from models.training.checkpoint import NAME, load
from models.training.finetune.lesson import planes
from models.training.finetune.parity import check_parity
from models.training.finetune.settled import Settled, class_graph, settle
from models.training.finetune.start import NAME as NAME_OF_START
from models.training.finetune.start import start_of
from models.training.finetune.views import Views, view
from models.training.train import Learned

pytestmark = pytest.mark.long

CLASSES = ("bar", "disc")
MODEL = ModelSpec(Kind.CLASSIFIER, CLASSES, (SPEC,))


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    """Two threads that wait for each other take minutes for small work where another process has one of the cores."""
    granted = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(granted)})
    with threadpool_limits(1):
        yield
    os.sched_setaffinity(0, granted)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    assert weights
    return painted_folders(tmp_path_factory.mktemp("labelled") / "data", 24)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    assert weights
    return painted_folders(tmp_path_factory.mktemp("few") / "data", 4)


@pytest.fixture(scope="module")
def trained(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    work = tmp_path_factory.mktemp("work")
    words = ["train", "--kind", "classifier", "--method", "finetune", "--data", str(labelled), "--epochs", "2"]
    places = ["--out", str(work / "painted" / "v3"), "--cache", str(work / "cache"), "--json"]
    done = CliRunner().invoke(app, [*words, *places])
    assert done.exit_code == 0, done.stderr
    return work / "painted" / "v3", json.loads(done.stdout)


def test_train_writes_a_classifier_that_tells_held_out_pictures_apart(trained: tuple[Path, dict[str, Any]]) -> None:
    out, found = trained
    bundle = open_bundle(out)
    check_selftest(bundle, compile_bundle(bundle))
    assert (found["id"], found["version"], found["sha256"]) == ("painted", 3, bundle.model_id.sha256)
    assert (found["method"], bundle.spec.classes) == ("finetune", CLASSES)
    assert found["fp32"]["auroc"]["value"] > 0.9
    assert found["parity"]["images"] == found["figures"]["images"]
    assert found["parity"]["largest_difference"] < 0.001
    assert "starts as a probe" in (out / "report.html").read_text(encoding="utf-8")


def test_the_run_keeps_what_does_better_on_val(trained: tuple[Path, dict[str, Any]]) -> None:
    _, found = trained
    kept, other = found["kept"], "start" if found["kept"] == "trained" else "trained"
    assert found["val"][kept]["log_loss"] <= found["val"][other]["log_loss"]
    assert found["training"]["epochs"] == 2


def test_a_val_that_can_set_no_threshold_is_refused_before_anything_is_learned(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for split, label, count in (("train", "good", 4), ("train", "disc", 4), ("val", "disc", 2), ("test", "disc", 2)):
        folder = data / split / label
        folder.mkdir(parents=True)
        for index in range(count):
            seed = sum(map(ord, split + label)) * 100 + index
            picture = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
            cv2.imwrite(str(folder / f"{split}{index}.png"), picture)
    words = ["train", "--kind", "classifier", "--method", "finetune", "--data", str(data), "--split-by", "declared"]
    places = ["--out", str(tmp_path / "a" / "v1"), "--cache", str(tmp_path / "cache")]
    done = CliRunner().invoke(app, [*words, *places])
    assert done.exit_code == 2
    assert "val holds 0 good and 2 defective images" in done.stderr
    assert not (tmp_path / "cache").exists()


def test_where_torch_is_not_installed_one_line_says_what_to_do(tmp_path: Path) -> None:
    words = ["train", "--kind", "classifier", "--method", "finetune", "--data", str(tmp_path), "--out", "new"]
    code = f"{WITHOUT_TORCH}sys.argv[1:] = {words}; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr == "cloud: No module named 'torch': pip install 'inspectd[train]'\n"


def frames(count: int, spec: InputSpec) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.integers(0, 256, (spec.height, spec.width, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("size", [pytest.param((64, 64), id="square"), pytest.param((96, 160), id="oblong")])
def test_the_network_answers_as_its_graph_and_gives_the_weights_back(weights: Weights, size: tuple[int, int]) -> None:
    spec = ModelSpec(Kind.CLASSIFIER, CLASSES, (InputSpec("image", *size),))
    network = ClassNetwork(2, STAGES, 2).begin(weights, random_start()).eval()
    back = network.weights()
    assert all(np.array_equal(weights[name], value) for name, value in back.items())
    graph = class_graph(back, spec, network.linear_head(random_start().mean))
    compiled = compile_graph(graph, Precision.FP32, threads=1)
    for frame in frames(2, spec.inputs[0]):
        shares = compiled(frame[None])["probabilities"][0]
        with torch.no_grad():
            logits = network(planes([frame]))[0].numpy()
        assert np.log(shares[1:] / shares[0]) == pytest.approx(logits, abs=1e-3)


@pytest.fixture(scope="module")
def whole(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    return run(few, tmp_path_factory.mktemp("whole"), SilentProgress())


def values(learned: Learned) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in learned.network.state_dict().values()])


def test_a_killed_run_goes_on_and_ends_with_the_very_same_weights(few: Path, whole: Learned, tmp_path: Path) -> None:
    words = [sys.executable, killed_finetune.__file__, str(few), str(tmp_path), "4"]
    child = subprocess.run(words, timeout=120, check=False, capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    (checkpoint,) = tmp_path.rglob(NAME)
    reached = load(checkpoint.parent, SETTINGS.digest)
    assert reached is not None
    assert reached.step == 4
    assert torch.equal(values(run(few, tmp_path, SilentProgress())), values(whole))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    few: Path, whole: Learned, tmp_path: Path
) -> None:
    assert torch.equal(values(run(few, tmp_path / "again", SilentProgress())), values(whole))
    other = run(few, tmp_path / "other", SilentProgress(), replace(SETTINGS, seed=1))
    assert not torch.equal(values(other), values(whole))


def test_first_stages_and_statistics_stay_and_the_rest_learns(few: Path, whole: Learned) -> None:
    before, after = lesson_of(few).begin().state_dict(), whole.network.state_dict()
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    statistics = {name for name in before if "running" in name or name in {"mean", "spread"}}
    first = {name for name in before if name.startswith(("backbone.stem", "backbone.stages.0", "backbone.stages.1"))}
    assert statistics | first <= same
    assert {
        "head.weight",
        "backbone.stages.2.0.depthwise.weight",
        "backbone.stages.6.0.project_norm.weight",
    } & same == set()


@pytest.fixture(scope="module")
def splits(labelled: Path) -> Splits:
    return split_image_level(read_dataset(labelled), Division())


@pytest.fixture(scope="module")
def settled(few: Path, whole: Learned, splits: Splits) -> Settled:
    return settle(lesson_of(few), whole.network, splits, MODEL, SilentProgress())


def test_the_graph_says_of_every_image_what_torch_said(settled: Settled, splits: Splits) -> None:
    exam = class_exam(splits.test)
    parity = check_parity(settled.network, settled.graph, settled.judge, exam, MODEL, SilentProgress())
    assert parity.images == len(exam)
    assert parity.largest < 1e-3


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("_blocks.10._project_conv.weight", id="a kernel turned"),
        pytest.param("_blocks.3._bn1.running_mean", id="a statistic"),
    ],
)
def test_a_graph_that_is_not_what_was_trained_is_refused(settled: Settled, splits: Splits, name: str) -> None:
    own = dict(settled.network.weights())
    own[name] = np.ascontiguousarray(own[name][::-1])
    calibration = settled.judge.calibration
    head = settled.network.linear_head(random_start().mean)
    bias = calibration.apply(head.bias[None].astype(np.float64))[0].astype(np.float32)
    scaled = (calibration.scale * head.weights).astype(np.float32)
    graph = class_graph(own, MODEL, LinearHead(scaled, bias, head.centre, settled.judge.threshold))
    with pytest.raises(ModelError, match=r"export: on .*\.png the graph's answer differs from torch's"):
        check_parity(settled.network, graph, settled.judge, class_exam(splits.test), MODEL, SilentProgress())


def test_a_network_that_training_made_worse_gives_way_to_its_start(
    few: Path, whole: Learned, splits: Splits, tmp_path: Path
) -> None:
    assert isinstance(whole.network, ClassNetwork)
    groups = groups_of(splits.train, splits.by)
    start = start_of(tmp_path, splits.train, groups, SPEC, read_weights(), SilentProgress())
    lesson = replace(lesson_of(few), start=start)
    found = settle(lesson, whole.network, splits, MODEL, SilentProgress())
    assert found.kept == "start"
    assert found.tried["start"].log_loss < found.tried["trained"].log_loss
    held = start_of(tmp_path, splits.train, groups, SPEC, {}, SilentProgress())
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(held, start, strict=True))
    (tmp_path / NAME_OF_START).write_bytes((tmp_path / NAME_OF_START).read_bytes()[:500])
    with pytest.raises(ModelError, match="the weights lack"):
        start_of(tmp_path, splits.train, groups, SPEC, {}, SilentProgress())


STILL = Views(InputSpec("image", 64, 96), zoom=1.0, stretch=1.0, shift=0.0, light=0.0, noise=0.0)


def test_a_view_that_is_not_varied_is_the_stations_picture_mirrored() -> None:
    image = cv2.resize(np.random.default_rng(1).integers(0, 256, (6, 7, 3), np.uint8), (70, 50))
    shown = model_input(image, STILL.spec).astype(int)
    ways = {(down, right): shown[::down, ::right] for down in (1, -1) for right in (1, -1)}
    seen = set()
    for seed in range(24):
        own = view(image, STILL, np.random.default_rng(seed)).astype(int)
        inner = np.s_[2:-2, 12:-12]  # the rim mixes with the padding a pixel earlier or later
        found = [way for way, picture in ways.items() if np.abs(picture - own)[inner].max() <= 3]
        assert len(found) == 1
        seen.update(found)
    assert seen == ways.keys()


def test_a_view_moves_and_enlarges_within_its_bounds() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[16:48, 32:64] = 255
    how = replace(STILL, zoom=1.1, shift=0.05)
    for seed in range(20):
        rows, columns = np.nonzero(view(image, how, np.random.default_rng(seed))[..., 0] > 127)
        assert abs(rows.mean() - 31.5) <= 0.05 * 64 + 1
        assert abs(columns.mean() - 47.5) <= 0.05 * 96 + 1
        assert all(32 / 1.12 - 1 <= len(np.unique(found)) <= 32 * 1.12 + 1 for found in (rows, columns))
