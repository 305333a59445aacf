"""Parts that lie a little off, and an anomaly bundle that lays them on a reference; quick to compile, no training."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from detector_kit import Picture, pattern
from openvino import opset13 as ops

from models.bundle import Bundle, file_entries, write_bundle
from models.bundle_store import activate, version_path
from models.compile import compile_graph
from models.manifest import AlignmentEntry, GateRecord, InputEntry, Manifest, SelftestEntry, SelftestFile
from models.pose import Pose
from models.scoring import model_input, score_images
from models.spec import Alignment, Fit, InputSpec, Kind, Precision

SIDE = 96
GRID = 12
SIZE = (200, 150)
BORDER = 40
INPUT = InputSpec("image", SIDE, SIDE, fit=Fit.STRETCH)
HOW = Alignment(max_shift_px=16.0, min_correlation=0.6)


def world(seed: int = 0) -> Picture:
    """More than a camera sees, so that what moves in is not what moved out; soft, as lenses are."""
    return np.asarray(
        cv2.GaussianBlur(pattern((SIZE[0] + 2 * BORDER, SIZE[1] + 2 * BORDER), seed), (0, 0), 1), np.uint8
    )


def seen(of: Picture, right: float = 0, down: float = 0, turn_deg: float = 0, zoom: float = 1) -> Picture:
    """What a camera of a resolution sees of a part that lies so far right and down, turned about the middle."""
    middle = (of.shape[1] - 1) / 2, (of.shape[0] - 1) / 2
    matrix = np.vstack([cv2.getRotationMatrix2D(middle, turn_deg, 1), [0, 0, 1]])
    matrix[:2, 2] += right - BORDER, down - BORDER
    larger = np.array([[zoom, 0, (zoom - 1) / 2], [0, zoom, (zoom - 1) / 2], [0, 0, 1]])
    size = round(SIZE[0] * zoom), round(SIZE[1] * zoom)
    return np.asarray(cv2.warpAffine(of, (larger @ matrix)[:2], size, flags=cv2.INTER_LINEAR), np.uint8)


def usual_graph(usual: Picture) -> ov.Model:
    """An anomaly graph of what is usual at each place: how far each cell's brightness is from it; 0.5 is 24 levels."""
    image = ops.parameter([1, SIDE, SIDE, 3], ov.Type.u8, name="image")
    apart = ops.abs(ops.subtract(ops.convert(image, "f32"), ops.constant(usual[None].astype(np.float32))))
    grey = ops.transpose(ops.reduce_mean(apart, np.array([3]), keep_dims=True), np.array([0, 3, 1, 2]))
    step = SIDE // GRID
    pooled = ops.avg_pool(grey, [step, step], [0, 0], [0, 0], [step, step], exclude_pad=True)
    heat = ops.divide(pooled, ops.add(pooled, np.float32(24)))
    heat_map = ops.reshape(heat, np.array([1, GRID, GRID]), special_zero=False)
    score = ops.reduce_max(heat_map, np.array([1, 2]))
    model = ov.Model([ops.result(score), ops.result(heat_map)], [image], "usual")
    for index, name in enumerate(("score", "map")):
        model.output(index).get_tensor().set_names({name})
    return model


def aligned_bundle(root: Path, of: Picture, bundle_id: str = "blob", how: Alignment = HOW) -> Bundle:
    """Version 1, active: the part is `of`, seen straight; its self-test shows it straight, and moved and turned."""
    source = root / f".source-{bundle_id}"
    (source / "selftest").mkdir(parents=True)
    reference = seen(of)
    pose, graph = Pose(reference, how, INPUT), usual_graph(model_input(reference, INPUT))
    ov.save_model(graph, source / "model.xml", compress_to_fp16=False)
    cv2.imwrite(str(source / "reference.png"), reference)
    frames = {"straight.png": reference, "moved.png": seen(of, 7, -4, 1.5)}
    scores = score_images(
        compile_graph(graph, Precision.FP32, threads=1), list(frames.values()), INPUT, pose=pose
    ).scores
    for name, frame in frames.items():
        cv2.imwrite(str(source / "selftest" / name), frame)
    named = zip(frames, scores, strict=True)
    cases = [SelftestEntry(frame=name, score=float(score), tolerance=0.02) for name, score in named]
    (source / "selftest" / "expected.json").write_text(SelftestFile(cases=cases).model_dump_json())
    alignment = AlignmentEntry(
        max_shift_px=how.max_shift_px, min_correlation=how.min_correlation, reference="reference.png"
    )
    manifest = Manifest(
        id=bundle_id,
        kind=Kind.ANOMALY,
        version=1,
        classes=["anomaly"],
        inputs=[InputEntry.of(INPUT)],
        precision=Precision.FP32,
        dataset_sha256="0" * 64,
        metrics={},
        thresholds={},
        gate=GateRecord(outcome="not run", reason="a graph for tests", images=0),
        alignment=alignment,
        tools={"openvino": ov.__version__},
        created_at=datetime.now(UTC),
        files=file_entries(source),
    )
    bundle = write_bundle(source, version_path(root, bundle_id, 1), manifest)
    activate(root, bundle_id, 1)
    return bundle
