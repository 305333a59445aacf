"""Figures as people read them: filters for the templates."""

from datetime import UTC, datetime

from markupsafe import Markup

from cloud_sync.hub.store.overview import HELD_COUNTED
from cloud_sync.pages.showing import moment

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def at_ms(when_ms: int | None) -> Markup | str:
    """A moment given in milliseconds since 1970."""
    return "–" if when_ms is None else moment(datetime.fromtimestamp(when_ms / 1000, UTC))  # noqa: RUF001 - no figure


def clock(when_ms: int | None) -> str:
    """Likewise, as plain text, to stand within a sentence."""
    return "–" if when_ms is None else f"{datetime.fromtimestamp(when_ms / 1000).astimezone():%Y-%m-%d %H:%M}"  # noqa: RUF001


def percent(share: float | None, digits: int = 1) -> str:
    """A share as per cent; a dash where there is none."""
    return "–" if share is None else f"{share * 100:.{digits}f} %"  # noqa: RUF001


def count(number: float | None) -> str:
    """A number with its thousands apart."""
    return "–" if number is None else f"{number:,.0f}"  # noqa: RUF001


def held(number: int) -> str:
    """How many are in quarantine: counted up to a limit, and said so."""
    return count(number) if number <= HELD_COUNTED else f"{count(HELD_COUNTED)}+"


def span(length_ms: float) -> str:
    """How long, in the largest unit that is there twice; units are written alike in every language."""
    length_s = max(0, int(length_ms / 1000))
    for unit_s, name in _UNITS:
        if length_s >= 2 * unit_s:
            return f"{length_s // unit_s} {name}"
    return f"{length_s} s"


def size(content_bytes: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB"):
        if abs(content_bytes) < 1000:  # noqa: PLR2004 - the unit's own
            return f"{content_bytes:.0f} {unit}"
        content_bytes /= 1000
    return f"{content_bytes:.1f} GB"


FILTERS = {
    "at_ms": at_ms,
    "clock": clock,
    "percent": percent,
    "count": count,
    "held": held,
    "span": span,
    "size": size,
}
