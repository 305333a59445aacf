"""What a check is: something to look at, within a time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge.doctor.around import Around
from edge.doctor.finding import Finding


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at.

    Args:
        name: of it, for a finding that it does not end.
        look: yields its findings, and changes nothing.
        limit_s: it is given up after so long.
        alone: nothing else runs meanwhile, because it measures.
    """

    name: str
    look: Callable[[Around], Iterable[Finding]]
    limit_s: float = 10.0
    alone: bool = False
