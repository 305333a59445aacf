"""Detectors that are quick to compile and need no training: squares brighter or darker than what should be there."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from station_kit import GREY, SIDE

from models.bundle import Bundle, file_entries, write_bundle
from models.bundle_store import activate, version_path
from models.compile import compile_graph
from models.detecting import detect_images
from models.manifest import (
    AlignmentEntry,
    DetectorThreshold,
    FindingEntry,
    GateRecord,
    InputEntry,
    Manifest,
    SelftestEntry,
    SelftestFile,
    TilingEntry,
)
from models.spec import Alignment, InputSpec, Kind, ModelSpec, Precision, Tiling

CLASSES = ("bright", "dark")
SQUARE = 8
LOWEST = 0.2
MOST = 20
ALIGNMENT = Alignment(max_shift_px=6.0, min_correlation=0.6)
Picture = np.ndarray[Any, np.dtype[np.uint8]]
_STEP = 2


def square_graph(*, compares: bool = False, nan_above: float | None = None, sight: float = 1) -> ov.Model:
    """A detector of squares of 8 pixels, in 64 x 64: brighter or darker than the reference, or than mid grey.

    A frame whose mean brightness is above `nan_above` gets NaN scores, which suppression drops without a word; with
    `sight` below 1 it sees less contrast.
    """
    image = _input("image")
    inputs = [image, _input("reference")] if compares else [image]
    beside = _grey(inputs[1]) if compares else ops.constant(np.float32(GREY))
    apart = ops.divide(ops.subtract(_grey(image), beside), np.float32(127 / sight))
    if nan_above is not None:
        above = ops.relu(ops.subtract(ops.reduce_mean(_grey(image), np.array([0, 1, 2, 3])), np.float32(nan_above)))
        apart = ops.add(apart, ops.sqrt(ops.subtract(np.float32(0), above)))
    pooled = ops.avg_pool(apart, [_STEP] * 2, [0, 0], [0, 0], [SQUARE] * 2, exclude_pad=True)
    both = ops.concat([pooled, ops.multiply(pooled, np.float32(-1))], 1)
    cells = ops.reshape(ops.transpose(both, np.array([0, 2, 3, 1])), np.array([-1, 2]), special_zero=False)
    best = ops.topk(ops.relu(cells), np.array(1), 1, "max", "none")
    height = ops.squeeze(best.output(0), np.array(1))
    scores = ops.divide(height, ops.add(height, np.float32(0.25)))
    finite = ops.multiply(ops.reduce_sum(pooled, np.array([0, 1, 2, 3])), np.float32(0))
    results = _findings(scores, ops.squeeze(best.output(1), np.array(1)))
    results["finite"] = ops.reshape(finite, np.array([1]), special_zero=False)
    model = ov.Model([ops.result(node) for node in results.values()], inputs, "squares")
    for index, name in enumerate(results):
        model.output(index).get_tensor().set_names({name})
    return model


def _input(name: str) -> ov.Node:
    node = ops.parameter([1, SIDE, SIDE, 3], ov.Type.u8, name=name)
    node.output(0).get_tensor().set_names({name})
    return node


def _grey(image: ov.Node) -> ov.Node:
    grey = ops.reduce_mean(ops.convert(image, "f32"), np.array([3]), keep_dims=True)
    return ops.transpose(grey, np.array([0, 3, 1, 2]))


def _findings(scores: ov.Node, ids: ov.Node) -> dict[str, ov.Node]:
    starts = np.arange(0, SIDE - SQUARE + 1, _STEP, np.float32)
    rows, columns = np.meshgrid(starts, starts, indexing="ij")
    corner = np.stack([columns, rows], 2).reshape(-1, 2)
    boxes = ops.constant(np.concatenate([corner, corner + SQUARE], 1))
    chosen = ops.non_max_suppression(
        ops.unsqueeze(boxes, np.array(0)),
        ops.unsqueeze(scores, np.array([0, 1])),
        np.array(MOST),
        np.float32(0.1),
        np.float32(LOWEST),
        output_type="i32",
    )
    kept = ops.gather(chosen.output(0), np.array(2), np.array(1))
    parts = {"boxes": boxes, "scores": scores, "class_ids": ops.convert(ids, np.int32)}
    return {name: ops.gather(node, kept, np.array(0)) for name, node in parts.items()}


def pattern(size: tuple[int, int] = (SIDE, SIDE), seed: int = 0) -> Picture:
    """A golden reference (H, W, 3): soft spots between dark and light grey, unlike any other seed's."""
    random = np.random.default_rng(seed)
    small = random.integers(60, 197, (size[1] // 8 + 1, size[0] // 8 + 1), np.uint8)
    return cv2.cvtColor(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR).astype(np.uint8)


def grey(size: tuple[int, int] = (SIDE, SIDE)) -> Picture:
    return np.full((size[1], size[0], 3), GREY, np.uint8)


def with_square(image: Picture, left: int, top: int, level: int = 255, side: int = SQUARE) -> Picture:
    """A copy with a square of one grey."""
    changed = image.copy()
    changed[top : top + side, left : left + side] = level
    return changed


def detector_spec(
    *, compares: bool = False, tiling: Tiling | None = None, alignment: Alignment | None = ALIGNMENT
) -> ModelSpec:
    names = ("image", "reference") if compares else ("image",)
    inputs = tuple(InputSpec(name, SIDE, SIDE) for name in names)
    return ModelSpec(Kind.DETECTOR, CLASSES, inputs, tiling, alignment if compares else None)


def make_detector(  # noqa: PLR0913 - what tests vary
    root: Path,
    bundle_id: str = "blob",
    *,
    compares: bool = False,
    tiling: Tiling | None = None,
    nan_above: float | None = None,
    sight: float = 1,
    wrong_selftest: bool = False,
    active: bool = True,
) -> Bundle:
    """Write the detector as version 1 of a bundle: a self-test frame with a square, and one without."""
    source = root / f".source-{bundle_id}"
    (source / "selftest").mkdir(parents=True)
    (source / "fp32").mkdir()
    model = square_graph(compares=compares, nan_above=nan_above, sight=sight)
    spec = detector_spec(compares=compares, tiling=tiling)
    for path in (source / "model.xml", source / "fp32" / "model.xml"):
        ov.save_model(model, path, compress_to_fp16=False)
    good = pattern(seed=9) if compares else grey()
    cases = [
        _case(source, model, spec, (name, frame, good))
        for name, frame in (("square.png", with_square(good, 20, 30)), ("good.png", good))
    ]
    if wrong_selftest:
        cases[1] = cases[1].model_copy(update={"findings": cases[0].findings})
    (source / "selftest" / "expected.json").write_text(SelftestFile(cases=cases).model_dump_json())
    manifest = _manifest(source, bundle_id, spec)
    bundle = write_bundle(source, version_path(root, bundle_id, 1), manifest)
    if active:
        activate(root, bundle_id, 1)
    return bundle


def _manifest(source: Path, bundle_id: str, spec: ModelSpec) -> Manifest:
    cut, keeps = spec.tiling, spec.alignment
    return Manifest(
        id=bundle_id,
        kind=Kind.DETECTOR,
        version=1,
        classes=list(spec.classes),
        inputs=[InputEntry.of(one) for one in spec.inputs],
        precision=Precision.FP32,
        dataset_sha256="0" * 64,
        metrics={},
        thresholds={
            "fp32": DetectorThreshold(raw_score=0.5, chosen_by="the test", lowest_raw_score=LOWEST, most_findings=MOST)
        },
        gate=GateRecord(outcome="not run", reason="a graph for tests", images=0),
        tiling=None if cut is None else TilingEntry(tile_px=cut.tile_px, overlap_px=cut.overlap_px),
        alignment=keeps and AlignmentEntry(max_shift_px=keeps.max_shift_px, min_correlation=keeps.min_correlation),
        tools={"openvino": ov.__version__},
        created_at=datetime.now(UTC),
        files=file_entries(source),
    )


def _case(source: Path, model: ov.Model, spec: ModelSpec, what: tuple[str, Picture, Picture]) -> SelftestEntry:
    name, frame, golden = what
    cv2.imwrite(str(source / "selftest" / name), frame)
    reference = f"golden-{name}" if spec.compares else None
    if reference:
        cv2.imwrite(str(source / "selftest" / reference), golden)
    (found,) = detect_images(compile_graph(model, Precision.FP32), [frame], spec, [golden])
    findings = [
        FindingEntry(box_xyxy=box.tolist(), score=float(score), class_id=int(class_id))
        for box, score, class_id in zip(found.boxes_xyxy, found.scores, found.class_ids, strict=True)
    ]
    return SelftestEntry(frame=name, score=found.frame_score, tolerance=0.05, reference=reference, findings=findings)


RECIPE = """
[product.recipe]
kind = "detector"
[product.recipe.classes.bright]
min_area_px = 9
[product.recipe.classes.dark]
max_count = 1
"""
