"""What became of the parts of this run, counted as it happens: so cheap that no part waits for it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edge.domain.inspection import Inspection, OutcomeOf
from edge.domain.part import Verdict

BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
NOT_TOLD = "none"
MODEL_FAULTS = frozenset({"model_fault", "model_timeout"})
MODEL_REASONS = MODEL_FAULTS | {"reference_misaligned", "deadline_passed"}  # what another model might not have said


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


@dataclass(slots=True)
class JudgedParts:
    """What one model made of the parts of a product, and how often the model itself was why a part was UNDECIDED."""

    parts: int = 0
    rejects: int = 0
    undecided: int = 0
    faults: int = 0


class ModelTally:
    """Counts by product and model, by its digest; written by one thread, read by any."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], JudgedParts] = {}

    def note(self, inspection: Inspection) -> None:
        """This part is on record. A part that the model never saw is none of its."""
        models = {view.model.sha256 for view in inspection.views if view.model is not None}
        for sha256 in models:
            counts = self._counts.setdefault((inspection.part.product, sha256), JudgedParts())
            reasons = {reason for view in inspection.views for reason in view.reasons}
            counts.parts += 1
            counts.rejects += inspection.verdict is Verdict.REJECT
            counts.undecided += bool(reasons & MODEL_REASONS)
            counts.faults += bool(reasons & MODEL_FAULTS)

    def of(self, product: str, sha256: str) -> JudgedParts:
        """So far, of this run; a copy."""
        found = self._counts.get((product, sha256))
        return JudgedParts() if found is None else replace(found)
