"""Folders of painted pictures by label, and a small classifier bundle that needs no weights: bright or dark halves."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from station_kit import SIDE

from models.bundle import Bundle, file_entries, write_bundle
from models.bundle_store import activate, version_path
from models.classifying import classify_images
from models.compile import compile_graph
from models.manifest import (
    ClassifierThreshold,
    GateRecord,
    InputEntry,
    Manifest,
    SelftestEntry,
    SelftestFile,
)
from models.networks.backbone import image_input
from models.networks.classes import LinearHead, class_outputs
from models.spec import InputSpec, Kind, ModelSpec, Precision

CLASSES = ("bright", "dark")
SPEC = ModelSpec(Kind.CLASSIFIER, CLASSES, (InputSpec("image", SIDE, SIDE),))
# What a process runs that cannot find torch: nncf loads it where it is, so its absence is what can be tested.
WITHOUT_TORCH = """
import sys
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] == "torch" else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path = [Hiding(finder) for finder in sys.meta_path]
from cloud_sync.hub.cli import main
"""


def painted_folders(root: Path, count: int, size: int = 64, seed: int = 0) -> Path:
    """`count` images each of good, disc and bar, below folders of these names."""
    random = np.random.default_rng(seed)
    for label in ("good", "disc", "bar"):
        (root / label).mkdir(parents=True)
        for index in range(count):
            coarse = random.integers(90, 150, (8, 8)).astype(np.uint8)
            image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
            x, y = (int(value) for value in random.integers(14, size - 14, 2))
            if label == "disc":
                cv2.circle(image, (x, y), 8, 240, -1)
            if label == "bar":
                image[y - 4 : y + 4, x - 12 : x + 12] = 15
            cv2.imwrite(str(root / label / f"{index:03}.png"), image)
    return root


def bright_graph(
    *, nan_above: float | None = None, bias: float = -4.0, sight: tuple[float, float] = (10, 10)
) -> ov.Model:
    """A classifier by the real head, on 8 x 8 cells: `bright` where one is far above mid grey, `dark` where below.

    `sight` is how strongly each of the two is seen.
    """
    image = image_input(SIDE, SIDE)
    grey = ops.reduce_mean(ops.convert(image, np.float32), np.array([3]), keep_dims=True)
    apart = ops.divide(ops.subtract(ops.transpose(grey, np.array([0, 3, 1, 2])), np.float32(128)), np.float32(127))
    cells = ops.avg_pool(apart, [8, 8], [0, 0], [0, 0], [8, 8], exclude_pad=True)
    maps = ops.concat([ops.relu(cells), ops.relu(ops.multiply(cells, np.float32(-1)))], 1)
    if nan_above is not None:
        over = ops.relu(ops.subtract(ops.reduce_mean(grey, np.array([0, 1, 2, 3])), np.float32(nan_above)))
        maps = ops.add(maps, ops.sqrt(ops.subtract(np.float32(0), over)))
    weights = np.zeros((2, 6), np.float32)
    weights[0, 2], weights[1, 3] = sight
    head = LinearHead(weights, np.full(2, bias, np.float32), np.zeros(6, np.float32))
    return ov.Model(class_outputs([maps], head), [image], "bright")


def frame(level: int | None = None, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """A grey frame (H, W, 3), with a square of this level in its middle."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    if level is not None:
        image[24:40, 24:40] = level
    return image


def make_classifier(
    root: Path, *, nan_above: float | None = None, wrong_selftest: bool = False, bias: float = -4.0
) -> Bundle:
    """Write it as version 1 of `blob` and make it active."""
    source = root / ".source-blob"
    (source / "selftest").mkdir(parents=True)
    model = bright_graph(nan_above=nan_above, bias=bias)
    ov.save_model(model, source / "model.xml", compress_to_fp16=False)
    frames = {"bright.png": frame(255), "good.png": frame()}
    for name, image in frames.items():
        cv2.imwrite(str(source / "selftest" / name), image)
    said = classify_images(compile_graph(model, Precision.FP32), list(frames.values()), SPEC).scores
    if wrong_selftest:
        said = np.ascontiguousarray(said[:, ::-1])  # the highest score is right, its class is not
    cases = [
        SelftestEntry(frame=name, score=float(scores.max()), tolerance=0.05, scores=scores.tolist())
        for name, scores in zip(frames, said, strict=True)
    ]
    (source / "selftest" / "expected.json").write_text(SelftestFile(cases=cases).model_dump_json())
    manifest = Manifest(
        id="blob",
        kind=Kind.CLASSIFIER,
        version=1,
        classes=list(CLASSES),
        inputs=[InputEntry(name="image", height=SIDE, width=SIDE)],
        precision=Precision.FP32,
        dataset_sha256="0" * 64,
        metrics={},
        thresholds={"fp32": ClassifierThreshold(probability=0.5, chosen_by="the test", shifts=[0.0, 0.0])},
        gate=GateRecord(outcome="not run", reason="a graph for tests", images=0),
        tools={},
        created_at=datetime.now(UTC),
        files=file_entries(source),
    )
    bundle = write_bundle(source, version_path(root, "blob", 1), manifest)
    activate(root, "blob", 1)
    return bundle
