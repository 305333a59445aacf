"""`cloud evaluate` and `cloud quantize` for anomaly models: on labelled images, and learned anew for another INT8."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.anomaly.compare import PartComparison, compare_parts
from models.anomaly.figures import PartFigures, lines_of, measure, part_exam
from models.anomaly.job import MadeParts, PartRequest, make_parts, read_splits
from models.anomaly.page import PartPage, write_part_page
from models.bundle import Bundle, open_bundle
from models.compile import compile_bundle
from models.dataset.errors import DatasetError
from models.dataset.good_parts import split_good_parts
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.snapshot import digest
from models.errors import RequestError
from models.evaluate import shown
from models.evaluation.compare import Answer
from models.evaluation.job import ALL, EvaluationRequest, QuantizationRequest, flattering, splits_asked
from models.progress import Progress
from models.scoring import score_images
from models.spec import Kind


@dataclass(frozen=True, slots=True, eq=False)
class PartEvaluation:
    """What came of it; `flattering` says why the figures may be better than the models."""

    bundle: Bundle
    figures: PartFigures
    champion: PartFigures | None
    comparison: PartComparison | None
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
            "kind": Kind.ANOMALY.value,
            "precision": self.bundle.precision.value,
            **self.figures.as_json(),
            "notes": [*self.figures.notes, *self.flattering],
        }
        if self.comparison is not None and self.champion is not None:
            about |= {"champion": self.champion.as_json(), "comparison": self.comparison.as_json()}
        return about


def evaluate_parts(request: EvaluationRequest, progress: Progress) -> PartEvaluation:
    """Look at every image with the bundle as the station would, and measure.

    Raises:
        DatasetError: the dataset will not do.
        RequestError: the champion is no anomaly model.
        ModelError: a bundle does not verify or answers brokenly.
    """
    progress.stage("read", 1)
    dataset = read_dataset(request.data)
    splits = splits_asked(dataset, request, split_good_parts)
    wanted = dataset if request.only == ALL or splits is None else dict(splits)[request.only]
    progress.advance()
    bundle, mine = _look(open_parts(request.bundle), wanted, progress)
    notes = flattering(request.only, splits, bundle, "the bundle")
    champion, comparison = None, None
    if request.champion is not None:
        other, champion = _look(open_parts(request.champion), wanted, progress)
        comparison = compare_parts(champion, mine)
        notes += flattering(request.only, splits, other, "the champion")
    result = PartEvaluation(bundle, mine, champion, comparison, notes)
    if request.report is not None:
        write_part_page(request.report, _page(request, result))
    return result


def quantize_parts(request: QuantizationRequest, progress: Progress) -> MadeParts:
    """Go through the gate again, as a new bundle: the same good parts are learned anew in every precision.

    Raises:
        DatasetError: the dataset or its split will not do, or is not that of the training.
        RequestError: the bundle was imported, or other data is given: its statistics come from its own.
        ModelError: the bundle does not verify, or the target exists.
    """
    bundle = open_parts(request.bundle)
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
    return make_parts(again, splits, bundle.spec.inputs[0], bundle.model_id.sha256, progress)


def open_parts(path: Path) -> Bundle:
    """The bundle, verified. Raises ModelError as `open_bundle`, RequestError: it is of another kind."""
    bundle = open_bundle(path)
    if bundle.spec.kind is not Kind.ANOMALY:
        raise RequestError(f"{path} is of kind {bundle.spec.kind}, and this is about anomaly models: give two of one")
    return bundle


def _look(bundle: Bundle, dataset: Dataset, progress: Progress) -> tuple[Bundle, PartFigures]:
    exam, spec = part_exam(dataset), bundle.spec.inputs[0]
    progress.stage(bundle.model_id.id, len(exam))
    scored = score_images(compile_bundle(bundle), exam.paths, spec, progress.advance)
    return bundle, measure(exam, scored, spec)


def _page(request: EvaluationRequest, result: PartEvaluation) -> PartPage:
    bundle, found = result.bundle, result.figures
    title = f"{bundle.model_id.id} v{bundle.model_id.version} on {request.data.name}"
    story = [("Bundle", bundle.model_id.sha256), ("Precision", bundle.precision.value), ("Images", request.only)]
    story += [("Note", note) for note in result.flattering]
    headline = f"AUROC {shown(found.auroc)} on {len(found.exam)} images."
    fine = not (found.notes or result.flattering)
    return PartPage(title, headline, fine, story, found, bundle.spec.inputs[0], (), result.comparison)
