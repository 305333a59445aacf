"""Small charts as SVG, drawn here: no script is needed to see them. Colours are classes of fleet.css. Pure."""

from collections.abc import Sequence

from markupsafe import Markup

from cloud_sync.hub.store.overview import Tally

_HEIGHT = 24
_BAR, _GAP = 4, 1


def hour_bars(hours: Sequence[Tally], said: str, *, height: int = _HEIGHT) -> Markup:
    """A bar for each hour: as high as it had parts, PASS below, REJECT above it, UNDECIDED on top.

    Args:
        hours: the oldest first.
        said: the same in words, for who cannot see it.
        height: of the drawing, in its own units; a bar is 4 wide.
    """
    most = max((one.parts for one in hours), default=0)
    layers = {"pass": "", "reject": "", "undecided": ""}
    for place, one in enumerate(hours):
        x, base = place * (_BAR + _GAP), float(height)
        for name, count in zip(layers, one, strict=True):
            if count:
                tall = max(count / most * (height - 1), 0.75)
                base -= tall
                layers[name] += f"M{x} {base:.1f}h{_BAR}v{tall:.1f}h-{_BAR}z"
    width = len(hours) * (_BAR + _GAP)
    paths = Markup("").join(
        Markup('<path class="bar-{}" d="{}"/>').format(name, path) for name, path in layers.items() if path
    )
    frame = '<svg class="hours" role="img" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-label="{}">{}</svg>'
    return Markup(frame).format(width, height, said, paths)  # noqa: S704 - our own frame; what is filled in is escaped


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
