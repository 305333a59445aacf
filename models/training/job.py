"""`cloud train`, top-down: read, split, freeze, train, export, choose the precision, evaluate, report, bundle.

Whatever is made before the bundle lies in the cache folder under the name of data and settings, so that a killed job,
started again with the same words, goes on where it was. The bundle appears whole, by one rename, or not at all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import openvino as ov
from torch import nn

from models.bundle import Bundle
from models.calibration_frames import calibration_frames
from models.compile import compile_graph
from models.dataset.errors import DatasetError
from models.dataset.learnable import Division, split_learnable
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.snapshot import digest, freeze
from models.dataset.splits import Splits
from models.evaluation.exam import Exam, exam_of
from models.evaluation.operating import best_threshold
from models.evaluation.precision import rank
from models.evaluation.result import Evaluation, evaluate
from models.export import export_detector, raw_score, with_threshold
from models.ladder import Choice, Ladder, Step
from models.manifest import DetectorThreshold
from models.packaging import Detector, Origin, name_of, page_facts, write_detector
from models.progress import Progress
from models.spec import ModelSpec, Precision
from models.training.checkpoint import weights_digest
from models.training.parity import Parity, check_parity
from models.training.pictures import Gallery, is_grey, misfits
from models.training.qat import train_quantized
from models.training.settings import Settings, propose
from models.training.train import Means, Trained, train_detector

_START_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train, of what.

    Args:
        data: the dataset's folder, of any form that `read_dataset` knows.
        out: the bundle's folder; must not exist. `.../pcb/v3` is version 3 of `pcb`, any other name version 1 of it.
        cache: where runs and their checkpoints lie.
        division: how the data is divided; its seed is that of order and first weights too.
        reference: compare with golden references; None: if every image has one.
        minutes: the training's own time, at most about.
        epochs: exactly so many; None: as many as suit the data and fit the minutes.
        size_px: longer side of the model's input; None: as the images suggest.
    """

    data: Path
    out: Path
    cache: Path
    division: Division = field(default_factory=Division)
    reference: bool | None = None
    minutes: float | None = 50.0
    epochs: int | None = None
    size_px: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """What came of it."""

    bundle: Bundle
    splits: Splits
    trained: Trained
    detector: Detector
    parity: Parity
    seconds: dict[str, float]

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        choice, arithmetic = self.detector.choice, self.trained.plan.arithmetic
        return {
            "bundle": str(self.bundle.path),
            "id": self.bundle.model_id.id,
            "version": self.bundle.model_id.version,
            "sha256": self.bundle.model_id.sha256,
            "precision": choice.chosen.precision.value,
            "step": choice.chosen.step.value,
            "gate": self.bundle.manifest.gate.model_dump(exclude_none=True),
            "int8" if choice.chosen.precision is Precision.INT8 else "chosen": self.detector.evaluation.as_json(),
            "fp32": self.detector.evaluations[choice.fp32.step].as_json(),
            "speed_ms": {step.value: round(value, 3) for step, value in choice.speed_ms.items()},
            "parity": self.parity.as_json(),
            "split": {"by": self.splits.by, "groups": self.splits.groups, **{n: len(p) for n, p in self.splits}},
            "training": {
                "epochs": self.trained.settings.epochs,
                "seconds": round(self.trained.seconds, 1),
                "threads": arithmetic.threads,
                "bf16": arithmetic.bf16,
                "pictures_made_ahead": arithmetic.ahead,
                "loss": self.trained.history[-1]["loss"] if self.trained.history else None,
            },
            "dataset_sha256": self.bundle.manifest.dataset_sha256,
            "seconds": self.seconds,
        }


def run_job(request: TrainingRequest, progress: Progress) -> TrainingResult:
    """Make a detector bundle of a labelled dataset.

    Raises:
        DatasetError: the dataset or its split will not do.
        ModelError: the target exists, the cache's checkpoint is another's, or a library refuses.
    """
    name_of(request.out)
    clock = _Clock()
    splits = _read(request, progress)
    settings = _settings(request, splits.train)
    folder = request.cache / f"detector-{settings.digest[:12]}" / digest(splits)[:12]
    dataset_sha256 = freeze(splits, folder / "snapshot.json")
    clock.lap("read")
    gallery = _gallery(splits.train, settings, progress)
    trained = train_detector(gallery, settings, Means(folder, progress, minutes=request.minutes))
    clock.lap("train")
    exams = _exams(splits, settings)
    graph, parity = _graph(trained, exams[1], progress)
    graph, threshold = _set_threshold(graph, settings.model_spec(splits.train.classes), exams[0])
    ladder = ladder_of(trained, splits.train, exams, Tuning(gallery, folder, threshold), progress)
    choice = ladder.climb(graph)
    clock.lap("quantize")
    detector = Detector(ladder.spec, choice, _evaluations(choice, ladder))
    origin = _origin(request, dataset_sha256, threshold)
    facts = page_facts(detector, origin, _story(request, splits, trained, parity))
    bundle = write_detector(request.out, detector, origin, facts)
    clock.lap("write")
    return TrainingResult(bundle, splits, trained, detector, parity, clock.seconds)


def _read(request: TrainingRequest, progress: Progress) -> Splits:
    progress.stage("read", 1)
    dataset = read_dataset(request.data)
    progress.advance()
    if not dataset.boxes:
        raise DatasetError(
            f"train: {request.data} ({dataset.form}) holds no boxes, and a detector learns from boxes: label some, or "
            "give masks"
        )
    if request.reference and not dataset.has_references:
        lacking = next(image.name for image in dataset.images if image.reference is None)
        raise DatasetError(f"train: {lacking} has no reference: complete them or train without (--no-reference)")
    splits = split_learnable(dataset, request.division)
    for name, part in splits:
        if not part.boxes:
            raise DatasetError(
                f"train: none of the {len(part)} images of the split {name!r} holds a box ({part.images[0].name} is "
                "the first), so nothing can be measured by it: move defective ones there or choose another --split-by"
            )
    return splits


def _settings(request: TrainingRequest, train: Dataset) -> Settings:
    reference = train.has_references if request.reference is None else request.reference
    settings = propose(
        train, colour=not is_grey(train), reference=reference, seed=request.division.seed, size_px=request.size_px
    )
    return settings if request.epochs is None else replace(settings, epochs=request.epochs)


def _gallery(train: Dataset, settings: Settings, progress: Progress) -> Gallery:
    """The pictures to learn from; those with references are laid on each other now, so that a misfit is known now."""
    compares = settings.shape.reference
    laid = compares or settings.mend is not None
    gallery = Gallery(train, colour=settings.shape.colour, reference=laid, lenient=not compares)
    if compares:
        progress.stage("align", len(train))
        if found := misfits(gallery, progress.advance):
            raise DatasetError(
                f"train: {len(found)} of {len(train)} references do not fit their image, and a station would not look "
                f"at such a one; the first: {found[0]}: mend or remove them, or train without (--no-reference)"
            )
    return gallery


def _exams(splits: Splits, settings: Settings) -> tuple[Exam, Exam]:
    """Val and test."""
    val, test = (
        exam_of(part, compares=settings.shape.reference, learned=splits.train) for part in (splits.val, splits.test)
    )
    return val, test


def _graph(trained: Trained, test: Exam, progress: Progress) -> tuple[ov.Model, Parity]:
    """The exported graph, proven to answer as torch does on every frame that will be judged."""
    settings = trained.settings
    graph = export_detector(trained.network, settings.shape, settings.spec, _START_THRESHOLD)
    return graph, check_parity(trained, graph, test, progress)


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What quantization-aware training goes on with."""

    gallery: Gallery
    folder: Path
    threshold: float
    train: Callable[[Trained, Gallery, Means], nn.Module] = train_quantized


def ladder_of(trained: Trained, train: Dataset, exams: tuple[Exam, Exam], tuning: Tuning, progress: Progress) -> Ladder:
    """The ladder of a trained network: quantized with frames it learned from, judged by the exams (val, test)."""
    settings = trained.settings
    spec = settings.model_spec(train.classes)
    frames = calibration_frames(train, spec, settings.seed)

    def tune() -> ov.Model:
        own = f"qat-{settings.digest[:12]}-{weights_digest(trained.network)[:12]}"
        means = Means(tuning.folder / own, progress)
        network = tuning.train(trained, tuning.gallery, means)
        return export_detector(network, settings.shape, settings.spec, tuning.threshold)

    return Ladder(spec, frames, *exams, progress, tune)


def _set_threshold(graph: ov.Model, spec: ModelSpec, val: Exam) -> tuple[ov.Model, float]:
    """The graph with 0.5 where precision and recall together are best on the val frames."""
    found = val.sit(compile_graph(graph, Precision.FP32), spec)
    raw = raw_score(best_threshold(rank(val.truths, found).pooled), _START_THRESHOLD)
    threshold = float(np.clip(raw, 0.05, 0.95))
    return with_threshold(graph, threshold), threshold


def _evaluations(choice: Choice, ladder: Ladder) -> dict[Step, Evaluation]:
    return {trial.step: evaluate(ladder.test, trial.found, trial.undecided) for trial in choice.trials}


def _origin(request: TrainingRequest, dataset_sha256: str, threshold: float) -> Origin:
    name, version = name_of(request.out)
    chosen = DetectorThreshold(raw_score=threshold, chosen_by="best F1 on the val frames")
    return Origin(name, version, dataset_sha256, datetime.now(UTC), chosen)


def _story(request: TrainingRequest, splits: Splits, trained: Trained, parity: Parity) -> list[tuple[str, str]]:
    """What the report says of how the model was made."""
    settings, arithmetic = trained.settings, trained.plan.arithmetic
    parts = ", ".join(f"{name} {len(part)} images" for name, part in splits)
    return [
        ("Data", f"{request.data.name}, {splits.train.form}, {splits.groups} groups by {splits.by}: {parts}"),
        (
            "Input",
            f"{settings.width} x {settings.height}{', with a golden reference' if settings.shape.reference else ''}",
        ),
        ("Training", f"{settings.epochs} epochs in {trained.seconds / 60:.1f} min"),
        ("Steps", f"{arithmetic.threads} threads, {'BF16' if arithmetic.bf16 else 'FP32'}, chosen by measuring"),
        ("Export", f"{parity.images} frames as in torch: largest difference {parity.largest:.2g}"),
    ]


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started_s = time.monotonic()

    def lap(self, name: str) -> None:
        now_s = time.monotonic()
        self.seconds[name] = round(now_s - self._started_s, 1)
        self._started_s = now_s
