"""The part of a page that tells what labelled defects showed: rates, the curve, other points and what they cost."""

import numpy as np
from matplotlib.figure import Figure

from models.evaluate import Estimate
from models.page import BAD, GOOD, LINE, figure, note, svg, table
from models.tradeoff import CONFIDENCE, UNKNOWN, TradeOff, in_words

_STEPS_MOST = 1000
_MUCH = 0.1


def section(trade: TradeOff | None) -> str:
    """As HTML; without labelled defects it says what is not known."""
    if trade is None:
        return note(UNKNOWN, good=False)
    others = [(in_words(trade.point, other), f"{other.threshold:.3f}") for other in trade.others()]
    told = table(("another threshold", "at"), others) if others else "<p>No other threshold is better in either.</p>"
    caption = "Every threshold: each step is one part. The dot is what was chosen."
    return f"""{note(trade.claim, good=trade.escape.high <= _MUCH)}
<div class="row">{figure(svg(curve_plot(trade)), caption)}<div>{_rates(trade)}{told}</div></div>"""


def curve_plot(trade: TradeOff) -> Figure:
    """Escape over overkill."""
    drawn = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes, curve = drawn.subplots(), trade.curve()
    kept = np.unique(np.linspace(0, len(curve) - 1, _STEPS_MOST).astype(int))
    points = [curve[index] for index in kept]
    axes.step([p.overkill for p in points], [p.escape for p in points], where="post", color=LINE, linewidth=1.4)
    here = trade.point
    axes.plot([here.overkill], [here.escape], "o", color=BAD, markersize=7, label="chosen", zorder=3)
    low, high = trade.escape.low, trade.escape.high
    axes.plot([here.overkill] * 2, [low, high], color=BAD, linewidth=1, label=f"{CONFIDENCE:.0%} interval")
    others = trade.others()
    if others:
        axes.plot(
            [p.overkill for p in others], [p.escape for p in others], "s", color=GOOD, markersize=5, label="others"
        )
    axes.set(xlabel="overkill: good parts rejected", ylabel="escape: defective parts passed")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(frameon=False, fontsize=8)
    return drawn


def _rates(trade: TradeOff) -> str:
    kinds, passed = np.array(trade.defects.kinds), trade.defects.passed
    rows = [_row("all defects", int(passed.sum()), len(passed), trade.escape)]
    for kind, rate in trade.escape_by_kind.items():
        mine = kinds == kind
        rows.append(_row(kind, int(passed[mine].sum()), int(mine.sum()), rate))
    good = _row("good parts rejected", int(trade.rejected.sum()), len(trade.rejected), trade.overkill)
    head = ("escape", "passed", "rate", f"{CONFIDENCE:.0%} interval")
    return table(head, rows) + table(("overkill", "rejected", "rate", head[3]), [good])


def _row(name: str, hits: int, count: int, rate: Estimate) -> tuple[str, str, str, str]:
    return name, f"{hits} of {count}", f"{rate.value:.1%}", f"{rate.low:.1%} to {rate.high:.1%}"
