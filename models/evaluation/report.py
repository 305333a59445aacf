"""A detector's figures on one page that needs no other file: what a quality manager reads before a model goes live."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.dataset.records import Truth
from models.detections import Detections
from models.evaluate import shown as shown_rate
from models.evaluation.compare import Comparison
from models.evaluation.operating import THRESHOLD, above, operate
from models.evaluation.result import Evaluation, shown
from models.matching import NONE, match
from models.page import BAD, GOOD, LINE, page, plotted, svg, table
from models.scoring import read_image

_WORST = 6
_PICTURE_PX = 420
_QUALITY = 82
_MATCH_IOU = 0.33
_GRID = 25
_GREEN, _RED = (70, 170, 60), (40, 40, 220)


@dataclass(frozen=True, slots=True, eq=False)
class PageFacts:
    """What the page tells.

    Args:
        title: of the page.
        headline: the answer in one sentence.
        fine: whether it is a good one.
        story: rows on how the model was made or what was looked at.
        evaluation: of the model.
        precisions: rows (how, milliseconds, map50, what the gate said), where there was a choice.
        comparison: with the champion, where there is one.
    """

    title: str
    headline: str
    fine: bool
    story: Sequence[tuple[str, str]]
    evaluation: Evaluation
    precisions: Sequence[tuple[str, str, str, str]] = ()
    comparison: Comparison | None = None


def write_page(path: Path, facts: PageFacts) -> None:
    """Write the page: one HTML file, plots as inline SVG, pictures inside, no scripts, no links to elsewhere."""
    found = facts.evaluation
    parts = [
        f"<h1>{html.escape(facts.title)}</h1>",
        f'<p class="verdict {"good" if facts.fine else "weak"}">{html.escape(facts.headline)}</p>',
        table(("", ""), list(facts.story)),
        f"<h2>Figures</h2>{_figures(found)}{_notes(found)}",
        f'<h2>By class</h2><div class="row">{_by_class(found)}{svg(_curves(found))}</div>' if found.ap50 else "",
        f'<h2>Threshold</h2><div class="row">{svg(_trade_off(found))}{svg(_scores(found))}</div>',
        f"<h2>Confusion</h2>{svg(_confusion(found))}",
        _precisions(facts),
        _comparison(facts.comparison),
        (
            f"<h2>Worst images</h2><p>Green: labelled. Red: detected, with its score. Thick: the two disagree.</p>"
            f'<div class="row">{"".join(_worst(found))}</div>'
        ),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(facts.title, "\n".join(parts)), encoding="utf-8")


def _figures(found: Evaluation) -> str:
    at = found.operating
    rows = [
        ("map50 (IoU 0.5, mean over classes)", shown(found.map50)),
        ("map50_95 (COCO)", shown(found.map50_95)),
        ("pooled_map33 (DeepPCB's measure)", shown(found.pooled_map33)),
        ("escape: defective images passed", shown_rate(at.escape)),
        ("overkill: good images rejected", shown_rate(at.overkill)),
        ("labelled boxes missed", shown_rate(at.missed if found.exam.boxes else None)),
        ("detections on nothing", str(at.false)),
        ("images, boxes", f"{len(found.exam)}, {found.exam.boxes}"),
    ]
    return table(("", ""), rows)


def _notes(found: Evaluation) -> str:
    return "".join(f"<p>{html.escape(note[0].upper() + note[1:])}.</p>" for note in found.notes)


def _by_class(found: Evaluation) -> str:
    at, names = found.operating, found.exam.classes
    rows = [
        (
            names[index],
            str(int(at.confusion[index].sum())),
            f"{found.ap50[names[index]]:.4f}",
            shown_rate(at.missed_by_class.get(index)),
        )
        for index in sorted(found.rankings.classes)
    ]
    return table(("class", "boxes", "AP50", "missed"), rows)


def _curves(found: Evaluation) -> Figure:
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for class_id, ranking in found.rankings.classes.items():
        axes.plot(*ranking.curve(), linewidth=1.2, label=plotted(found.exam.classes[class_id]))
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def _trade_off(found: Evaluation) -> Figure:
    """Missed boxes and false detections per image over the threshold."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    grid = np.linspace(0.05, 0.95, _GRID)
    exam, classes = found.exam, len(found.exam.classes)
    points = [operate(exam.truths, exam.defective, found.found, classes, float(value)) for value in grid]
    axes.plot(grid, [point.missed.value for point in points], color=BAD, label="boxes missed")
    axes.plot(grid, [point.false / len(exam) for point in points], color=GOOD, label="false detections per image")
    if points[0].overkill is not None:
        axes.plot(grid, [p.overkill.value for p in points if p.overkill], color=GOOD, ls="--", label="overkill")
    axes.axvline(THRESHOLD, color=LINE, linestyle=":", linewidth=1)
    top = max(0.02, float(np.percentile([max(p.missed.value, p.false / len(exam)) for p in points], 80)))
    axes.set(xlabel="threshold", ylim=(0, top * 1.2))
    axes.legend(frameon=False, fontsize=8)
    return figure


def _scores(found: Evaluation) -> Figure:
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes, pooled = figure.subplots(), found.rankings.pooled
    bins = np.linspace(0, 1, 41).tolist()
    axes.hist(pooled.scores[pooled.right], bins, color=GOOD, alpha=0.8, label="right")
    axes.hist(pooled.scores[~pooled.right], bins, color=BAD, alpha=0.6, label="wrong")
    axes.set(xlabel="score", ylabel="detections", yscale="log" if len(pooled.scores) else "linear")
    axes.axvline(THRESHOLD, color=LINE, linestyle=":", linewidth=1)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _confusion(found: Evaluation) -> Figure:
    table_, names = found.operating.confusion, [*map(plotted, found.exam.classes), "nothing"]
    size = 1.6 + 0.55 * len(names)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    shares = table_ / np.maximum(table_.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    _label_cells(axes, table_, shares)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.set(xlabel="detected", ylabel="labelled")
    return figure


def _label_cells(
    axes: Axes,
    counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.5 else LINE  # noqa: PLR2004 - half
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=color)


def _precisions(facts: PageFacts) -> str:
    if not facts.precisions:
        return ""
    return "<h2>Precision</h2>" + table(("made by", "ms per frame", "map50", "gate"), list(facts.precisions))


def _comparison(found: Comparison | None) -> str:
    if found is None:
        return ""
    rows = [("map50, challenger less champion", str(found.map50_gain))]
    rows += [("escapes", shown_rate(found.escapes)), ("overkill", shown_rate(found.overkill))]
    text = f"<p>The challenger is {html.escape(str(found.answer))}.</p>"
    return "<h2>Challenger against champion</h2>" + text + table(("", ""), rows)


def _worst(found: Evaluation) -> list[str]:
    """The images with the most mistakes, as pictures inside the page."""
    pairs = list(zip(found.found, found.exam.truths, strict=True))
    order = sorted(range(len(pairs)), key=lambda index: -_mistakes(*pairs[index]))
    worst = [index for index in order[:_WORST] if _mistakes(*pairs[index]) > 0]
    return [_picture(found.exam.names[index], found.exam.images[index], *pairs[index]) for index in worst]


def _mistakes(found: Detections, truth: Truth) -> float:
    counted = above(found, THRESHOLD)
    taken = match(counted, truth, _MATCH_IOU, same_class=True)
    wrong = float(counted.scores[taken == NONE].sum())
    return wrong + len(truth) - float(np.count_nonzero(taken != NONE))


def _picture(name: str, path: Path, found: Detections, truth: Truth) -> str:
    image = read_image(path)
    scale = _PICTURE_PX / max(image.shape[:2])
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    counted = above(found, THRESHOLD)
    taken = match(counted, truth, _MATCH_IOU, same_class=True)
    for index, box in enumerate(truth.boxes_xyxy):
        _draw(small, box * scale, _GREEN, thick=index not in taken)
    for index, box in enumerate(counted.boxes_xyxy):
        _draw(small, box * scale, _RED, thick=bool(taken[index] == NONE))
        place = (int(box[0] * scale), max(10, int(box[1] * scale) - 3))
        cv2.putText(small, f"{counted.scores[index]:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, _RED, 1, cv2.LINE_AA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    data = base64.b64encode(jpeg.tobytes()).decode()
    shown = html.escape(name)
    return f'<figure><img alt="{shown}" src="data:image/jpeg;base64,{data}"><figcaption>{shown}</figcaption></figure>'


def _draw(
    image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    box: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    colour: tuple[int, int, int],
    *,
    thick: bool,
) -> None:
    left, top, right, bottom = (round(float(value)) for value in box)
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2 if thick else 1)
