"""`edge calibrate --bundle`: a released bundle is taken as it is, tried on this machine, and put among the station's.

Open (every hash), fit (recipe and reference), INT8 through the gate if asked, self-test, speed, overkill on good frames
and escapes on labelled defects where there are any, and then the same files under the next version, with the release's
digest as `parent`. It becomes active unless the good frames speak against it.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.calibrate.frames.collect import Collected, collect
from edge.calibrate.frames.cropping import Cropping
from edge.calibrate.frames.defects import DefectFrames, read_defects
from edge.calibrate.gauge.study_parts import study_parts
from edge.calibrate.pictures import ChecksTarget, LearnedChecks, learn_checks
from edge.calibrate.releases.requantize import Offer, QuantizeRequest, quantized
from edge.calibrate.releases.trial import Looking, Trial, try_on
from edge.calibrate.report.identity import identify
from edge.calibrate.report.release import REPORT, ReleaseFacts, write_release_report
from edge.calibrate.trials import Draft, Found, meet_masters, repeat, too_many_escapes, tune_draft
from edge.capture.scales import load_scale, scales_of
from edge.config import ProductSection, StationConfig
from edge.domain.errors import ConfigError, StorageError
from edge.fitting import fitting_recipe, fitting_reference
from edge.infer.answers import reported
from edge.infer.comparing import ComparingEngine
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from models import bundle_store
from models.anomaly.threshold import evidence_against
from models.bundle import Bundle, open_for_line
from models.compile import compile_bundle, usable_threads
from models.letterbox import Image
from models.progress import Progress
from models.spec import ModelId
from models.speed import compare_speed, median_ms

_REQUESTS = 2


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """What to take, for which product, and how sure to be of it.

    Args:
        product: of station.toml; its recipe and reference must suit the bundle.
        bundles_root: the station's store of bundles.
        release: the released bundle's folder.
        frames: folder with frames of good parts, or None.
        escape_rate: bad parts that may pass, as a fraction, for it to become active; None asks for nothing.
        overkill_rate: good parts that may be rejected, as a fraction.
        confidence: with which that rate shall hold.
        threads: CPU threads; 0 takes what this process may use.
        speed_s: how long to measure.
        checks: whose camera's checks are learned from the frames, if any.
        defects: folder with frames of defective parts, or None.
        quantize: put a float graph into INT8 if the gate lets it, on these frames.
        seed: of what is painted and dealt for that.
        station: the station's id, for the report.
        options: of the command, for the report.
        cropping: the roi of the frames' camera, if it has one.
        repeats: folder of pictures that a camera repeated of the same parts; None where there are none.
        study: look at the same parts again and again.
        fast: fewer of them.
        tune_s: how long to look for the best plan of threads and streams; 0 leaves it out.
        activate: make it the active one, where nothing speaks against it.
    """

    product: ProductSection
    bundles_root: Path
    release: Path
    frames: Path | None = None
    escape_rate: float | None = None
    overkill_rate: float = 0.02
    confidence: float = 0.95
    threads: int = 0
    speed_s: float = 2.0
    checks: ChecksTarget | None = None
    defects: Path | None = None
    quantize: bool = False
    seed: int = 0
    station: str = ""
    options: tuple[tuple[str, str], ...] = ()
    cropping: Cropping | None = None
    repeats: Path | None = None
    study: bool = True
    fast: bool = False
    tune_s: float = 0.0
    activate: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseResult:
    """What came of it; without good frames there is no trial."""

    bundle: Bundle
    release: ModelId
    speed_ms: dict[str, float]
    trial: Trial | None
    tried: Found
    activated: bool
    checks: LearnedChecks | None = None
    offer: Offer | None = None

    @property
    def verdict(self) -> str:
        """One sentence on what was found."""
        if self.tried.against:
            return f"not activated: {self.tried.against}"
        if self.trial is None:
            return "overkill not measured: give frames of good parts with --from"
        return str(self.trial.proof)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return {
            "bundle": str(self.bundle.path),
            "model_id": asdict(self.bundle.model_id),
            "parent": self.release.sha256,
            "report": str(self.bundle.path / REPORT),
            "speed_ms": self.speed_ms,
            "overkill": None if self.trial is None else _overkill(self.trial),
            "min_score": None if self.trial is None else self.trial.min_score.as_json(),
            "escapes": None if self.trial is None or self.trial.trade is None else self.trial.trade.as_json(),
            "gate": self.bundle.manifest.gate.outcome,
            "quantized": self.quantized,
            "activated": self.activated,
            "verdict": self.verdict,
            "checks": None if self.checks is None else self.checks.as_json(),
            **{section.slot.value: section.json for section in self.tried.sections},
        }

    @property
    def quantized(self) -> str | None:
        """What became of --quantize, in a sentence; None where nobody asked."""
        found = None if self.offer is None else self.offer.quantized
        if found is None:
            return None
        return f"the released graph stays: {found.against}" if found.against else f"INT8 runs: {found.gate.reason}"


def take_release(request: ReleaseRequest, progress: Progress, config: StationConfig | None = None) -> ReleaseResult:
    """Try a released bundle on this station, and take it.

    Args:
        request: what to take.
        progress: told of every stage.
        config: of the station, whose master parts and cameras it is tried for; None tries it for none.

    Raises:
        ConfigError: recipe or reference do not suit the bundle, a folder of frames will not do, or one is missing.
        RequestError: it cannot be quantized, or not with so few frames.
        ModelError: the bundle does not verify, or does not answer here as it says.
        GateError: it runs in INT8, and its own manifest does not say that the gate let it.
        StorageError: it cannot be written.
    """
    progress.stage("open", 1)
    released = open_for_line(request.release)
    fitting_recipe(request.product, released, _mm_per_px(request))
    reference = fitting_reference(request.product, released.spec)
    collected = None if request.frames is None else collect(request.frames, progress, cropping=request.cropping)
    defects = _defects(request, collected)
    with _offered(request, released, (collected, defects, reference), progress) as offer:
        speed_ms, trial = _measured(request, offer, (collected, defects, reference), progress)
        checks = _checks(request, collected, progress)
        tried = _tried(request, offer, (trial, defects), config, progress)
        progress.stage("write", 1)
        facts = _facts(request, released, offer, (speed_ms, trial, checks, tried))
        try:
            taken = _put(request, offer.bundle, facts)
        except OSError as error:
            raise StorageError(f"calibrate: cannot write the bundle: {error}: free the disk") from error
    good = request.activate and not tried.against
    if good:
        if checks is not None:
            checks.save()
        bundle_store.activate(request.bundles_root, request.product.bundle, taken.model_id.version)
    progress.advance()
    return ReleaseResult(taken, released.model_id, speed_ms, trial, tried, good, checks, offer)


_Given = tuple[Collected | None, DefectFrames | None, Image | None]


def _defects(request: ReleaseRequest, collected: Collected | None) -> DefectFrames | None:
    if request.defects is not None and collected is None:
        raise ConfigError("--defects: escapes are weighed against overkill: give good parts' frames too, with --from")
    if collected is None or request.defects is None:
        return None
    return read_defects(request.defects, collected.digests, request.cropping)


@contextlib.contextmanager
def _offered(request: ReleaseRequest, released: Bundle, given: _Given, progress: Progress) -> Iterator[Offer]:
    collected, defects, reference = given
    if not request.quantize:
        yield Offer(released, () if collected is None else tuple(frame.path for frame in collected.frames))
        return
    if collected is None:
        raise ConfigError("--quantize: INT8 learns its ranges from good parts' frames: give some with --from")
    asked = QuantizeRequest(collected, defects, reference, request.seed, request.threads)
    with quantized(released, asked, progress) as offer:
        yield offer


def _measured(
    request: ReleaseRequest, offer: Offer, given: _Given, progress: Progress
) -> tuple[dict[str, float], Trial | None]:
    """Self-test, speed, and what the station's frames show."""
    collected, defects, reference = given
    bundle, target = offer.bundle, (request.overkill_rate, request.confidence)
    recipe = fitting_recipe(request.product, bundle, _mm_per_px(request))
    progress.stage("self-test", 1)
    plan = Plan(request.threads or usable_threads(), 1, _REQUESTS, _REQUESTS)
    with contextlib.closing(OpenVinoEngine(bundle, plan)) as engine:
        progress.stage("measure", 1)
        speed_ms = _speed(bundle, request)
        if collected is None:
            return speed_ms, None
        looks = engine if reference is None else ComparingEngine(engine, reference)
        looking = Looking(looks, recipe, target, reported(bundle).score_floor)
        return speed_ms, try_on(collected, offer.good, defects, looking, progress)


def _tried(
    request: ReleaseRequest,
    offer: Offer,
    seen: tuple[Trial | None, DefectFrames | None],
    config: StationConfig | None,
    progress: Progress,
) -> Found:
    """Overkill and escapes weighed; the same parts again and again; speed here; the product's master parts."""
    trial, defects = seen
    scales = {} if config is None else scales_of(config, request.product)
    draft = Draft(offer.bundle, request.product, request.threads, scales)
    sections, against = [], [too_many_escapes(None if trial is None else trial.trade, request.escape_rate)]
    if trial is not None:
        if evidence_against(trial.proof):
            against.append(f"too many good parts are rejected: {trial.proof}.")
        if request.study:
            bad = () if defects is None else defects.paths
            parts = study_parts(offer.good, bad, request.repeats, request.cropping)
            sections.append(repeat(draft, parts, request.seed, progress, fast=request.fast))
    if config is not None:
        if request.tune_s:
            sections.append(tune_draft(config, draft, offer.good, request.tune_s, progress))
        masters = meet_masters(config, draft, progress)
        sections += masters.sections
        against.append(masters.against)
    return Found(tuple(sections), " ".join(filter(None, against)))


def _checks(request: ReleaseRequest, collected: Collected | None, progress: Progress) -> LearnedChecks | None:
    if collected is None or request.checks is None:
        return None
    return learn_checks(request.checks, collected, progress)


def _mm_per_px(request: ReleaseRequest) -> float | None:
    """The kept scale of the frames' camera, where that is known."""
    if request.checks is None:
        return None
    kept = load_scale(request.checks.data_dir, request.checks.camera)
    return None if kept is None else kept.mm_per_px


def _speed(bundle: Bundle, request: ReleaseRequest) -> dict[str, float]:
    own, threads = str(bundle.precision), request.threads
    if not bundle.fp32_xml.is_file():
        return {own: round(median_ms({own: compile_bundle(bundle, threads=threads)}, request.speed_s)[own], 3)}
    found = compare_speed(bundle, threads=threads, seconds=request.speed_s)
    return {"FP32": round(found.fp32_ms, 3), own: round(found.own_ms, 3)}


def _overkill(trial: Trial) -> dict[str, object]:
    refused = [refusal.as_json() for refusal in trial.collected.refused]
    counts = {"rejected": trial.rejected, "misaligned": trial.misaligned, "refused": refused}
    return {**asdict(trial.proof), **counts}


def _facts(
    request: ReleaseRequest,
    released: Bundle,
    offer: Offer,
    found: tuple[dict[str, float], Trial | None, LearnedChecks | None, Found],
) -> ReleaseFacts:
    identity = identify(request.product.id, datetime.now(UTC), request.station, request.options)
    return ReleaseFacts(identity, released, offer, *found)


def _put(request: ReleaseRequest, bundle: Bundle, facts: ReleaseFacts) -> Bundle:
    """The same files and the station's report, as the next version."""
    bundle_id, released = request.product.bundle, facts.release.model_id.sha256

    def report(folder: Path, version: int) -> None:
        write_release_report(folder, f"{bundle_id} v{version}", facts)

    return bundle_store.copy_next(
        request.bundles_root, bundle_id, bundle, facts.identity.made_at, report, parent=released
    )
