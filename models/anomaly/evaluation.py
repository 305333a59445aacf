"""`cloud evaluate` and `cloud quantize` for anomaly models: on labelled images, and learned anew for another INT8."""

from pathlib import Path

from models.anomaly.figures import PartFigures, measure, part_exam
from models.anomaly.job import MadeParts, PartRequest, make_parts, read_splits
from models.anomaly.page import part_page
from models.bundle import Bundle
from models.compile import compile_bundle
from models.dataset.errors import DatasetError
from models.dataset.good_parts import split_good_parts
from models.dataset.records import Dataset
from models.dataset.snapshot import digest
from models.errors import RequestError
from models.evaluation.job import EvaluationRequest, QuantizationRequest
from models.evaluation.scored import ScoredComparison
from models.evaluation.scored_job import ScoredEvaluation, ScoredKind, evaluate_scored
from models.evaluation.scored_page import PageHead, write_scored_page
from models.progress import Progress
from models.scoring import pose_of, rejected, score_images
from models.spec import Kind


def evaluate_parts(request: EvaluationRequest, progress: Progress) -> ScoredEvaluation[PartFigures]:
    """Look at every image as the station would, and measure. Raises as `evaluate_scored`."""
    return evaluate_scored(request, _PARTS, progress)


def quantize_parts(request: QuantizationRequest, progress: Progress) -> MadeParts:
    """Go through the gate again, as a new bundle: the same good parts are learned anew in every precision.

    Raises:
        DatasetError: the dataset or its split will not do, or is not that of the training.
        RequestError: the bundle was imported, or other data is given: its statistics come from its own.
        ModelError: the bundle does not verify, or the target exists.
    """
    bundle = _PARTS.open(request.bundle)
    if bundle.manifest.imported is not None or request.other_data:
        raise RequestError(
            f"quantize: {bundle.path} keeps statistics of its own good parts, and INT8 features need their own: give "
            "the data it was trained by; of other data train a new model, and an imported one where it came from"
        )
    splits = read_splits(request.data, request.division, progress)
    if digest(splits) != bundle.manifest.dataset_sha256:
        raise DatasetError(
            f"quantize: {request.data} split by {splits.by!r} with seed {request.division.seed} is not the split that "
            f"{bundle.path} was trained by: give the data, --split-by, --seed and --test-share of the training"
        )
    again = PartRequest(request.data, request.out, request.division)
    return make_parts(again, splits, bundle.spec.inputs[0], bundle.model_id.sha256, progress, pose_of(bundle))


def _look(bundle: Bundle, dataset: Dataset, progress: Progress) -> PartFigures:
    exam, spec = part_exam(dataset), bundle.spec.inputs[0]
    progress.stage(bundle.model_id.id, len(exam))
    compiled, pose = compile_bundle(bundle), pose_of(bundle)
    scored = score_images(compiled, exam.paths, spec, progress.advance, pose=pose, on_misfit=rejected)
    return measure(exam, scored, spec)


def _write_page(
    path: Path, head: PageHead, bundle: Bundle, found: PartFigures, comparison: ScoredComparison | None
) -> None:
    write_scored_page(path, part_page(head, found, bundle.spec.inputs[0], comparison=comparison))


def _as_it_is(dataset: Dataset) -> Dataset:
    return dataset


_PARTS = ScoredKind(Kind.ANOMALY, split_good_parts, _as_it_is, _look, _write_page)
