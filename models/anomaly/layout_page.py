"""How good parts lie beside each other, as a section of a report."""

import html
from typing import TYPE_CHECKING

import numpy as np

from models.anomaly.layout import ADVICE, Layout, Worth
from models.page import BAD, GOOD, LINE, svg, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 31


def section(layout: Layout, *, aligned: bool) -> str:
    """HTML: the judgement, where parts lie, and how alike they are before and after they are laid on each other.

    Args:
        layout: as surveyed.
        aligned: whether this calibration laid its frames on the reference.
    """
    judged, limits = layout.judgement, layout.judgement.limits
    done = "Frames are laid on their mean before the model looks" if aligned else "Frames are taken as they come"
    rows = [
        ("frames measured", str(len(layout.fits))),
        ("the farthest corner lies aside, median", f"{np.median([fit.farthest_px for fit in layout.fits]):.1f} px"),
        ("most", f"{max(fit.farthest_px for fit in layout.fits):.1f} px"),
        *_kept_to(layout, aligned=aligned),
    ]
    refused = [(path.name, why) for path, why in layout.misfits] if aligned else []
    warned = judged.worth is Worth.NEEDED and not aligned
    why = html.escape(judged.why.removesuffix(ADVICE) if aligned else judged.why)
    tone = "weak" if warned else "" if judged.worth is Worth.OF_NO_USE else "good"
    sentence = f'<p class="verdict {tone}">{why[:1].upper()}{why[1:]}.</p>'
    limit_px = limits.max_shift_px if aligned else None
    return (
        f"{sentence}<p>{done}.</p>{svg(_plot(layout, limit_px))}{table(('', ''), rows)}"
        f"{table(('cannot be laid on the reference', 'why'), refused) if refused else ''}"
    )


def _kept_to(layout: Layout, *, aligned: bool) -> list[tuple[str, str]]:
    limits = layout.judgement.limits
    if not aligned:
        return []
    return [
        ("beyond this a frame is UNDECIDED", f"{limits.max_shift_px:.1f} px aside"),
        ("below this likeness too", f"{limits.min_correlation:.2f}"),
    ]


def _plot(layout: Layout, limit_px: float | None) -> "Figure":
    from matplotlib.figure import Figure  # a station that only runs has none

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    places, likeness = figure.subplots(1, 2)
    right, down = np.array([fit.shift_px for fit in layout.fits]).T
    places.scatter(right, down, s=12, color=GOOD)
    if limit_px is not None:
        angle = np.linspace(0, 2 * np.pi, 90)
        places.plot(limit_px * np.cos(angle), limit_px * np.sin(angle), color=LINE, linestyle=":", linewidth=1)
    places.set(xlabel="right of the reference, px", ylabel="below it, px", aspect="equal")
    places.invert_yaxis()
    bins = np.linspace(min(0.0, *(fit.before for fit in layout.fits)), 1, _BINS).tolist()
    likeness.hist([fit.before for fit in layout.fits], bins, color=BAD, alpha=0.55, label="as they come")
    likeness.hist([fit.correlation for fit in layout.fits], bins, color=GOOD, alpha=0.8, label="laid on it")
    likeness.set(xlabel="likeness to the reference", ylabel="frames")
    likeness.legend(frameon=False, fontsize=8)
    return figure
