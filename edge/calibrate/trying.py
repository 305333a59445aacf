"""What a calibration puts its draft through, kept stage by stage."""

from dataclasses import replace
from pathlib import Path

from edge.calibrate.frames.defects import DefectFrames
from edge.calibrate.gather import cropping_for
from edge.calibrate.gauge.study_parts import digest_of, study_parts
from edge.calibrate.report.decisions import stricter_said
from edge.calibrate.report.facts import ExtraSection, ReportFacts
from edge.calibrate.request import CalibrationRequest
from edge.calibrate.stages import Stages
from edge.calibrate.trials import (
    Draft,
    Found,
    meet_masters,
    read_section,
    repeat,
    too_many_escapes,
    tune_draft,
    weigh,
    write_section,
)
from edge.capture.scales import scales_of
from edge.config import StationConfig
from models.anomaly.bench import Workbench
from models.anomaly.threshold import evidence_against
from models.bundle import Bundle
from models.cpus import cpu_grant
from models.progress import Progress


def try_draft(
    request: CalibrationRequest,
    stages: Stages,
    draft: Bundle,
    facts: ReportFacts,
    where: tuple[Workbench, StationConfig | None],
    progress: Progress,
) -> Found:
    """Repeats of the same parts, and speed, each a stage; the master parts each time, for they may have changed.

    Args:
        request: what is calibrated.
        stages: where what is found is kept.
        draft: the bundle in the making.
        facts: what was found of it.
        where: whose held-out frames are looked at, and the station; None: it is tried for none.
        progress: told of every stage.

    Raises:
        ConfigError, RequestError, ModelError, StorageError: as each of them.
    """
    bench, config = where
    tested = _draft(request, draft, config)
    sections, against = [], [too_many_escapes(facts.trade, request.escape_rate)]
    if facts.by_recipe is not None and evidence_against(facts.by_recipe):
        against.append(stricter_said(facts.by_recipe))
    if request.study:
        sections.append(_repeated(request, stages, tested, (bench.sets.gate, facts.defects, config), progress))
    if config is not None:
        if request.tune_s:
            sections.append(_tuned(request, stages, tested, (bench.sets.gate, config), progress))
        masters = meet_masters(config, tested, progress)
        sections += masters.sections
        against.append(masters.against)
    return Found(tuple(sections), " ".join(filter(None, against)))


def weigh_draft(
    request: CalibrationRequest,
    draft: Bundle,
    facts: ReportFacts,
    where: tuple[Workbench, StationConfig | None],
    progress: Progress,
) -> ReportFacts:
    """What the product's own rules make of the gate's good frames and of labelled defects: areas and zones let pass.

    Raises:
        ConfigError, ModelError: the rules do not suit the draft, or it does not run.
    """
    bench, config = where
    tested = _draft(request, draft, config)
    found = weigh(tested, request.camera, (bench.sets.gate, facts.defects), bench.target, progress)
    return replace(facts, weighed=found.trade, by_recipe=found.overkill)


def _draft(request: CalibrationRequest, draft: Bundle, config: StationConfig | None) -> Draft:
    scales = {} if config is None else scales_of(config, request.section)
    return Draft(draft, request.section, request.threads, scales)


def _repeated(
    request: CalibrationRequest,
    stages: Stages,
    draft: Draft,
    where: tuple[tuple[Path, ...], DefectFrames | None, StationConfig | None],
    progress: Progress,
) -> ExtraSection:
    good, defects, config = where
    bad = () if defects is None else defects.paths
    parts = study_parts(good, bad, request.repeats, cropping_for(request, stages, config))

    def repeated(folder: Path) -> None:
        write_section(folder, repeat(draft, parts, request.seed, progress, fast=request.fast))

    product = request.section.model_dump(mode="json")
    made_from = [draft.bundle.model_id.sha256, product, draft.scales, request.seed, request.fast, digest_of(parts)]
    return stages.once("repeat", made_from, repeated, read_section)


def _tuned(
    request: CalibrationRequest,
    stages: Stages,
    draft: Draft,
    where: tuple[tuple[Path, ...], StationConfig],
    progress: Progress,
) -> ExtraSection:
    frames, config = where
    plain = config.model_dump(mode="json", include={"inference", "line", "camera"})
    made_from = [draft.bundle.model_id.sha256, plain, str(cpu_grant()), request.tune_s]

    def tuned(folder: Path) -> None:
        write_section(folder, tune_draft(config, draft, frames, request.tune_s, progress))

    return stages.once("tune", made_from, tuned, read_section)
