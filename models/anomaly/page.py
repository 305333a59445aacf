"""The page about an anomaly model: figures, threshold, precisions, frames to look at, worst images with their maps."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.anomaly.compare import PartComparison
from models.anomaly.figures import PartFigures, on_image
from models.detections import FloatArray
from models.evaluate import shown
from models.gate import THRESHOLD
from models.page import page, svg, table
from models.score_plots import histogram, paired_text, picture, roc
from models.scoring import read_image
from models.spec import InputSpec

_WORST = 8
_DARKEST, _BRIGHTEST = 0.2, 0.6  # scores of good places and of sure defects: what lies between is what differs


@dataclass(frozen=True, slots=True, eq=False)
class PartPage:
    """What the page tells.

    Args:
        title: of the page.
        headline: the answer in one sentence.
        fine: whether it is a good one.
        story: rows on how the model was made or what was looked at.
        figures: of the model.
        spec: of its input.
        precisions: rows (which, milliseconds, AUROC), where there was a choice.
        comparison: with the champion, where there is one.
    """

    title: str
    headline: str
    fine: bool
    story: Sequence[tuple[str, str]]
    figures: PartFigures
    spec: InputSpec
    precisions: Sequence[tuple[str, str, str]] = ()
    comparison: PartComparison | None = None


def write_part_page(path: Path, facts: PartPage) -> None:
    """Write the page: plots as inline SVG, pictures inside, no scripts, no links to elsewhere."""
    found = facts.figures
    scores, bad = found.scored.scores, found.exam.defective
    parts = [
        f"<h1>{html.escape(facts.title)}</h1>",
        f'<p class="verdict {"good" if facts.fine else "weak"}">{html.escape(facts.headline)}</p>',
        table(("", ""), list(facts.story)),
        f"<h2>Figures</h2>{_figures(found)}{''.join(f'<p>{html.escape(note)}.</p>' for note in found.notes)}",
        f'<h2>Threshold</h2><div class="row">{svg(roc(scores, bad))}{svg(histogram(scores, bad))}</div>',
        "<h2>Precision</h2>" + table(("", "ms per frame", "AUROC"), list(facts.precisions)) if facts.precisions else "",
        _comparison(facts.comparison),
        "<h2>Worst images</h2><p>The surest mistakes, with the map: dark from 0.2 down, bright from 0.6 up.</p>",
        f'<div class="row">{"".join(_worst(found, facts.spec))}</div>',
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(facts.title, "\n".join(parts)), encoding="utf-8")


def _figures(found: PartFigures) -> str:
    pixels = "not measured" if found.pixel_auroc is None else f"{found.pixel_auroc:.4f}"
    rows = [
        ("AUROC, defective against good", shown(found.auroc)),
        *((f"AUROC, {kind} against good", f"{value:.4f}") for kind, value in found.auroc_by_kind.items()),
        ("AUROC of pixels", pixels),
        ("escape: defective images passed", shown(found.escape)),
        ("overkill: good images rejected", shown(found.overkill)),
        ("images, good ones", f"{len(found.exam)}, {int((~found.exam.defective).sum())}"),
    ]
    return table(("", ""), rows)


def _comparison(found: PartComparison | None) -> str:
    if found is None:
        return ""
    rows = [("AUROC, challenger less champion", shown(found.auroc_gain)), ("escapes", paired_text(found.escapes))]
    rows.append(("overkill", paired_text(found.overkill)))
    text = f"<p>The challenger is {html.escape(str(found.answer))}.</p>"
    return "<h2>Challenger against champion</h2>" + text + table(("", ""), rows)


def _worst(found: PartFigures, spec: InputSpec) -> list[str]:
    """The surest mistakes, as pictures inside the page."""
    scores = found.scored.scores
    wrong = [
        int(index)
        for index in np.argsort(-np.abs(scores - THRESHOLD), kind="stable")
        if found.rejected[index] != found.exam.defective[index]
    ]
    return [
        picture(
            f"{found.exam.images[index].name}: {found.exam.kinds[index] or 'good'}, score {scores[index]:.2f}",
            read_image(found.exam.paths[index]),
            _telling(on_image(found.scored.maps[index], found.exam.images[index], spec)),
        )
        for index in wrong[:_WORST]
    ]


def _telling(heat: FloatArray) -> FloatArray:
    """The part of the scale in which maps differ, as all of the colours."""
    return np.asarray(np.clip((heat - _DARKEST) / (_BRIGHTEST - _DARKEST), 0, 1), np.float32)
