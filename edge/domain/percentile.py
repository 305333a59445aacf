"""Percentiles by nearest rank: always a value that was seen, never one between two."""

import math
from collections.abc import Sequence

_ROUNDING = 1e-9


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not below this share of all values.

    Args:
        ordered: ascending, at least one.
        share: in [0, 1]; 0.99 is the 99th percentile.
    """
    rank = math.ceil(share * len(ordered) - _ROUNDING)  # 0.07 * 100 is a little more than 7
    return ordered[min(len(ordered), max(1, rank)) - 1]
