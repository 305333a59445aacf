"""The page about an anomaly model: what only this kind shows."""

from collections.abc import Sequence

import numpy as np

from models.anomaly.figures import PartFigures, on_image
from models.detections import FloatArray
from models.evaluate import shown
from models.evaluation.scored import ScoredComparison
from models.evaluation.scored_page import PageHead, ScoredPage
from models.score_plots import picture
from models.scoring import read_image
from models.spec import InputSpec

_WORST = 8
_DARKEST, _BRIGHTEST = 0.2, 0.6  # scores of good places and of sure defects: what lies between is what differs


def part_page(
    head: PageHead,
    found: PartFigures,
    spec: InputSpec,
    precisions: Sequence[tuple[str, str, str]] = (),
    comparison: ScoredComparison | None = None,
) -> ScoredPage:
    """What the page tells.

    Args:
        head: how it begins.
        found: the model's figures.
        spec: of its input.
        precisions: rows (which, milliseconds, AUROC), where there was a choice.
        comparison: with the champion, where there is one.
    """
    rows = [("", "ms per frame", "AUROC"), *precisions] if precisions else []
    worst = ("The surest mistakes, with the map: dark from 0.2 down, bright from 0.6 up.", _worst(found, spec))
    return ScoredPage(head, found.answers, _figures(found), found.notes, (), rows, comparison, worst)


def _figures(found: PartFigures) -> list[tuple[str, str]]:
    pixels = "not measured" if found.pixel_auroc is None else f"{found.pixel_auroc:.4f}"
    return [
        ("AUROC, defective against good", shown(found.auroc)),
        *((f"AUROC, {kind} against good", f"{value:.4f}") for kind, value in found.auroc_by_kind.items()),
        ("AUROC of pixels", pixels),
        ("escape: defective images passed", shown(found.escape)),
        ("overkill: good images rejected", shown(found.overkill)),
        ("images, good ones", f"{len(found.exam)}, {int((~found.exam.defective).sum())}"),
    ]


def _worst(found: PartFigures, spec: InputSpec) -> list[str]:
    exam, scores = found.exam, found.scored.scores
    return [
        picture(
            f"{exam.images[index].name}: {exam.kinds[index] or 'good'}, score {scores[index]:.2f}",
            read_image(exam.paths[index]),
            _telling(on_image(found.scored, index, exam.images[index], spec)),
        )
        for index in found.answers.surest_mistakes(_WORST)
    ]


def _telling(heat: FloatArray) -> FloatArray:
    """The part of the scale in which maps differ, as all of the colours."""
    return np.asarray(np.clip((heat - _DARKEST) / (_BRIGHTEST - _DARKEST), 0, 1), np.float32)
