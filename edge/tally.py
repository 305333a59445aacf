"""What became of the parts of this run, counted as it happens: so cheap that no part waits for it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.domain.inspection import OutcomeOf

BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
NOT_TOLD = "none"


@dataclass(slots=True)
class Tally:
    """Counts of one run; written by one thread, read by any.

    Args:
        parts: how many parts by (told verdict, outcome).
        within: how many were told within each of `BOUNDS_S`, and at last how many took longer.
        told_s: the sum of all times from trigger to told, seconds.
    """

    parts: Counter[tuple[str, str]] = field(default_factory=Counter)
    within: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    told_s: float = 0.0

    def note(self, outcomes: Sequence[OutcomeOf]) -> None:
        """These are known now."""
        for one in outcomes:
            verdict = NOT_TOLD if one.told_verdict is None else one.told_verdict.value
            self.parts[verdict, one.outcome.value] += 1
            if one.told_ms is not None:
                self.within[bisect_left(BOUNDS_S, one.told_ms / 1000)] += 1
                self.told_s += one.told_ms / 1000
