"""`cloud evaluate` and `cloud quantize` for classifiers: on labelled images, and anew from the own FP32 graph."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import openvino as ov

from models.bundle import Bundle, open_bundle
from models.classifier.compare import ClassComparison, compare_classes
from models.classifier.figures import ClassFigures, class_exam, lines_of, measure
from models.classifier.making import MadeClassifier, Making, make_bundle, map_reader
from models.classifier.packaging import ClassOrigin, calibration_of
from models.classifier.report import ClassPage, write_class_page
from models.classifying import classify_images
from models.compile import compile_bundle
from models.dataset.errors import DatasetError
from models.dataset.image_level import image_level, split_image_level
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.snapshot import digest
from models.dataset.splits import Splits
from models.errors import ModelError, RequestError
from models.evaluate import shown
from models.evaluation.compare import Answer
from models.evaluation.job import ALL, EvaluationRequest, QuantizationRequest, flattering, splits_asked
from models.evaluation.naming import named_as
from models.manifest import ClassifierThreshold
from models.packaging import name_of
from models.progress import Progress
from models.spec import Kind


@dataclass(frozen=True, slots=True, eq=False)
class ClassEvaluation:
    """What came of it; `flattering` says why the figures may be better than the models."""

    bundle: Bundle
    figures: ClassFigures
    champion: ClassFigures | None
    comparison: ClassComparison | None
    flattering: tuple[str, ...]

    @property
    def worse(self) -> bool:
        """Whether it is proven worse than the champion."""
        return self.comparison is not None and self.comparison.answer is Answer.WORSE

    @property
    def lines(self) -> Sequence[str]:
        """What the command says without `--json`."""
        against = self.comparison
        told = [] if against is None else [f"against the champion: {against.answer}, AUROC gain {against.auroc_gain}"]
        return (*lines_of(self.figures), *self.flattering, *told)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        about: dict[str, object] = {
            "bundle": str(self.bundle.path),
            "sha256": self.bundle.model_id.sha256,
            "kind": Kind.CLASSIFIER.value,
            "precision": self.bundle.precision.value,
            **self.figures.as_json(),
            "notes": [*self.figures.notes, *self.flattering],
        }
        if self.comparison is not None and self.champion is not None:
            about |= {"champion": self.champion.as_json(), "comparison": self.comparison.as_json()}
        return about


def evaluate_classifier(request: EvaluationRequest, progress: Progress) -> ClassEvaluation:
    """Look at every image with the bundle as the station would, and measure.

    Raises:
        DatasetError: the dataset will not do, or knows classes that the bundle does not.
        RequestError: the champion is no classifier.
        ModelError: a bundle does not verify or answers brokenly.
    """
    progress.stage("read", 1)
    dataset = read_dataset(request.data)
    splits = splits_asked(dataset, request, split_image_level)
    wanted = image_level(dataset) if request.only == ALL or splits is None else dict(splits)[request.only]
    progress.advance()
    bundle, mine = _look(open_classifier(request.bundle), wanted, progress)
    notes = flattering(request.only, splits, bundle, "the bundle")
    champion, comparison = None, None
    if request.champion is not None:
        other, champion = _look(open_classifier(request.champion), wanted, progress)
        comparison = compare_classes(champion, mine)
        notes += flattering(request.only, splits, other, "the champion")
    result = ClassEvaluation(bundle, mine, champion, comparison, notes)
    if request.report is not None:
        write_class_page(request.report, _page(request, result))
    return result


def quantize_classifier(request: QuantizationRequest, progress: Progress) -> MadeClassifier:
    """Take the bundle's FP32 graph through the gate again, as a new bundle.

    Raises:
        DatasetError: the dataset or its split will not do, or is not that of the training.
        ModelError: the bundle does not verify or holds no FP32 graph, or the target exists.
    """
    name, version = name_of(request.out)
    bundle = open_classifier(request.bundle)
    if not bundle.fp32_xml.is_file():
        raise ModelError(f"quantize: {bundle.path} holds no fp32 graph: train or import one that does")
    progress.stage("read", 1)
    splits = _judging_splits(request, bundle)
    progress.advance()
    made = datetime.now(UTC)
    origin = ClassOrigin(name, version, digest(splits), made, _threshold(bundle), bundle.model_id.sha256)
    story = [("Quantized from", f"{bundle.model_id.id} v{bundle.model_id.version}"), ("Data", request.data.name)]
    making = Making(request.out, splits, origin, story, {"method": "quantize"}, request.division.seed)
    return make_bundle(ov.Core().read_model(bundle.fp32_xml), bundle.spec, making, progress)


def open_classifier(path: Path) -> Bundle:
    """The bundle, verified. Raises ModelError as `open_bundle`, RequestError: it is of another kind."""
    bundle = open_bundle(path)
    if bundle.spec.kind is not Kind.CLASSIFIER:
        raise RequestError(f"{path} is of kind {bundle.spec.kind}, and this is about classifiers: give two of one kind")
    return bundle


def _look(bundle: Bundle, dataset: Dataset, progress: Progress) -> tuple[Bundle, ClassFigures]:
    exam = class_exam(named_as(dataset, bundle))
    progress.stage(bundle.model_id.id, len(exam))
    said = classify_images(compile_bundle(bundle), exam.images, bundle.spec, progress.advance)
    return bundle, measure(exam, said, calibration_of(_threshold(bundle)))


def _threshold(bundle: Bundle) -> ClassifierThreshold:
    found = next(iter(bundle.manifest.thresholds.values()), None)
    if isinstance(found, ClassifierThreshold) and len(found.shifts) == len(bundle.spec.classes):
        return found
    nothing = [0.0] * len(bundle.spec.classes)
    return ClassifierThreshold(probability=0.5, chosen_by="the manifest says nothing", shifts=nothing)


def _judging_splits(request: QuantizationRequest, bundle: Bundle) -> Splits:
    """The splits of the training, or those of other data; else the gate would judge by what was learned from."""
    splits = split_image_level(read_dataset(request.data), request.division)
    if digest(splits) != bundle.manifest.dataset_sha256 and not request.other_data:
        raise DatasetError(
            f"quantize: {request.data} split by {splits.by!r} with seed {request.division.seed} is not the split that "
            f"{bundle.path} was trained by, so its test images may have been learned from: give the data, --split-by, "
            "--seed and --test-share of the training, or --other-data if none of these images was learned from"
        )
    train, val, test = (named_as(part, bundle) for _, part in splits)
    return replace(splits, train=train, val=val, test=test)


def _page(request: EvaluationRequest, result: ClassEvaluation) -> ClassPage:
    bundle, found = result.bundle, result.figures
    title = f"{bundle.model_id.id} v{bundle.model_id.version} on {request.data.name}"
    story = [("Bundle", bundle.model_id.sha256), ("Precision", bundle.precision.value), ("Images", request.only)]
    story += [("Note", note) for note in result.flattering]
    headline = f"AUROC {shown(found.auroc)} on {len(found.exam)} images."
    maps = map_reader(compile_bundle(bundle), bundle.spec)
    fine = not (found.notes or result.flattering)
    return ClassPage(title, headline, fine, story, found, maps, (), result.comparison)
