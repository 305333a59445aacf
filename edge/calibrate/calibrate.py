"""`edge calibrate`, top-down: collect, split, fit, quantize, threshold, gate, self-test, report, bundle, activate.

Nothing half-written is ever active: everything is made in a scratch folder, the bundle appears by one rename, and
activation is one more. A kill anywhere leaves the station as it was, plus at most an inactive bundle or scratch.
"""

import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.calibrate.collect import Frame, Refusal, collect
from edge.calibrate.defects import DefectFrames, read_defects
from edge.calibrate.pictures import ChecksTarget, LearnedChecks, learn_checks
from edge.calibrate.report.facts import ReportFacts
from edge.calibrate.report.identity import identify
from edge.calibrate.report.page import write_report
from models import bundle_store
from models.anomaly.bench import AnyGate, Choice, FrameSets, Workbench
from models.anomaly.dealing import Indices, Split, split
from models.anomaly.fit import FAST_FRAMES, FULL_FRAMES, input_for
from models.anomaly.packaging import Provenance, package
from models.anomaly.threshold import ThresholdProof, parts_needed
from models.bundle import Bundle
from models.near_twins import thumbnail_groups
from models.networks.anomaly import feature_graph
from models.networks.weights import read_weights
from models.progress import Progress
from models.spec import InputSpec, ModelId, Precision


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
        fast: from fewer frames, for a first look.
        threads: CPU threads; 0 takes what this process may use.
        activate: make the bundle the active one.
        checks: whose camera's checks are learned from the same frames, if any.
        defects: folder with frames of defective parts, or None.
        station: the station's id, for the report.
        options: of the command, for the report.
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
    checks: ChecksTarget | None = None
    defects: Path | None = None
    station: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What came of it.

    `left_out` names good frames that were not learned from because they look like no other, `doubtful` such among
    those that set the threshold: they count, because a proof may not choose its frames, and should be looked at.
    """

    bundle: Path
    model_id: ModelId
    threshold: ThresholdProof
    gate: AnyGate
    refused: tuple[Refusal, ...]
    left_out: tuple[str, ...]
    doubtful: tuple[str, ...]
    split: dict[str, int]
    speed_ms: dict[str, float]
    activated: bool
    seconds: dict[str, float]
    checks: LearnedChecks | None = None

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
            **plain,
            "bundle": str(self.bundle),
            "report": str(self.report),
            "split": self.split,
            "speed_ms": self.speed_ms,
            "activated": self.activated,
            "seconds": self.seconds,
            "left_out": list(self.left_out),
            "doubtful": list(self.doubtful),
            "refused": [asdict(refusal) for refusal in self.refused],
            "checks": None if self.checks is None else self.checks.as_json(),
        }


def calibrate(request: CalibrationRequest, progress: Progress) -> CalibrationResult:
    """Make a bundle from good parts, prove it as far as the frames allow, and make it active.

    Raises:
        ConfigError: the folder will not do.
        RequestError: too few frames, or a rate or confidence outside (0, 1).
        CameraError: the folder cannot be read.
        ModelError: weights missing, or OpenVINO or nncf refuses the graph.
    """
    clock = _Clock()
    wanted = parts_needed(request.overkill_rate, request.confidence)
    version = bundle_store.next_version(request.bundles_root, request.bundle_id)
    weights = read_weights()
    collected = collect(request.frames, progress)
    dealt = split(thumbnail_groups([frame.thumbnail for frame in collected.frames]), wanted, request.seed)
    clock.lap("collect")
    checks = None if request.checks is None else learn_checks(request.checks, collected, progress)
    spec = input_for([(frame.width, frame.height) for frame in collected.frames])
    defects = None if request.defects is None else read_defects(request.defects, collected.digests)
    bench = _workbench(request, spec, _sets(collected.frames, dealt, defects), progress)
    choice = bench.choose(feature_graph(weights, spec))
    clock.lap("fit")
    identity = identify(request.bundle_id, datetime.now(UTC), request.station, request.options)
    facts = ReportFacts(
        request.bundle_id, version, collected, dealt.sizes(), choice, request.fast, identity, checks, defects
    )
    bundle = _write(request, bench, facts, progress)
    clock.lap("write")
    if request.activate:
        if checks is not None:
            checks.save()
        bundle_store.activate(request.bundles_root, request.bundle_id, version)
    return _result(request, bundle, facts, clock)


def _workbench(request: CalibrationRequest, spec: InputSpec, sets: FrameSets, progress: Progress) -> Workbench:
    most, target = FAST_FRAMES if request.fast else FULL_FRAMES, (request.overkill_rate, request.confidence)
    return Workbench(sets, spec, most, target, request.seed, request.threads, progress)


def _sets(frames: tuple[Frame, ...], dealt: Split, defects: DefectFrames | None) -> FrameSets:
    def paths(indices: Indices) -> tuple[Path, ...]:
        return tuple(frames[index].path for index in indices)

    good = FrameSets(paths(dealt.learn), paths(dealt.quantization), paths(dealt.threshold), paths(dealt.gate))
    return good if defects is None else good.with_defects(defects.paths)


def _write(request: CalibrationRequest, bench: Workbench, facts: ReportFacts, progress: Progress) -> Bundle:
    """Self-test, report and manifest in a scratch folder, then the whole of it in place by one rename."""
    progress.stage("write", 1)
    target = bundle_store.version_path(request.bundles_root, request.bundle_id, facts.version)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".calibrating-", dir=target.parent) as name:
        scratch = Path(name)
        origin = Provenance(request.bundle_id, facts.version, facts.collected.digest, facts.identity.made_at)
        bundle = package(
            scratch, target, bench, facts.choice, origin, lambda folder: write_report(folder, facts, bench)
        )
    progress.advance()
    return bundle


def _result(request: CalibrationRequest, bundle: Bundle, facts: ReportFacts, clock: "_Clock") -> CalibrationResult:
    choice: Choice = facts.choice
    return CalibrationResult(
        bundle=bundle.path,
        model_id=bundle.model_id,
        threshold=choice.chosen.candidate.proof,
        gate=choice.gate,
        refused=facts.collected.refused,
        left_out=tuple(path.name for path in choice.left_out),
        doubtful=tuple(path.name for path in choice.doubtful),
        split=facts.split,
        speed_ms={str(precision): round(value, 3) for precision, value in choice.speed_ms.items()},
        activated=request.activate,
        seconds=clock.seconds,
        checks=facts.checks,
    )


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started_s = time.monotonic()

    def lap(self, name: str) -> None:
        now_s = time.monotonic()
        self.seconds[name] = round(now_s - self._started_s, 2)
        self._started_s = now_s
