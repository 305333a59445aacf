"""`cloud evaluate` for a kind that gives one score an image: look, measure, compare with a champion, write the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from models.bundle import Bundle, open_bundle
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset
from models.dataset.splits import Splits
from models.errors import RequestError
from models.evaluate import Estimate, shown
from models.evaluation.compare import Answer
from models.evaluation.job import ALL, EvaluationRequest, flattering, splits_asked
from models.evaluation.scored import Answers, ScoredComparison, compare_answers
from models.evaluation.scored_page import PageHead
from models.progress import Progress
from models.spec import Kind


class ScoredFigures(Protocol):
    """All that is measured of one model on one set of images."""

    @property
    def answers(self) -> Answers:
        """What the model said."""
        ...

    @property
    def auroc(self) -> Estimate | None:
        """A defective image scoring above a good one; None without two of each."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What these images could not show."""
        ...

    @property
    def lines(self) -> Sequence[str]:
        """What the command says without `--json`."""
        ...

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        ...


Figures = TypeVar("Figures", bound=ScoredFigures)


@dataclass(frozen=True, slots=True)
class ScoredKind(Generic[Figures]):
    """What one kind adds.

    Args:
        kind: it is.
        split: divides a dataset as its training does.
        whole: makes what `--only all` looks at of a dataset.
        look: looks at every image of a dataset with a bundle as the station would, and measures.
        write_page: writes the page about it.
    """

    kind: Kind
    split: Callable[[Dataset, Division], Splits]
    whole: Callable[[Dataset], Dataset]
    look: Callable[[Bundle, Dataset, Progress], Figures]
    write_page: Callable[[Path, PageHead, Bundle, Figures, ScoredComparison | None], None]

    def open(self, path: Path) -> Bundle:
        """The bundle, verified. Raises ModelError as `open_bundle`, RequestError: it is of another kind."""
        bundle = open_bundle(path)
        if bundle.spec.kind is not self.kind:
            raise RequestError(f"{path} is of kind {bundle.spec.kind}, expected {self.kind}: give two of one kind")
        return bundle


@dataclass(frozen=True, slots=True, eq=False)
class ScoredEvaluation(Generic[Figures]):
    """What came of it; `flattering` says why the figures may be better than the models."""

    bundle: Bundle
    figures: Figures
    champion: Figures | None
    comparison: ScoredComparison | None
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
        return (*self.figures.lines, *self.flattering, *told)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        about: dict[str, object] = {
            "bundle": str(self.bundle.path),
            "sha256": self.bundle.model_id.sha256,
            "kind": self.bundle.spec.kind.value,
            "precision": self.bundle.precision.value,
            **self.figures.as_json(),
            "notes": [*self.figures.notes, *self.flattering],
        }
        if self.comparison is not None and self.champion is not None:
            about |= {"champion": self.champion.as_json(), "comparison": self.comparison.as_json()}
        return about


def evaluate_scored(
    request: EvaluationRequest, own: ScoredKind[Figures], progress: Progress
) -> ScoredEvaluation[Figures]:
    """Look at every image with the bundle as the station would, and measure.

    Raises:
        DatasetError: the dataset will not do, or knows classes that the bundle does not.
        RequestError: bundle or champion is of another kind.
        ModelError: a bundle does not verify or answers brokenly.
    """
    progress.stage("read", 1)
    dataset = read_dataset(request.data)
    splits = splits_asked(dataset, request, own.split)
    wanted = own.whole(dataset) if request.only == ALL or splits is None else dict(splits)[request.only]
    progress.advance()
    bundle = own.open(request.bundle)
    mine = own.look(bundle, wanted, progress)
    notes = flattering(request.only, splits, bundle, "the bundle")
    champion, comparison = None, None
    if request.champion is not None:
        other = own.open(request.champion)
        champion = own.look(other, wanted, progress)
        comparison = compare_answers(champion.answers, mine.answers)
        notes += flattering(request.only, splits, other, "the champion")
    result = ScoredEvaluation(bundle, mine, champion, comparison, notes)
    if request.report is not None:
        own.write_page(request.report, _head(request, result), bundle, mine, comparison)
    return result


def _head(request: EvaluationRequest, result: ScoredEvaluation[Figures]) -> PageHead:
    bundle, found = result.bundle, result.figures
    title = f"{bundle.model_id.id} v{bundle.model_id.version} on {request.data.name}"
    story = [("Bundle", bundle.model_id.sha256), ("Precision", bundle.precision.value), ("Images", request.only)]
    story += [("Note", note) for note in result.flattering]
    headline = f"AUROC {shown(found.auroc)} on {len(found.answers.images)} images."
    return PageHead(title, headline, not (found.notes or result.flattering), story)
