"""`edge calibrate`, top-down: collect, split, fit, quantize, threshold, gate, self-test, report, bundle, activate.

Nothing half-written is ever active: what is made is a draft in the working folder until the bundle appears by one
rename, and activation is one more. A kill anywhere leaves the station as it was, and stages that `resume` goes on from.
"""

import functools
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from edge.calibrate.frames.collect import Collected, Frame
from edge.calibrate.frames.defects import DefectFrames, read_defects
from edge.calibrate.frames.refused_section import refused_with_pictures
from edge.calibrate.gather import cropping_for, gather
from edge.calibrate.laying import lay
from edge.calibrate.pictures import learn_checks
from edge.calibrate.report.facts import ReportFacts
from edge.calibrate.report.identity import identify
from edge.calibrate.report.page import write_report
from edge.calibrate.request import CalibrationRequest, request_of, work_folder
from edge.calibrate.result import CalibrationResult
from edge.calibrate.stages import Stages, open_stages, read_request
from edge.calibrate.trials import Found
from edge.calibrate.trying import try_draft, weigh_draft
from edge.config import StationConfig
from edge.domain.errors import ConfigError, StorageError
from models import bundle_store
from models.anomaly.bench import Choice, FrameSets, Workbench
from models.anomaly.dealing import Indices, Split, split
from models.anomaly.fit import FAST_FRAMES, FULL_FRAMES, input_for
from models.anomaly.kept import keep_choice, read_choice
from models.anomaly.packaging import Provenance, package
from models.anomaly.threshold import parts_needed
from models.bundle import Bundle, open_bundle
from models.claims import tools_used
from models.near_twins import thumbnail_groups
from models.networks.anomaly import feature_graph
from models.networks.weights import read_weights
from models.progress import Progress
from models.spec import InputSpec, Kind

_CHOICE, _DRAFT = "choice", "draft"


def calibrate(
    request: CalibrationRequest,
    progress: Progress,
    config: StationConfig | None = None,
    *,
    resume: bool = False,
    anew: bool = False,
) -> CalibrationResult:
    """Make a bundle from good parts, prove it as far as the frames allow, and make it active.

    Args:
        request: what to calibrate.
        progress: told of every stage.
        config: of the station, whose master parts and cameras the bundle is tried for; None tries it for none.
        resume: go on with what an interrupted run of the same request has finished.
        anew: throw away what an interrupted run took with a camera.

    Raises:
        ConfigError: a folder or the recipe will not do, or there is nothing to resume.
        RequestError: too few frames, or a rate or confidence outside (0, 1).
        CameraError: the folder cannot be read.
        StorageError: the working folder cannot be written, or another calibration of the same product runs.
        ModelError: weights missing, or OpenVINO or nncf refuses the graph.
    """
    parts_needed(request.overkill_rate, request.confidence)
    kind = request.section.recipe.kind
    if Kind(kind) is not Kind.ANOMALY:
        raise ConfigError(
            f"product {request.section.id!r}: its recipe is for a {kind}, and good parts alone teach an anomaly model: "
            "take a release with --bundle, or write a recipe of kind anomaly"
        )
    try:
        with open_stages(request.work_folder, request.as_json(), resume=resume, anew=anew) as stages:
            return _calibrate(request, stages, progress, config)
    except OSError as error:
        raise StorageError(f"calibrate: cannot write: {error}: free the disk, then --resume") from error


def unfinished(bundles_root: Path, bundle_id: str) -> CalibrationRequest:
    """What the interrupted calibration of a bundle was asked for.

    Raises:
        ConfigError: there is none.
    """
    return request_of(read_request(work_folder(bundles_root, bundle_id)))


def _calibrate(
    request: CalibrationRequest, stages: Stages, progress: Progress, config: StationConfig | None
) -> CalibrationResult:
    clock = _Clock()
    laid = lay(request, gather(request, stages, config, progress), progress)
    collected = laid.collected
    stages.tell("refused", refused_with_pictures(collected))
    cropping = cropping_for(request, stages, config)
    defects = None if request.defects is None else read_defects(request.defects, collected.digests, cropping)
    wanted = parts_needed(request.overkill_rate, request.confidence)
    dealt = split(thumbnail_groups([frame.thumbnail for frame in collected.frames]), wanted, request.seed)
    clock.lap("collect")
    checks = None if request.checks is None else learn_checks(request.checks, collected, progress)
    spec = input_for([(frame.width, frame.height) for frame in collected.frames])
    sets = _sets(collected.frames, dealt, defects)
    bench = replace(_workbench(request, spec, sets, progress), pose=laid.pose(spec))
    made_from = [request.as_json(), collected.digest, defects and defects.digest, laid.key, tools_used()]
    fit = functools.partial(_fit, request, bench, collected)
    choice, draft = stages.once("fit", made_from, fit, _read_fit)
    clock.lap("fit")
    identity = identify(request.bundle_id, draft.manifest.created_at, request.station, request.options)
    sizes = dealt.sizes()
    facts = ReportFacts(request.bundle_id, 0, collected, sizes, choice, request.fast, identity, checks, defects)
    facts = weigh_draft(request, draft, facts, (bench, config), progress)
    tried = try_draft(request, stages, draft, facts, (bench, config), progress)
    against = " ".join(filter(None, (laid.against(bench.target), tried.against)))
    tried = Found((*laid.sections(), *tried.sections), against)
    clock.lap("try")
    bundle = _write(request, draft, facts, tried, bench, progress)
    clock.lap("write")
    activated = request.activate and not tried.against
    if activated:
        if checks is not None:
            checks.save()
        bundle_store.activate(request.bundles_root, request.bundle_id, bundle.model_id.version)
    stages.finish({"bundle": str(bundle.path), "activated": activated})
    return _result(bundle, facts, tried, clock, advice=laid.advice, activated=activated, reused=tuple(stages.reused))


def _workbench(request: CalibrationRequest, spec: InputSpec, sets: FrameSets, progress: Progress) -> Workbench:
    most, target = FAST_FRAMES if request.fast else FULL_FRAMES, (request.overkill_rate, request.confidence)
    return Workbench(sets, spec, most, target, request.seed, request.threads, progress)


def _sets(frames: tuple[Frame, ...], dealt: Split, defects: DefectFrames | None) -> FrameSets:
    def paths(indices: Indices) -> tuple[Path, ...]:
        return tuple(frames[index].path for index in indices)

    good = FrameSets(paths(dealt.learn), paths(dealt.quantization), paths(dealt.threshold), paths(dealt.gate))
    return good if defects is None else good.with_defects(defects.paths)


def _fit(request: CalibrationRequest, bench: Workbench, collected: Collected, folder: Path) -> None:
    """Choose, and put the choice and a draft of the bundle into the folder."""
    choice = bench.choose(feature_graph(read_weights(), bench.spec))
    collected.check_unchanged()
    kept, scratch = folder / _CHOICE, folder / "files"
    kept.mkdir()
    keep_choice(kept, choice)
    scratch.mkdir()
    origin = Provenance(request.bundle_id, 1, collected.digest, datetime.now(UTC))
    package(scratch, folder / _DRAFT, bench, choice, origin)
    shutil.rmtree(scratch)


def _read_fit(folder: Path) -> tuple[Choice, Bundle]:
    return read_choice(folder / _CHOICE), open_bundle(folder / _DRAFT)


def _write(
    request: CalibrationRequest, draft: Bundle, facts: ReportFacts, tried: Found, bench: Workbench, progress: Progress
) -> Bundle:
    """The draft and its report as the store's next version, by one rename."""
    progress.stage("write", 1)

    def add(folder: Path, version: int) -> None:
        write_report(folder, replace(facts, version=version, against=tried.against), bench, tried.sections)

    bundle = bundle_store.adopt_next(request.bundles_root, request.bundle_id, draft, add)
    progress.advance()
    return bundle


def _result(
    bundle: Bundle,
    facts: ReportFacts,
    tried: Found,
    clock: "_Clock",
    *,
    advice: str,
    activated: bool,
    reused: tuple[str, ...],
) -> CalibrationResult:
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
        activated=activated,
        seconds=clock.seconds,
        tried=tried,
        advice=advice,
        checks=facts.checks,
        trade=facts.trade,
        reused=reused,
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
