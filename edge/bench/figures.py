"""Figures of one run: percentiles where there are parts enough for them, and the tail as a curve. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.domain.percentile import percentile

# The share, and the parts it takes: below them the highest few values would be called a percentile.
_SHARES = {"p50": (0.5, 1), "p90": (0.9, 10), "p99": (0.99, 100), "p99_9": (0.999, 1000)}
PERCENTILES = (*_SHARES, "max")
_CURVE_POINTS = 80


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from trigger to told; None where too few parts were told to say."""

    parts: int
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    max: float | None

    def as_json(self) -> dict[str, float | int | None]:
        """Plain values."""
        return {"parts": self.parts, **{name: _rounded(getattr(self, name)) for name in PERCENTILES}}


def latency(times_ms: Sequence[float]) -> Latency:
    """What the line waited.

    Args:
        times_ms: of each part that was told, in any order.
    """
    ordered = sorted(times_ms)
    count = len(ordered)
    found = {name: percentile(ordered, share) if count >= least else None for name, (share, least) in _SHARES.items()}
    return Latency(count, **found, max=ordered[-1] if ordered else None)


def tail(times_ms: Sequence[float]) -> list[tuple[float, float]]:
    """(milliseconds, share of parts that waited longer), ascending; close together where the tail is thin."""
    ordered = sorted(times_ms)
    count = len(ordered)
    if not count:
        return []
    shares = [10 ** (-index * 4 / _CURVE_POINTS) for index in range(_CURVE_POINTS + 1)]
    ranks = sorted({min(count, max(1, round(count * (1 - share)))) for share in shares} | {count})
    return [(round(ordered[rank - 1], 3), round(1 - rank / count, 6)) for rank in ranks]


def text_ms(value: float | None, parts: int) -> str:
    """For a table: the figure, or of how few parts it could not be had."""
    return f"not measured ({parts})" if value is None else f"{value:.1f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
