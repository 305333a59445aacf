"""`edge calibrate`, top-down: collect, split, fit, quantize, threshold, gate, self-test, report, bundle, activate.

Nothing half-written is ever active: everything is made in a scratch folder, the bundle appears by one rename, and
activation is one more. A kill anywhere leaves the station as it was, plus at most an inactive bundle or scratch.
"""

import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import openvino as ov

from edge.calibrate.collect import Collected, Frame, Refusal, collect
from edge.calibrate.fit import FAST, FULL, Candidate, FitSize, remember, set_threshold
from edge.calibrate.package import Evidence, package
from edge.calibrate.progress import Progress
from edge.calibrate.split import Split, split
from edge.calibrate.threshold import ThresholdProof, parts_needed
from models import bundle_store
from models.bundle import Bundle
from models.compile import compile_graph, cpu_capabilities
from models.gate import GateResult, GateScores, judge
from models.letterbox import Image
from models.near_twins import thumbnail_groups
from models.networks.anomaly import feature_graph
from models.networks.weights import read_weights
from models.quantize import quantize
from models.scoring import model_input, read_image
from models.spec import InputSpec, ModelId, Precision
from models.speed import median_ms
from models.synthetic import with_defect

INPUT = InputSpec("image", 256, 256)
_DONORS = 8


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What to calibrate, from what, and how sure to be.

    Args:
        bundle_id: product the bundle is for: 1 to 64 of a-z 0-9 . _ -
        bundles_root: the station's store of bundles.
        frames: folder with frames of good parts.
        overkill_rate: good parts that may be rejected, as a fraction.
        confidence: with which that rate shall hold.
        seed: same seed, frames and machine: same bundle but for its date.
        fast: a smaller memory from fewer frames, for a first look.
        threads: CPU threads; 0 takes what this process may use.
        activate: make the bundle the active one.
    """

    bundle_id: str
    bundles_root: Path
    frames: Path
    overkill_rate: float = 0.02
    confidence: float = 0.95
    seed: int = 0
    fast: bool = False
    threads: int = 0
    activate: bool = True


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What came of it."""

    bundle: Path
    model_id: ModelId
    threshold: ThresholdProof
    gate: GateResult
    refused: tuple[Refusal, ...]
    split: dict[str, int]
    speed_ms: dict[str, float]
    activated: bool
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        """The page a person reads."""
        return self.bundle / "report.html"

    @property
    def precision(self) -> Precision:
        """What the gate let through."""
        return self.model_id.precision

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        plain = {"model_id": asdict(self.model_id), "threshold": asdict(self.threshold), "gate": asdict(self.gate)}
        return {
            **plain, "bundle": str(self.bundle), "report": str(self.report), "split": self.split,
            "speed_ms": self.speed_ms, "activated": self.activated, "seconds": self.seconds,
            "refused": [asdict(refusal) for refusal in self.refused],
        }


def calibrate(request: CalibrationRequest, progress: Progress) -> CalibrationResult:
    """Make a bundle from good parts, prove it as far as the frames allow, and make it active.

    Raises:
        ConfigError: the folder, the number of frames or a rate will not do.
        CameraError: the folder cannot be read.
        ModelError: weights missing, or OpenVINO or nncf refuses the graph.
    """
    clock = _Clock()
    bundle_store.next_version(request.bundles_root, request.bundle_id)
    wanted = parts_needed(request.overkill_rate, request.confidence)
    collected = collect(request.frames, progress)
    clock.lap("collect")
    groups = thumbnail_groups([frame.thumbnail for frame in collected.frames])
    parts = _Parts(collected.frames, split(groups, wanted, request.seed))
    clock.lap("split")
    work = _Work(request, parts, progress, clock)
    fp32, int8, backbone = work.candidates()
    chosen, gate, evidence = work.choose(fp32, int8, backbone, collected)
    made = work.write(chosen, gate, evidence)
    if request.activate:
        bundle_store.activate(request.bundles_root, request.bundle_id, made.manifest.version)
    clock.lap("activate")
    return CalibrationResult(
        made.path, made.model_id, chosen.proof, gate, collected.refused, parts.split.sizes(), evidence.speed_ms,
        request.activate, clock.seconds,
    )
