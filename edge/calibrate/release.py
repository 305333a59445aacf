"""`edge calibrate --bundle`: a released bundle is taken as it is, tried on this machine, and put among the station's.

Open (every hash), fit (recipe and reference), self-test, speed, overkill on good frames where there are any, and then
the same files under the next version, with the release's digest as `parent`. It becomes active unless the good frames
speak against it.
"""

import contextlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edge.assembly import fitting_recipe, fitting_reference
from edge.calibrate.collect import Collected, collect
from edge.calibrate.cropping import Cropping
from edge.calibrate.pictures import ChecksTarget, LearnedChecks, learn_checks
from edge.calibrate.release_report import write_release_report
from edge.calibrate.release_trial import Trial
from edge.config import ProductSection
from edge.decide.recipe import Recipe, decide
from edge.domain.part import Verdict
from edge.infer.comparing import ComparingEngine
from edge.infer.engine import Engine
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from models import bundle_store
from models.anomaly.threshold import evidence_against, prove
from models.bundle import Bundle, open_for_line
from models.compile import compile_bundle, usable_threads
from models.errors import AlignmentError
from models.letterbox import Image
from models.progress import Progress
from models.scoring import read_image
from models.spec import ModelId
from models.speed import compare_speed, median_ms

_ANSWER_S = 30.0
_REQUESTS = 2
REPORT = "station.html"


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """What to take, for which product, and how sure to be of it.

    Args:
        product: of station.toml; its recipe and reference must suit the bundle.
        bundles_root: the station's store of bundles.
        release: the released bundle's folder.
        frames: folder with frames of good parts, or None.
        overkill_rate: good parts that may be rejected, as a fraction.
        confidence: with which that rate shall hold.
        threads: CPU threads; 0 takes what this process may use.
        speed_s: how long to measure.
        checks: whose camera's checks are learned from the frames, if any.
        cropping: the roi of the frames' camera, if it has one.
    """

    product: ProductSection
    bundles_root: Path
    release: Path
    frames: Path | None = None
    overkill_rate: float = 0.02
    confidence: float = 0.95
    threads: int = 0
    speed_s: float = 2.0
    checks: ChecksTarget | None = None
    cropping: Cropping | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseResult:
    """What came of it; without good frames there is no trial."""

    bundle: Bundle
    release: ModelId
    speed_ms: dict[str, float]
    trial: Trial | None
    activated: bool
    checks: LearnedChecks | None = None

    @property
    def verdict(self) -> str:
        """One sentence on the good frames."""
        if self.trial is None:
            return "overkill not measured: give frames of good parts with --from"
        if not self.activated:
            return f"not activated, too many good parts are rejected: {self.trial.proof}"
        return str(self.trial.proof)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        trial = self.trial
        overkill = None
        if trial is not None:
            refused = [asdict(refusal) for refusal in trial.collected.refused]
            counts = {"rejected": trial.rejected, "misaligned": trial.misaligned, "refused": refused}
            overkill = {**asdict(trial.proof), **counts}
        return {
            "bundle": str(self.bundle.path),
            "model_id": asdict(self.bundle.model_id),
            "parent": self.release.sha256,
            "report": str(self.bundle.path / REPORT),
            "speed_ms": self.speed_ms,
            "overkill": overkill,
            "gate": self.bundle.manifest.gate.outcome,
            "activated": self.activated,
            "verdict": self.verdict,
            "checks": None if self.checks is None else self.checks.as_json(),
        }


def take_release(request: ReleaseRequest, progress: Progress) -> ReleaseResult:
    """Try a released bundle on this station, and take it.

    Raises:
        ConfigError: recipe or reference do not suit the bundle, or the folder of frames will not do.
        ModelError: the bundle does not verify, or does not answer here as it says.
        GateError: it runs in INT8, and its own manifest does not say that the gate let it.
    """
    progress.stage("open", 1)
    bundle = open_for_line(request.release)
    recipe = fitting_recipe(request.product, bundle)
    reference = fitting_reference(request.product, bundle.spec)
    collected = None if request.frames is None else collect(request.frames, progress, cropping=request.cropping)
    progress.stage("self-test", 1)
    plan = Plan(request.threads or usable_threads(), 1, _REQUESTS, _REQUESTS)
    with contextlib.closing(OpenVinoEngine(bundle, plan)) as engine:
        progress.stage("measure", 1)
        speed_ms = _speed(bundle, request)
        looking = engine if reference is None else ComparingEngine(engine, reference)
        trial = None if collected is None else _try(request, collected, (looking, recipe), progress)
    checks = None if collected is None or request.checks is None else learn_checks(request.checks, collected, progress)
    progress.stage("write", 1)
    taken = _put(request, bundle, speed_ms, trial, checks)
    good = trial is None or not evidence_against(trial.proof)
    if good:
        if checks is not None:
            checks.save()
        bundle_store.activate(request.bundles_root, request.product.bundle, taken.model_id.version)
    progress.advance()
    return ReleaseResult(taken, bundle.model_id, speed_ms, trial, good, checks)


def _speed(bundle: Bundle, request: ReleaseRequest) -> dict[str, float]:
    own, threads = str(bundle.precision), request.threads
    if not bundle.fp32_xml.is_file():
        return {own: round(median_ms({own: compile_bundle(bundle, threads=threads)}, request.speed_s)[own], 3)}
    found = compare_speed(bundle, threads=threads, seconds=request.speed_s)
    return {"FP32": round(found.fp32_ms, 3), own: round(found.own_ms, 3)}


def _try(request: ReleaseRequest, collected: Collected, by: tuple[Engine, Recipe], progress: Progress) -> Trial:
    progress.stage("good frames", len(collected.frames))
    seen: list[tuple[float, str]] = []
    for frame in collected.frames:
        seen.append(_look(read_image(frame.path), *by))
        progress.advance()
    rejected = sum(said == Verdict.REJECT for _, said in seen)
    misaligned = sum(said == Verdict.UNDECIDED for _, said in seen)
    proof = prove(len(seen), rejected + misaligned, request.overkill_rate, request.confidence)
    return Trial(collected, np.array([score for score, _ in seen], np.float32), rejected, misaligned, proof)


def _look(image: Image, engine: Engine, recipe: Recipe) -> tuple[float, Verdict]:
    try:
        found = engine.submit(image, _ANSWER_S).result(_ANSWER_S)
    except AlignmentError:
        return float("nan"), Verdict.UNDECIDED
    return found.frame_score, decide(found, engine.spec.classes, recipe)[0]


def _put(
    request: ReleaseRequest,
    bundle: Bundle,
    speed_ms: dict[str, float],
    trial: Trial | None,
    checks: LearnedChecks | None,
) -> Bundle:
    """The same files and the station's report, as the next version."""
    bundle_id = request.product.bundle

    def report(folder: Path, version: int) -> None:
        write_release_report(folder / REPORT, f"{bundle_id} v{version}", bundle, speed_ms, trial, checks)

    return bundle_store.copy_next(request.bundles_root, bundle_id, bundle, datetime.now(UTC), report)
