"""A trained or re-quantized detector as a bundle: graphs, manifest with its proofs, self-test and report."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2

from models.bundle import SELFTEST, Bundle, file_entries, write_bundle
from models.claims import PRECISION_NAMES, ladder_record, rate_of, save_graphs, tools_used
from models.compile import compile_graph
from models.detecting import detect_images
from models.errors import ModelError, RequestError
from models.evaluation.exam import Exam
from models.evaluation.report import PageFacts, write_page
from models.evaluation.result import Evaluation
from models.gate import Outcome
from models.ladder import Choice, Step
from models.manifest import (
    BUNDLE_NAME,
    AlignmentEntry,
    DetectorMetrics,
    DetectorThreshold,
    InputEntry,
    Manifest,
    TilingEntry,
)
from models.scoring import read_image
from models.scratch import MAKING, scratch_folder
from models.selftest_frames import expected_findings, telling, write_expected
from models.spec import Kind, ModelSpec


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a detector comes from: name, data, its FP32 graph's threshold, and the bundle it was made from, if any."""

    bundle_id: str
    version: int
    dataset_sha256: str
    created_at: datetime
    threshold: DetectorThreshold
    parent: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """What goes into the bundle: its spec, the ladder's choice, and the figures by step."""

    spec: ModelSpec
    choice: Choice
    evaluations: dict[Step, Evaluation]

    @property
    def evaluation(self) -> Evaluation:
        """Of the precision that will run."""
        return self.evaluations[self.choice.chosen.step]


def package_detector(
    scratch: Path, target: Path, detector: Detector, origin: Origin, report: Callable[[Path], None]
) -> Bundle:
    """Fill the scratch folder and put it in place as `target`, whole or not at all.

    Args:
        scratch: an empty folder on the target's file system.
        target: must not exist.
        detector: what goes in.
        origin: where it comes from.
        report: writes the report to the path it is given.

    Raises:
        ModelError: the target exists, or what was written does not verify.
    """
    save_graphs(scratch, detector.choice.chosen.graph, detector.choice.fp32.graph)
    _write_selftest(scratch, detector)
    report(scratch / "report.html")
    return write_bundle(scratch, target, _manifest(scratch, detector, origin))


def name_of(out: Path) -> tuple[str, int]:
    """Id and version that a new bundle's folder stands for.

    Raises:
        RequestError: no bundle can be called so, or the folder exists.
    """
    name, version = out.name, 1
    if name.startswith("v") and name[1:].isdecimal() and int(name[1:]) > 0:
        name, version = out.absolute().parent.name, int(name[1:])
    if not re.fullmatch(BUNDLE_NAME, name):
        raise RequestError(
            f"--out: {name!r} cannot be a bundle's name: use 64 small letters, digits, '.', '_' and '-' at most, "
            "in .../NAME/v1"
        )
    if out.exists():
        raise RequestError(f"--out: {out} exists, and a bundle never changes: choose another")
    return name, version


def write_detector(target: Path, detector: Detector, origin: Origin, facts: PageFacts) -> Bundle:
    """The bundle with its report as `target`, whole or not at all. Raises ModelError as `package_detector` does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target.parent, MAKING) as scratch:
        return package_detector(scratch, target, detector, origin, lambda path: write_page(path, facts))


def page_facts(detector: Detector, origin: Origin, story: list[tuple[str, str]]) -> PageFacts:
    """What the bundle's report tells."""
    choice = detector.choice
    rows = [
        (
            str(trial.step),
            f"{choice.speed_ms[trial.step]:.2f}",
            f"{detector.evaluations[trial.step].map50:.4f}",
            "" if trial.gate is None else f"{trial.gate.outcome}: {trial.gate.reason}",
        )
        for trial in choice.trials
    ]
    gate = choice.chosen.gate
    fine = gate is not None and gate.outcome is Outcome.PASSED
    title = f"{origin.bundle_id} v{origin.version}: detector"
    return PageFacts(title, _headline(choice), fine, story, detector.evaluation, rows)


def _headline(choice: Choice) -> str:
    gate, how = choice.chosen.gate, f"{choice.chosen.precision} by {choice.chosen.step}"
    if gate is None:
        return "FP32 runs: no faster precision passed the gate."
    if gate.outcome is Outcome.PASSED:
        return f"{how} passed its gate: {gate.metric} drops by {gate.drop}."
    return f"{how} is used; its gate is not proven: {gate.images} images and {gate.boxes} boxes are too few."


def _manifest(scratch: Path, detector: Detector, origin: Origin) -> Manifest:
    spec, choice = detector.spec, detector.choice
    used = {choice.fp32.step: choice.fp32, choice.chosen.step: choice.chosen}
    cut = spec.tiling
    return Manifest(
        id=origin.bundle_id,
        kind=Kind.DETECTOR,
        version=origin.version,
        classes=list(spec.classes),
        inputs=[InputEntry.of(one) for one in spec.inputs],
        precision=choice.chosen.precision,
        parent=origin.parent,
        dataset_sha256=origin.dataset_sha256,
        metrics={PRECISION_NAMES[one.precision]: _metrics(detector.evaluations[step]) for step, one in used.items()},
        thresholds={PRECISION_NAMES[one.precision]: origin.threshold for one in used.values()},
        gate=ladder_record(choice.trials, choice.chosen, boxes=True),
        tiling=None if cut is None else TilingEntry(tile_px=cut.tile_px, overlap_px=cut.overlap_px),
        alignment=_alignment(spec),
        tools=tools_used(),
        created_at=origin.created_at,
        files=file_entries(scratch),
    )


def _alignment(spec: ModelSpec) -> AlignmentEntry | None:
    how = spec.alignment
    return None if how is None else AlignmentEntry(max_shift_px=how.max_shift_px, min_correlation=how.min_correlation)


def _metrics(found: Evaluation) -> DetectorMetrics:
    at = found.operating
    return DetectorMetrics(
        map50=found.map50,
        map50_95=found.map50_95,
        pooled_map33=found.pooled_map33,
        ap50=found.ap50,
        images=len(found.exam),
        boxes=found.exam.boxes,
        escape=rate_of(at.escape),
        overkill=rate_of(at.overkill),
        missed=rate_of(at.missed),
    )


def _write_selftest(scratch: Path, detector: Detector) -> None:
    """Frames of the exam, as PNG, with what the chosen graph says of these very files."""
    folder = (scratch / SELFTEST).parent
    folder.mkdir(parents=True)
    exam, chosen = detector.evaluation.exam, detector.choice.chosen
    pairs = [
        _copy_pair(folder, number, exam, index) for number, index in enumerate(telling_frames(detector.evaluation), 1)
    ]
    compiled = compile_graph(scratch / "model.xml", chosen.precision)
    frames, references = [frame for frame, _ in pairs], [reference for _, reference in pairs]
    found = detect_images(compiled, frames, detector.spec, references)
    write_expected(scratch, [expected_findings(*what) for what in zip(frames, found, references, strict=True)])


def telling_frames(evaluation: Evaluation) -> list[int]:
    """Frames with the surest findings, and one without any if there is one; none that could not be looked at."""
    judged = set(range(len(evaluation.found))) - set(evaluation.undecided)
    if not judged:
        raise ModelError("bundle: not one held-out frame fits its reference, so nothing proves the model: mend them")
    return telling(evaluation.found, judged)


def _copy_pair(folder: Path, number: int, exam: Exam, index: int) -> tuple[Path, Path | None]:
    frame = folder / f"frame{number}.png"
    cv2.imwrite(str(frame), read_image(exam.images[index]))
    golden = None if exam.references is None else exam.references[index]
    if golden is None:
        return frame, None
    reference = folder / f"reference{number}.png"
    cv2.imwrite(str(reference), read_image(golden))
    return frame, reference
