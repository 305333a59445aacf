"""The page about a model that gives one score an image: figures, ROC, scores, precisions, comparison, worst images."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.evaluate import shown
from models.evaluation.scored import Answers, ScoredComparison
from models.page import page, svg, table
from models.score_plots import histogram, roc


@dataclass(frozen=True, slots=True)
class PageHead:
    """How a page begins: title, the answer in one sentence and whether it is a good one, rows on what was done."""

    title: str
    headline: str
    fine: bool
    story: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPage:
    """What the page tells.

    Args:
        head: how it begins.
        answers: what the model said.
        figures: rows (what, value).
        notes: what could not be shown.
        sections: (heading, HTML) that only this kind has.
        precisions: a head and rows, where there was a choice of precision.
        comparison: with the champion, where there is one.
        worst: a sentence, and pictures of the surest mistakes.
    """

    head: PageHead
    answers: Answers
    figures: Sequence[tuple[str, str]]
    notes: Sequence[str]
    sections: Sequence[tuple[str, str]]
    precisions: Sequence[tuple[str, ...]]
    comparison: ScoredComparison | None
    worst: tuple[str, Sequence[str]]


def write_scored_page(path: Path, facts: ScoredPage) -> None:
    """Write the page: plots as inline SVG, pictures inside, no scripts, no links to elsewhere."""
    head, scores, bad = facts.head, facts.answers.scores, facts.answers.defective
    notes = "".join(f"<p>{html.escape(note)}.</p>" for note in facts.notes)
    parts = [
        f"<h1>{html.escape(head.title)}</h1>",
        f'<p class="verdict {"good" if head.fine else "weak"}">{html.escape(head.headline)}</p>',
        table(("", ""), list(head.story)),
        f"<h2>Figures</h2>{table(('', ''), list(facts.figures))}{notes}",
        f'<h2>Threshold</h2><div class="row">{svg(roc(scores, bad))}{svg(histogram(scores, bad))}</div>',
        *(f"<h2>{html.escape(heading)}</h2>{body}" for heading, body in facts.sections),
        "<h2>Precision</h2>" + table(facts.precisions[0], facts.precisions[1:]) if facts.precisions else "",
        _comparison(facts.comparison),
        f"<h2>Worst images</h2><p>{html.escape(facts.worst[0])}</p>",
        f'<div class="row">{"".join(facts.worst[1])}</div>',
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(head.title, "\n".join(parts)), encoding="utf-8")


def _comparison(found: ScoredComparison | None) -> str:
    if found is None:
        return ""
    rows = [("AUROC, challenger less champion", shown(found.auroc_gain)), ("escapes", shown(found.escapes))]
    rows.append(("overkill", shown(found.overkill)))
    if found.misnamed is not None:
        rows.append(("wrong answers", shown(found.misnamed)))
    text = f"<p>The challenger is {html.escape(str(found.answer))}.</p>"
    return "<h2>Challenger against champion</h2>" + text + table(("", ""), rows)
