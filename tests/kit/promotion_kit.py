"""A frozen dataset of grey frames with squares, and classifiers that claim to have been trained by it."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from classifier_kit import CLASSES, SPEC, bright_graph, frame
from station_kit import SIDE

from models.bundle import Bundle, file_entries, write_bundle
from models.classifying import classify_images
from models.compile import compile_graph
from models.dataset.image_level import split_image_level
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.snapshot import digest
from models.errors import ModelError
from models.manifest import ClassifierThreshold, GateRecord, InputEntry, Manifest, SelftestEntry, SelftestFile
from models.spec import Kind, Precision

COUNTS = {"train": (20, 6), "val": (6, 3), "test": (40, 12)}  # good images, and of each defect
SHADE, FAINT = 40, 58  # how far from mid grey: a harmless shade; a defect that can just be seen
_PASSED = GateRecord(outcome="passed", reason="n=600: the test says so", images=600)
NO_GATE = GateRecord(outcome="not run", reason="a graph for tests", images=0)


def frozen_data(root: Path, seed: int = 0) -> Path:
    """Splits by folder; of the good frames a fifth have a shade, the defects are bright or dark squares."""
    random = np.random.default_rng(seed)
    for split, (good, bad) in COUNTS.items():
        for index in range(good):
            apart = int(random.integers(SHADE - 4, SHADE + 5)) if index % 5 == 0 else 0
            _write(root / split / "good" / f"{index:03}.png", apart, random)
        for name, sign in (("bright", 1), ("dark", -1)):
            for index in range(bad):
                _write(root / split / name / f"{index:03}.png", sign * int(random.integers(FAINT, 120)), random)
    return root


def digest_of(data: Path, by: str = "auto") -> str:
    """What a classifier that was trained by this data says of it."""
    return digest(split_image_level(read_dataset(data), Division(by)))


def challenger(
    root: Path,
    name: str,
    learned: str,
    *,
    graph: ov.Model | None = None,
    gate: GateRecord = NO_GATE,
    precision: Precision = Precision.FP32,
    classes: tuple[str, ...] = CLASSES,
) -> Bundle:
    """A classifier bundle that says it learned from data of this digest; its self-test is its own answer."""
    source, model = root / f".source-{name}", graph or bright_graph()
    (source / "selftest").mkdir(parents=True)
    ov.save_model(model, source / "model.xml", compress_to_fp16=False)
    cv2.imwrite(str(source / "selftest" / "good.png"), frame())
    (source / "selftest" / "expected.json").write_text(SelftestFile(cases=[_case(model)]).model_dump_json())
    manifest = Manifest(
        id=name,
        kind=Kind.CLASSIFIER,
        version=1,
        classes=list(classes),
        inputs=[InputEntry(name="image", height=SIDE, width=SIDE)],
        precision=precision,
        dataset_sha256=learned,
        metrics={},
        thresholds={"fp32": ClassifierThreshold(probability=0.5, chosen_by="the test", shifts=[0.0, 0.0])},
        gate=_PASSED if precision is Precision.INT8 and gate is NO_GATE else gate,
        tools={},
        created_at=datetime.now(UTC),
        files=file_entries(source),
    )
    return write_bundle(source, root / name / "v1", manifest)


def _case(model: ov.Model) -> SelftestEntry:
    try:
        (said,) = classify_images(compile_graph(model, Precision.FP32), [frame()], SPEC).scores
    except ModelError:
        said = np.zeros(len(CLASSES), np.float32)
    return SelftestEntry(frame="good.png", score=float(said.max()), tolerance=0.05, scores=said.tolist())


def _write(path: Path, apart: int, random: np.random.Generator) -> None:
    """A frame of mid grey with a little noise, and a square so far from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = frame().astype(np.int16) + random.integers(-6, 7, (SIDE, SIDE, 1))
    if apart:
        image[24:40, 24:40] += apart
    cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
