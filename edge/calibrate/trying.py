"""What a calibration puts its draft through, kept stage by stage."""

from pathlib import Path

from edge.calibrate.defects import DefectFrames
from edge.calibrate.report.facts import ExtraSection, ReportFacts
from edge.calibrate.request import CalibrationRequest
from edge.calibrate.stages import Stages
from edge.calibrate.study_parts import study_parts
from edge.calibrate.trials import (
    Draft,
    Found,
    meet_masters,
    read_section,
    repeat,
    too_many_escapes,
    tune_draft,
    write_section,
)
from edge.capture.scales import scales_of
from edge.config import StationConfig
from models.anomaly.bench import Workbench
from models.bundle import Bundle, file_entries
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
    scales = {} if config is None else scales_of(config, request.section)
    tested = Draft(draft, request.section, request.threads, scales)
    sections = [_repeated(request, stages, tested, (bench.sets.gate, facts.defects), progress)] if request.study else []
    against = [too_many_escapes(facts.trade, request.escape_rate)]
    if config is not None:
        if request.tune_s:
            sections.append(_tuned(request, stages, tested, (bench.sets.gate, config), progress))
        masters = meet_masters(config, tested, progress)
        sections += masters.sections
        against.append(masters.against)
    return Found(tuple(sections), " ".join(filter(None, against)))


def _repeated(
    request: CalibrationRequest,
    stages: Stages,
    draft: Draft,
    where: tuple[tuple[Path, ...], DefectFrames | None],
    progress: Progress,
) -> ExtraSection:
    good, defects = where
    parts = study_parts(good, () if defects is None else defects.paths, request.repeats)

    def repeated(folder: Path) -> None:
        write_section(folder, repeat(draft, parts, request.seed, progress, fast=request.fast))

    looked = [(part.name, [str(image) for image in part.images]) for part in parts]
    shown = [] if request.repeats is None else sorted(file_entries(request.repeats).items())
    product = request.section.model_dump(mode="json")
    made_from = [draft.bundle.model_id.sha256, product, draft.scales, request.seed, request.fast, looked, repr(shown)]
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
