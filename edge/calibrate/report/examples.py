"""The section with frames and the maps that the model laid on them: surest good, caught, missed."""

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.calibrate.report.facts import ReportFacts
from models.anomaly.bench import Workbench
from models.detections import FloatArray
from models.errors import AlignmentError
from models.gate import THRESHOLD
from models.letterbox import Image
from models.page import section
from models.score_plots import picture
from models.scoring import Scored, read_image

_GOOD, _CAUGHT, _MISSED = 4, 4, 8
_DARKEST, _BRIGHTEST = 0.2, 0.6  # scores of good places and of sure defects: what lies between is what differs


def examples_section(facts: ReportFacts, bench: Workbench) -> str:
    """As HTML: each frame, and beside it the frame under its map."""
    trial, names = facts.chosen, [path.name for path in bench.sets.gate]
    good = _highest(trial.good.scores, _GOOD)
    body = "<p>Each frame, and beside it the frame under the model's map: dark from 0.2 down, bright from 0.6 up.</p>"
    body += _row("Good parts with the highest scores", _pictures(bench, bench.sets.gate, names, (trial.good, good)))
    if facts.defects is not None and trial.labelled is not None:
        body += _defects(bench, facts.defects.paths, facts.defects.names, (trial.labelled, "labelled defects"))
    else:
        painted = [f"painted on {name}" for name in names]
        body += _defects(bench, bench.defects(), painted, (trial.defective, "painted defects"))
    return section("Where it looked", body)


def _defects(bench: Workbench, images: Sequence[Path | Image], names: Sequence[str], found: tuple[Scored, str]) -> str:
    scored, what = found
    caught = np.flatnonzero(scored.scores >= THRESHOLD)
    missed = np.flatnonzero(scored.scores < THRESHOLD)
    surest = caught[_highest(scored.scores[caught], _CAUGHT)]
    worst = missed[_highest(-scored.scores[missed], _MISSED)]
    none = f"None of {len(scored.scores)} was missed."
    shown = _pictures(bench, images, names, (scored, surest))
    return _row(f"Caught: {what} with the highest scores", shown) + _row(
        f"MISSED: {what} with the lowest scores ({len(missed)} of {len(scored.scores)} missed)",
        _pictures(bench, images, names, (scored, worst)),
        none,
    )


def _pictures(
    bench: Workbench, images: Sequence[Path | Image], names: Sequence[str], chosen: tuple[Scored, NDArray[np.intp]]
) -> list[str]:
    scored, indices = chosen
    return [
        picture(
            f"{names[index]}: score {scored.scores[index]:.2f}",
            _as_it_lies(images[index], bench),
            _telling(scored.maps[index]),
        )
        for index in indices.tolist()
    ]


def _as_it_lies(image: Path | Image, bench: Workbench) -> Image:
    """The frame as its map lies on it: laid on the reference, where there is one that it fits."""
    pixels = read_image(image) if isinstance(image, Path) else image
    if bench.pose is None:
        return pixels
    try:
        return bench.pose.laid(pixels)
    except AlignmentError:
        return pixels


def _row(title: str, pictures: list[str], none: str = "None.") -> str:
    shown = f'<div class="pictures">{"".join(pictures)}</div>' if pictures else f"<p>{html.escape(none)}</p>"
    return f"<h3>{html.escape(title)}</h3>{shown}"


def _highest(scores: FloatArray, most: int) -> NDArray[np.intp]:
    return np.argsort(-scores, kind="stable")[:most]


def _telling(heat: FloatArray) -> FloatArray:
    """The part of the scale in which maps differ, as all of the colours."""
    return np.asarray(np.clip((heat - _DARKEST) / (_BRIGHTEST - _DARKEST), 0, 1), np.float32)
