"""The page about a classifier: figures, ROC, reliability, confusion, worst images with their maps; one HTML file."""

import base64
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.classifier.calibration import Bin
from models.classifier.compare import ClassComparison
from models.classifier.figures import ClassFigures, said_labels, shown
from models.detections import FloatArray
from models.evaluation.compare import Paired
from models.gate import THRESHOLD
from models.letterbox import Image
from models.page import BAD, GOOD, LINE, page, svg, table
from models.scoring import read_image

_WORST = 8
_PICTURE_PX = 220
_QUALITY = 82
_WEIGHT = 0.45
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
    parts = [
        f"<h1>{html.escape(facts.title)}</h1>",
        f'<p class="verdict {"good" if facts.fine else "weak"}">{html.escape(facts.headline)}</p>',
        table(("", ""), list(facts.story)),
        f"<h2>Figures</h2>{_figures(found)}{''.join(f'<p>{html.escape(note)}.</p>' for note in found.notes)}",
        f'<h2>Threshold</h2><div class="row">{svg(_roc(found))}{svg(_scores(found))}</div>',
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


def _roc(found: ClassFigures) -> Figure:
    figure = Figure(figsize=(3.8, 3.6), layout="constrained")
    axes, scores, bad = figure.subplots(), found.said.frame_scores, found.exam.defective
    order = np.argsort(-scores, kind="stable")
    axes.plot(_climb(~bad[order]), _climb(bad[order]), color=GOOD, linewidth=1.4)
    at = scores >= THRESHOLD
    axes.plot([_share(at[~bad])], [_share(at[bad])], "o", color=BAD, label="the threshold")
    axes.plot([0, 1], [0, 1], color=LINE, linestyle=":", linewidth=1)
    axes.set(xlabel="good images rejected", ylabel="defective images rejected", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _climb(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(hits) / max(1, int(hits.sum()))])


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else 0.0


def _scores(found: ClassFigures) -> Figure:
    figure = Figure(figsize=(4.4, 3.6), layout="constrained")
    axes, bad, bins = figure.subplots(), found.exam.defective, np.linspace(0, 1, 41).tolist()
    axes.hist(found.said.frame_scores[~bad], bins, color=GOOD, alpha=0.8, label="good")
    axes.hist(found.said.frame_scores[bad], bins, color=BAD, alpha=0.6, label="defective")
    axes.axvline(THRESHOLD, color=LINE, linestyle=":", linewidth=1)
    axes.set(xlabel="score", ylabel="images")
    axes.legend(frameon=False, fontsize=8)
    return figure


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
    rows = [("AUROC, challenger less champion", gain), ("escapes", _paired(found.escapes))]
    rows += [("overkill", _paired(found.overkill)), ("wrong answers", _paired(found.misnamed))]
    text = f"<p>The challenger is {html.escape(str(found.answer))}.</p>"
    return "<h2>Challenger against champion</h2>" + text + table(("", ""), rows)


def _paired(found: Paired | None) -> str:
    if found is None:
        return "not measured"
    return (
        f"champion alone {found.only_champion}, challenger alone {found.only_challenger}, both {found.both}; "
        f"McNemar p = {found.p_value:.3g}"
    )


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
        _picture(
            f"{found.exam.names[index]}: labelled {names[found.exam.labels[index]]}, score {scores[index]:.2f}",
            read_image(found.exam.images[index]),
            map_of(found.exam.images[index]),
        )
        for index in wrong[:_WORST]
    ]


def _picture(caption: str, image: Image, heat: FloatArray) -> str:
    """The image, and beside it the image under its map."""
    scale = _PICTURE_PX / max(image.shape[:2])
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    wide = cv2.resize(heat, small.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    hot = cv2.applyColorMap((255 * np.clip(wide, 0, 1)).astype(np.uint8), cv2.COLORMAP_INFERNO)
    both = np.hstack([small, cv2.addWeighted(small, 1 - _WEIGHT, hot, _WEIGHT, 0)])
    _, jpeg = cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    data, text = base64.b64encode(jpeg.tobytes()).decode(), html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/jpeg;base64,{data}"><figcaption>{text}</figcaption></figure>'
