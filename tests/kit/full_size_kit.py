"""Bundles of the sizes that lines run, in INT8, from graphs of chance: what runs does not depend on the weights."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray

from models.bundle import Bundle, file_entries, open_bundle, write_bundle
from models.bundle_store import version_path
from models.compile import compile_graph
from models.detecting import detect_images
from models.export import export_detector
from models.manifest import (
    DetectorThreshold,
    FindingEntry,
    GateRecord,
    InputEntry,
    Manifest,
    SelftestEntry,
    SelftestFile,
)
from models.networks.anomaly import PartStatistics, anomaly_graph, feature_graph
from models.networks.detector import Detector, DetectorShape
from models.networks.lite import load_imagenet
from models.networks.weights import read_weights
from models.quantize import ANOMALY_FLOAT, DETECTOR_FLOAT, quantize
from models.spec import Fit, InputSpec, Kind, ModelSpec, Precision

_DIRECTIONS = 100
_MOST = 100


def anomaly_256(root: Path, frames: list[NDArray[np.uint8]]) -> Bundle:
    """An anomaly model as `edge calibrate` makes it, 256 x 256."""
    spec = InputSpec("image", 256, 256, fit=Fit.STRETCH)
    backbone = feature_graph(read_weights(), spec)
    shape, random = tuple(backbone.output("features").shape), np.random.default_rng(0)
    size = _DIRECTIONS + 2
    projection = random.normal(size=(_DIRECTIONS, shape[1])).astype(np.float32)
    whitening = random.normal(size=(shape[2] // 2, shape[3] // 2, size, size)).astype(np.float32)
    light = np.array([[100, 3], [20, 1]], np.float32)
    statistics = PartStatistics(np.zeros(shape, np.float32), projection, light, whitening)
    graph = quantize(anomaly_graph(backbone, statistics, 2.0), _scaled(frames, 256), ANOMALY_FLOAT)
    return _bundle(root, "anomaly", graph, Kind.ANOMALY, spec)


def detector_640(root: Path, frames: list[NDArray[np.uint8]]) -> Bundle:
    """A detector as the trainer makes it for large frames, 640 x 640, stem stride 4."""
    torch.manual_seed(0)
    network = Detector(DetectorShape(6, colour=False, reference=False, stem_stride=4))
    load_imagenet(network.backbone, read_weights(), 1)
    spec = InputSpec("image", 640, 640)
    graph = export_detector(network.eval(), network.shape, spec, 0.3)
    return _bundle(root, "detector", quantize(graph, _scaled(frames, 640), DETECTOR_FLOAT), Kind.DETECTOR, spec)


def _scaled(frames: list[NDArray[np.uint8]], side: int) -> list[NDArray[np.uint8]]:
    return [np.asarray(cv2.resize(frame, (side, side)), np.uint8) for frame in frames]


def _bundle(root: Path, name: str, graph: ov.Model, kind: Kind, spec: InputSpec) -> Bundle:
    source = root / f".source-{name}"
    (source / "selftest").mkdir(parents=True)
    ov.save_model(graph, source / "model.xml", compress_to_fp16=False)
    black = np.zeros((spec.height, spec.width, 3), np.uint8)
    cv2.imwrite(str(source / "selftest" / "black.png"), black)
    case = _case(graph, black, ModelSpec(kind, _classes(kind), (spec,)))
    (source / "selftest" / "expected.json").write_text(SelftestFile(cases=[case]).model_dump_json())
    (source / "report.html").write_text("<!doctype html><title>of chance</title>")
    raw = DetectorThreshold(raw_score=0.5, chosen_by="chance", lowest_raw_score=0.1, most_findings=_MOST)
    manifest = Manifest(
        id=name,
        kind=kind,
        version=1,
        classes=list(_classes(kind)),
        inputs=[InputEntry.of(spec)],
        precision=Precision.INT8,
        dataset_sha256="0" * 64,
        metrics={},
        thresholds={} if kind is Kind.ANOMALY else {"int8": raw},
        gate=GateRecord(outcome="passed", reason="a graph of chance, for its speed", images=0),
        tools={"openvino": ov.__version__},
        created_at=datetime.now(UTC),
        files=file_entries(source),
    )
    return open_bundle(write_bundle(source, version_path(root, name, 1), manifest).path)


def _classes(kind: Kind) -> tuple[str, ...]:
    return ("anomaly",) if kind is Kind.ANOMALY else tuple(f"defect-{number}" for number in range(6))


def _case(graph: ov.Model, frame: NDArray[np.uint8], spec: ModelSpec) -> SelftestEntry:
    compiled = compile_graph(graph, Precision.INT8)
    if spec.kind is Kind.ANOMALY:
        score = float(compiled(frame[None])["score"][0])
        return SelftestEntry(frame="black.png", score=score, tolerance=0.4)
    (found,) = detect_images(compiled, [frame], spec)
    findings = [
        FindingEntry(box_xyxy=box.tolist(), score=float(score), class_id=int(class_id))
        for box, score, class_id in zip(found.boxes_xyxy, found.scores, found.class_ids, strict=True)
    ]
    return SelftestEntry(frame="black.png", score=found.frame_score, tolerance=0.4, findings=findings)
