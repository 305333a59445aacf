"""The page about a classifier: what only this kind shows."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from models.classifier.calibration import Bin
from models.classifier.figures import ClassFigures
from models.detections import FloatArray
from models.evaluate import shown
from models.evaluation.scored import ScoredComparison
from models.evaluation.scored_page import PageHead, ScoredPage
from models.page import BAD, GOOD, LINE, svg, table
from models.score_plots import picture
from models.scoring import read_image

_WORST = 8
MapOf = Callable[[Path], FloatArray]


def class_page(
    head: PageHead,
    found: ClassFigures,
    map_of: MapOf,
    precisions: Sequence[tuple[str, str, str, str]] = (),
    comparison: ScoredComparison | None = None,
) -> ScoredPage:
    """What the page tells.

    Args:
        head: how it begins.
        found: the model's figures.
        map_of: an image's map (h, w) on the image's own area, in [0, 1].
        precisions: rows (how, milliseconds, AUROC, what the gate said), where there was a choice.
        comparison: with the champion, where there is one.
    """
    sections = [
        ("Probabilities", f'<div class="row">{svg(_reliability(found))}{_said_of_bins(found)}</div>'),
        ("Confusion", _confusion(found)),
    ]
    rows = [("made by", "ms per frame", "AUROC", "gate"), *precisions] if precisions else []
    worst = ("The surest mistakes, with what the map says of where.", _worst(found, map_of))
    return ScoredPage(head, found.answers, _figures(found), found.notes, sections, rows, comparison, worst)


def _figures(found: ClassFigures) -> list[tuple[str, str]]:
    return [
        ("AUROC, any defect against good", shown(found.auroc)),
        *((f"AUROC, {name} against all others", f"{value:.4f}") for name, value in found.auroc_by_class.items()),
        ("accuracy at the threshold", str(found.accuracy)),
        ("balanced accuracy", f"{found.balanced_accuracy:.4f}"),
        ("escape: defective images passed", shown(found.escape)),
        ("overkill: good images rejected", shown(found.overkill)),
        ("images, good ones", f"{len(found.exam)}, {int((~found.exam.defective).sum())}"),
    ]


def _reliability(found: ClassFigures) -> Figure:
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=LINE, linestyle=":", linewidth=1)
    for bins, colour, name in ((found.bins_before, BAD, "before calibration"), (found.bins, GOOD, "as it is")):
        axes.plot(*_points(bins), "o-", color=colour, markersize=4, linewidth=1, label=name)
    axes.set(xlabel="probability of a defect, as said", ylabel="share of defective images", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    return figure


def _points(bins: Sequence[Bin]) -> tuple[list[float], list[float]]:
    return [one.probability for one in bins], [one.defective / one.count for one in bins]


def _said_of_bins(found: ClassFigures) -> str:
    rows = [(str(one.count), f"{one.probability:.3f}", f"{one.defective / one.count:.3f}") for one in found.bins]
    text = f"<p>Expected calibration error {found.ece:.4f}, before calibration {found.ece_before:.4f}.</p>"
    return f"<div>{text}{table(('images', 'probability', 'defective'), rows)}</div>"


def _confusion(found: ClassFigures) -> str:
    names = ("good", *found.exam.classes)
    rows = [(name, *(str(int(count)) for count in row)) for name, row in zip(names, found.confusion, strict=True)]
    return table(("labelled, then said", *names), rows)


def _worst(found: ClassFigures, map_of: MapOf) -> list[str]:
    exam, scores, names = found.exam, found.said.frame_scores, ("good", *found.exam.classes)
    return [
        picture(
            f"{exam.names[index]}: labelled {names[exam.labels[index]]}, score {scores[index]:.2f}",
            read_image(exam.images[index]),
            map_of(exam.images[index]),
        )
        for index in found.answers.surest_mistakes(_WORST)
    ]
