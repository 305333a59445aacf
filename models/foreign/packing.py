"""A tried foreign graph as a bundle: graph, head, self-test, report and manifest."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import openvino as ov

from models.bundle import SELFTEST, file_entries
from models.claims import save_graphs, tools_used
from models.compile import compile_graph
from models.detecting import detect_images
from models.detections import Detections
from models.foreign.detector import suppression
from models.foreign.graph import ForeignGraph
from models.foreign.head import DetectorHead, Head
from models.foreign.report import write_report
from models.foreign.trial import Tried
from models.manifest import (
    DeclaredThreshold,
    DetectorThreshold,
    GateRecord,
    ImportedEntry,
    InputEntry,
    Manifest,
    SelftestEntry,
)
from models.scoring import read_image, score_images
from models.selftest_frames import expected_findings, telling, write_expected
from models.spec import Kind, Precision

REPORT, HEAD_FILE = "report.html", "head.toml"
_CHOSEN_BY = "head.toml"
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Import:
    """What goes into the bundle, and when it was made.

    Args:
        bundle_id: of the bundle.
        foreign: the graph as it came.
        head: what was declared.
        head_file: the file that says so.
        tried: the graph that runs.
        created_at: now.
    """

    bundle_id: str
    foreign: ForeignGraph
    head: Head
    head_file: Path
    tried: Tried
    created_at: datetime


def pack_import(what: Import, scratch: Path, version: int) -> Manifest:
    """Fill an empty folder with everything the bundle holds, and return its manifest.

    Raises:
        ModelError: a sample cannot be read any more, or OpenVINO refuses the written graph.
    """
    save_graphs(scratch, what.tried.graph, what.tried.graph)
    shutil.copyfile(what.head_file, scratch / HEAD_FILE)
    _write_selftest(scratch, what)
    write_report(scratch / REPORT, f"{what.bundle_id} v{version}: imported", what.foreign, what.head, what.tried)
    return Manifest(
        id=what.bundle_id,
        kind=what.tried.spec.kind,
        version=version,
        classes=list(what.head.classes),
        inputs=[InputEntry.of(what.foreign.spec)],
        precision=Precision.FP32,
        dataset_sha256=digest_of(what.tried.samples),
        metrics={},
        thresholds={"fp32": _threshold(what.head)},
        gate=GateRecord(outcome="not run", reason="imported, FP32", images=0),
        imported=ImportedEntry(file=what.foreign.file, sha256=what.foreign.sha256),
        tools=tools_used(),
        created_at=what.created_at,
        files=file_entries(scratch),
    )


def digest_of(samples: Sequence[Path]) -> str:
    """Names this set of files: sha256 over names and contents, in the order given."""
    lines = (f"{sample.name} {hashlib.sha256(sample.read_bytes()).hexdigest()}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _threshold(head: Head) -> DetectorThreshold | DeclaredThreshold:
    if isinstance(head, DetectorHead):
        how = suppression(head)
        return DetectorThreshold(
            raw_score=head.decode.threshold,
            chosen_by=_CHOSEN_BY,
            lowest_raw_score=how.min_score,
            most_findings=how.most,
        )
    return DeclaredThreshold(raw_value=head.decode.threshold, values=head.decode.values, chosen_by=_CHOSEN_BY)


def _write_selftest(scratch: Path, what: Import) -> None:
    """Samples that tell, as PNG, with what the written graph says of these very files."""
    folder = (scratch / SELFTEST).parent
    folder.mkdir()
    frames = []
    for number, index in enumerate(_telling(what.tried), 1):
        frames.append(folder / f"frame{number}.png")
        cv2.imwrite(str(frames[-1]), read_image(what.tried.samples[index]))
    compiled = compile_graph(scratch / "model.xml", Precision.FP32)
    write_expected(scratch, _expected(compiled, frames, what.tried))


def _telling(tried: Tried) -> list[int]:
    if tried.spec.kind is Kind.DETECTOR:
        return telling(tried.found, range(len(tried.found)))
    order = np.argsort([-one.frame_score for one in tried.found], kind="stable").tolist()
    return list(dict.fromkeys([*order[:2], order[-1]]))


def _expected(compiled: ov.CompiledModel, frames: list[Path], tried: Tried) -> list[SelftestEntry]:
    if tried.spec.kind is Kind.DETECTOR:
        found: list[Detections] = detect_images(compiled, frames, tried.spec)
        return [expected_findings(*pair) for pair in zip(frames, found, strict=True)]
    scores = score_images(compiled, frames, tried.spec.inputs[0]).scores
    return [
        SelftestEntry(frame=frame.name, score=float(score), tolerance=_TOLERANCE)
        for frame, score in zip(frames, scores, strict=True)
    ]
