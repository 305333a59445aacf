"""The page about a classifier: figures, ROC, reliability, confusion, worst images with their maps; one HTML file."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from models.classifier.calibration import Bin
from models.classifier.compare import ClassComparison
from models.classifier.figures import ClassFigures, said_labels
from models.detections import FloatArray
from models.evaluate import shown
from models.gate import THRESHOLD
from models.page import BAD, GOOD, LINE, page, svg, table
from models.score_plots import histogram, paired_text, picture, roc
from models.scoring import read_image

_WORST = 8
MapOf = Callable[[Path], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class ClassPage:
    """What the page tells.

    Args:
        title: of the page.
        headline: the answer in one sentence.
        fine: whether it is a good one.
        story: rows on how the model was made or what was looked at.
        figures: of the model.
        map_of: an image's map (h, w) on the image's own area, in [0, 1].
        precisions: rows (how, milliseconds, AUROC, what the gate said), where there was a choice.
        comparison: with the champion, where there is one.
    """

    title: str
    headline: str
    fine: bool
    story: Sequence[tuple[str, str]]
    figures: ClassFigures
    map_of: MapOf
    precisions: Sequence[tuple[str, str, str, str]] = ()
    comparison: ClassComparison | None = None


def write_class_page(path: Path, facts: ClassPage) -> None:
    """Write the page: plots as inline SVG, pictures inside, no scripts, no links to elsewhere."""
    found = facts.figures
    scores, bad = found.said.frame_scores, found.exam.defective
    parts = [
        f"<h1>{html.escape(facts.title)}</h1>",
        f'<p class="verdict {"good" if facts.fine else "weak"}">{html.escape(facts.headline)}</p>',
        table(("", ""), list(facts.story)),
        f"<h2>Figures</h2>{_figures(found)}{''.join(f'<p>{html.escape(note)}.</p>' for note in found.notes)}",
        f'<h2>Threshold</h2><div class="row">{svg(roc(scores, bad))}{svg(histogram(scores, bad))}</div>',
        f'<h2>Probabilities</h2><div class="row">{svg(_reliability(found))}{_said_of_bins(found)}</div>',
        f"<h2>Confusion</h2>{_confusion(found)}",
        _precisions(facts),
        _comparison(facts.comparison),
        "<h2>Worst images</h2><p>The surest mistakes, with what the map says of where.</p>",
        f'<div class="row">{"".join(_worst(found, facts.map_of))}</div>',
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(facts.title, "\n".join(parts)), encoding="utf-8")


def _figures(found: ClassFigures) -> str:
    rows = [
        ("AUROC, any defect against good", shown(found.auroc)),
        *((f"AUROC, {name} against all others", f"{value:.4f}") for name, value in found.auroc_by_class.items()),
        ("accuracy at the threshold", str(found.accuracy)),
        ("balanced accuracy", f"{found.balanced_accuracy:.4f}"),
        ("escape: defective images passed", shown(found.escape)),
        ("overkill: good images rejected", shown(found.overkill)),
        ("images, good ones", f"{len(found.exam)}, {int((~found.exam.defective).sum())}"),
    ]
    return table(("", ""), rows)


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


def _precisions(facts: ClassPage) -> str:
    if not facts.precisions:
        return ""
    return "<h2>Precision</h2>" + table(("made by", "ms per frame", "AUROC", "gate"), list(facts.precisions))


def _comparison(found: ClassComparison | None) -> str:
    if found is None:
        return ""
    gain = "not measured" if found.auroc_gain is None else str(found.auroc_gain)
    rows = [("AUROC, challenger less champion", gain), ("escapes", paired_text(found.escapes))]
    rows += [("overkill", paired_text(found.overkill)), ("wrong answers", paired_text(found.misnamed))]
    text = f"<p>The challenger is {html.escape(str(found.answer))}.</p>"
    return "<h2>Challenger against champion</h2>" + text + table(("", ""), rows)


def _worst(found: ClassFigures, map_of: MapOf) -> list[str]:
    """The surest mistakes, as pictures inside the page."""
    said, scores = said_labels(found.said), found.said.frame_scores
    wrong = [
        index
        for index in np.argsort(-np.abs(scores - THRESHOLD), kind="stable")
        if said[index] != found.exam.labels[index]
    ]
    names = ("good", *found.exam.classes)
    return [
        picture(
            f"{found.exam.names[index]}: labelled {names[found.exam.labels[index]]}, score {scores[index]:.2f}",
            read_image(found.exam.images[index]),
            map_of(found.exam.images[index]),
        )
        for index in wrong[:_WORST]
    ]
