"""`cloud evaluate` and `cloud quantize`: a bundle on labelled frames, and quantized anew from its own FP32 graph."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import openvino as ov

from models.bundle import Bundle, open_bundle
from models.calibration_frames import calibration_frames
from models.compile import compile_bundle
from models.dataset.errors import DatasetError
from models.dataset.learnable import Division, split_learnable
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.snapshot import digest
from models.dataset.splits import SHARES, Splits
from models.errors import ModelError, RequestError
from models.evaluation.compare import Comparison, Side, compare
from models.evaluation.exam import exam_of
from models.evaluation.naming import named_as
from models.evaluation.report import PageFacts, write_page
from models.evaluation.result import Evaluation, evaluate, shown
from models.ladder import Ladder
from models.manifest import DetectorThreshold
from models.packaging import Detector, Origin, name_of, page_facts, write_detector
from models.progress import Progress
from models.spec import Kind

ALL = "all"
Divider = Callable[[Dataset, Division], Splits]


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What to look at, with what.

    Args:
        bundle: a detector bundle's folder.
        data: a dataset's folder; its classes are matched by name.
        champion: the bundle to compare with, or None.
        only: `all` images, or one split of the dataset: `train`, `val` or `test`.
        division: as at training, where `only` names a split.
        report: where to write the page, or None.
    """

    bundle: Path
    data: Path
    champion: Path | None = None
    only: str = ALL
    division: Division = field(default_factory=Division)
    report: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """What came of it.

    `same_split`: whether the split looked at is the one of the training, None for all images; `flattering`: why the
    figures may be better than the models.
    """

    bundle: Bundle
    evaluation: Evaluation
    champion: Evaluation | None
    comparison: Comparison | None
    same_split: bool | None
    flattering: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the figures do not show, and where they may flatter."""
        return (*self.evaluation.notes, *self.flattering)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        about: dict[str, object] = {
            "bundle": str(self.bundle.path),
            "sha256": self.bundle.model_id.sha256,
            "precision": self.bundle.precision.value,
            **self.evaluation.as_json(),
            "same_split_as_training": self.same_split,
            "notes": list(self.notes),
        }
        if self.comparison is not None and self.champion is not None:
            about["champion"] = self.champion.as_json()
            about["comparison"] = self.comparison.as_json()
        return about


def run_evaluation(request: EvaluationRequest, progress: Progress) -> EvaluationResult:
    """Look at every frame with the bundle as the station would, and measure.

    Raises:
        DatasetError: the dataset will not do, or knows classes that the bundle does not.
        ModelError: a bundle does not verify, is no detector, or compares with references that the data lacks.
    """
    if request.report is not None:
        request.report.parent.mkdir(parents=True, exist_ok=True)
    progress.stage("read", 1)
    dataset = read_dataset(request.data)
    progress.advance()
    splits = splits_asked(dataset, request, split_learnable)
    if request.only != ALL and splits is not None:
        dataset = dict(splits)[request.only]
    learned = splits.train if splits is not None and request.only in {"val", "test"} else None
    bundle, mine = _evaluate(request.bundle, dataset, learned, progress)
    comparison, champion, notes = None, None, flattering(request.only, splits, bundle, "the bundle")
    if request.champion is not None:
        other, champion = _evaluate(request.champion, dataset, learned, progress)
        comparison, notes = _compare(champion, mine), notes + flattering(request.only, splits, other, "the champion")
    same = None if splits is None or request.only == ALL else digest(splits) == bundle.manifest.dataset_sha256
    result = EvaluationResult(bundle, mine, champion, comparison, same, notes)
    if request.report is not None:
        write_page(request.report, _facts(request, result))
    return result


def splits_asked(dataset: Dataset, request: EvaluationRequest, split: Divider) -> Splits | None:
    """As the request's words divide the dataset; None if all of it is looked at and it cannot be divided so.

    Raises:
        DatasetError: there is no such split, or the dataset cannot be divided and one is asked for.
    """
    if request.only != ALL and request.only not in SHARES:
        raise DatasetError(f"evaluate: there is no split {request.only!r}: choose {ALL}, {', '.join(SHARES)}")
    try:
        return split(dataset, request.division)
    except DatasetError:
        if request.only != ALL:
            raise
        return None


def flattering(only: str, splits: Splits | None, bundle: Bundle, who: str) -> tuple[str, ...]:
    """Why figures may be better than the model, as far as the digest of its training's split tells."""
    same = splits is not None and digest(splits) == bundle.manifest.dataset_sha256
    if splits is not None and same and only in {ALL, "train"}:
        return (f"{who} learned from {len(splits.train)} of these images: this is no proof (use --only test)",)
    if only in {"val", "test"} and not same:
        return (f"this split is not the one {who} was trained by: images it learned from may be among these",)
    return ()


@dataclass(frozen=True, slots=True)
class QuantizationRequest:
    """What to quantize anew: a detector bundle, on this dataset's splits, as a new bundle.

    Args:
        bundle: holds the FP32 graph.
        data: ranges are learned and the gate judges by its splits.
        out: the new bundle's folder; must not exist.
        division: as at training.
        other_data: the bundle was not trained by these images.
    """

    bundle: Path
    data: Path
    out: Path
    division: Division = field(default_factory=Division)
    other_data: bool = False


def run_quantization(request: QuantizationRequest, progress: Progress) -> tuple[Bundle, Detector]:
    """Take the bundle's FP32 graph down the ladder again; without a trainer, so without quantization-aware training.

    Raises:
        DatasetError: the dataset or its split will not do.
        ModelError: the bundle does not verify, holds no FP32 graph or is no detector, or the target exists or has a
            name that no bundle can have.
    """
    name, version = name_of(request.out)
    bundle = _detector(request.bundle)
    if not bundle.fp32_xml.is_file():
        raise ModelError(f"quantize: {bundle.path} holds no fp32 graph: train or import one that does")
    progress.stage("read", 1)
    splits = _judging_splits(request, bundle)
    progress.advance()
    frames = calibration_frames(splits.train, bundle.spec, request.division.seed)
    val, test = (
        exam_of(part, compares=bundle.spec.compares, learned=splits.train) for part in (splits.val, splits.test)
    )
    ladder = Ladder(bundle.spec, frames, val, test, progress)
    choice = ladder.climb(ov.Core().read_model(bundle.fp32_xml))
    detector = Detector(
        bundle.spec, choice, {t.step: evaluate(ladder.test, t.found, t.undecided) for t in choice.trials}
    )
    threshold, made = _threshold(bundle), datetime.now(UTC)
    origin = Origin(name, version, digest(splits), made, threshold, bundle.model_id.sha256)
    story = [("Quantized from", f"{bundle.model_id.id} v{bundle.model_id.version}"), ("Data", request.data.name)]
    return write_detector(request.out, detector, origin, page_facts(detector, origin, story)), detector


def _threshold(bundle: Bundle) -> DetectorThreshold:
    """The parent's, with what its graph never reports: the quantized graph drops the same."""
    held = bundle.manifest.thresholds.get("fp32")
    if not isinstance(held, DetectorThreshold):
        raise ModelError(f"quantize: {bundle.path} states no threshold of its FP32 graph: train or import it again")
    return held.model_copy(update={"chosen_by": "the parent bundle"})


def _judging_splits(request: QuantizationRequest, bundle: Bundle) -> Splits:
    """The splits of the training, or those of other data; else the gate would judge by what was learned from."""
    dataset = read_dataset(request.data)
    _check_references(bundle, dataset)
    splits = split_learnable(dataset, request.division)
    if digest(splits) != bundle.manifest.dataset_sha256 and not request.other_data:
        raise DatasetError(
            f"quantize: {request.data} split by {splits.by!r} with seed {request.division.seed} is not the split that "
            f"{bundle.path} was trained by, so its test images may have been learned from: give the data, --split-by, "
            "--seed and --test-share of the training, or --other-data if none of these images was learned from"
        )
    train, val, test = (named_as(part, bundle) for _, part in splits)
    return replace(splits, train=train, val=val, test=test)


def _evaluate(path: Path, dataset: Dataset, learned: Dataset | None, progress: Progress) -> tuple[Bundle, Evaluation]:
    bundle = _detector(path)
    _check_references(bundle, dataset)
    exam = exam_of(named_as(dataset, bundle), compares=bundle.spec.compares, learned=learned)
    progress.stage(bundle.model_id.id, len(exam))
    undecided: list[int] = []
    found = exam.sit(compile_bundle(bundle), bundle.spec, progress.advance, undecided)
    return bundle, evaluate(exam, found, undecided)


def _detector(path: Path) -> Bundle:
    bundle = open_bundle(path)
    if bundle.spec.kind is not Kind.DETECTOR:
        raise RequestError(f"{path} is of kind {bundle.spec.kind}: this command is for detectors")
    return bundle


def _check_references(bundle: Bundle, dataset: Dataset) -> None:
    if bundle.spec.compares and not dataset.has_references:
        lacking = next(image.name for image in dataset.images if image.reference is None)
        raise DatasetError(
            f"{bundle.path} compares with golden references, and {lacking} has none: complete them or choose another"
        )


def _compare(champion: Evaluation, mine: Evaluation) -> Comparison:
    """On the frames that both looked at: a model that compares does not see the references as frames of their own."""
    places = {path: place for place, path in enumerate(champion.exam.images)}
    common = [(place, places[path]) for place, path in enumerate(mine.exam.images) if path in places]
    exam = mine.exam.part([place for place, _ in common])
    theirs = _side(champion, [place for _, place in common])
    return compare(exam, theirs, _side(mine, [place for place, _ in common]))


def _side(evaluation: Evaluation, places: list[int]) -> Side:
    undecided = set(evaluation.undecided)
    return Side(
        [evaluation.found[place] for place in places],
        [index for index, place in enumerate(places) if place in undecided],
    )


def _facts(request: EvaluationRequest, result: EvaluationResult) -> PageFacts:
    found, bundle = result.evaluation, result.bundle
    title = f"{bundle.model_id.id} v{bundle.model_id.version} on {request.data.name}"
    headline = f"map50 {shown(found.map50)}, pooled_map33 {shown(found.pooled_map33)} on {len(found.exam)} images."
    story = [("Bundle", bundle.model_id.sha256), ("Precision", bundle.precision.value), ("Images", request.only)]
    return PageFacts(title, headline, not result.notes, story, found, (), result.comparison)
