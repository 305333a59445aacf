"""`cloud evaluate` and `cloud quantize` for classifiers: on labelled images, and anew from the own FP32 graph."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import openvino as ov

from models.bundle import Bundle
from models.classifier.figures import ClassFigures, class_exam, measure
from models.classifier.making import MadeClassifier, Making, make_bundle, map_reader
from models.classifier.packaging import ClassOrigin, calibration_of
from models.classifier.page import class_page
from models.classifying import classify_images
from models.compile import compile_bundle
from models.dataset.errors import DatasetError
from models.dataset.image_level import image_level, split_image_level
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.snapshot import digest
from models.dataset.splits import Splits
from models.errors import ModelError
from models.evaluation.job import EvaluationRequest, QuantizationRequest
from models.evaluation.naming import named_as
from models.evaluation.scored import ScoredComparison
from models.evaluation.scored_job import ScoredEvaluation, ScoredKind, evaluate_scored
from models.evaluation.scored_page import PageHead, write_scored_page
from models.manifest import ClassifierThreshold
from models.packaging import name_of
from models.progress import Progress
from models.spec import Kind


def evaluate_classifier(request: EvaluationRequest, progress: Progress) -> ScoredEvaluation[ClassFigures]:
    """Look at every image as the station would, and measure. Raises as `evaluate_scored`."""
    return evaluate_scored(request, _CLASSIFIERS, progress)


def quantize_classifier(request: QuantizationRequest, progress: Progress) -> MadeClassifier:
    """Take the bundle's FP32 graph through the gate again, as a new bundle.

    Raises:
        DatasetError: the dataset or its split will not do, or is not that of the training.
        ModelError: the bundle does not verify or holds no FP32 graph, or the target exists.
    """
    name, version = name_of(request.out)
    bundle = _CLASSIFIERS.open(request.bundle)
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


def _look(bundle: Bundle, dataset: Dataset, progress: Progress) -> ClassFigures:
    exam = class_exam(named_as(dataset, bundle))
    progress.stage(bundle.model_id.id, len(exam))
    said = classify_images(compile_bundle(bundle), exam.images, bundle.spec, progress.advance)
    return measure(exam, said, calibration_of(_threshold(bundle)))


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


def _write_page(
    path: Path, head: PageHead, bundle: Bundle, found: ClassFigures, comparison: ScoredComparison | None
) -> None:
    maps = map_reader(compile_bundle(bundle), bundle.spec)
    write_scored_page(path, class_page(head, found, maps, comparison=comparison))


_CLASSIFIERS = ScoredKind(Kind.CLASSIFIER, split_image_level, image_level, _look, _write_page)
