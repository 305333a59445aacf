"""Small charts as SVG, drawn here: no script is needed to see them. Colours are classes of fleet.css. Pure."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from cloud_sync.hub.store.hours import Tally

_HEIGHT = 24
_WIDE = 4


def hour_bars(hours: Sequence[Tally], said: str, *, height: int = _HEIGHT) -> Markup:
    """A bar for each hour: as high as it had parts, PASS below, REJECT above it, UNDECIDED on top.

    Args:
        hours: the oldest first.
        said: the same in words, for who cannot see it.
        height: of the drawing, in its own units; a bar is 4 wide.
    """
    passed = [one.passed for one in hours]
    rejected = [one.passed + one.rejected for one in hours]
    parts = [below + one.undecided for below, one in zip(rejected, hours, strict=True)]
    most = max(parts, default=0)
    layers = (("undecided", parts, rejected), ("reject", rejected, passed), ("pass", passed, [0] * len(hours)))
    paths = "".join(
        f'<path class="bar-{name}" d="{_outline(tops, most, height)}"/>'
        for name, tops, below in layers
        if tops != below
    )
    frame = f'<svg class="hours" role="img" viewBox="0 0 {len(hours) * _WIDE} {height}" preserveAspectRatio="none"'
    return Markup(f'{frame} aria-label="{escape(said)}">{paths}</svg>')  # noqa: S704 - numbers, our names, what is escaped


def _outline(tops: Sequence[int], most: int, height: int) -> str:
    """All bars as one outline, for 500 of these stand on a page; a few parts are seen beside many."""
    scale = (height - 1) / most
    steps = "".join(f"V{height - max(top * scale, 0.75):.1f}h{_WIDE}" if top else f"V{height}h{_WIDE}" for top in tops)
    return f"M0 {height}{steps}V{height}z"


def interval_bar(low: float, value: float, high: float, said: str) -> Markup:
    """A share from 0 to 1 with its interval."""
    frame = (
        '<svg class="interval" role="img" viewBox="0 0 100 12" preserveAspectRatio="none" aria-label="{}">'
        '<path class="interval-ground" d="M0 5.5h100v1h-100z"/><path class="interval-range" d="M{} 4h{}v4h-{}z"/>'
        '<path class="interval-value" d="M{} 1h1.6v10h-1.6z"/></svg>'
    )
    wide = max((high - low) * 100, 0.5)
    places = (f"{low * 100:.1f}", f"{wide:.1f}", f"{wide:.1f}", f"{min(value * 100, 98.4):.1f}")
    return Markup(frame).format(said, *places)  # noqa: S704 - likewise
