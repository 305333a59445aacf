"""What becomes a sample for retraining, and how many of them: by rules, within a budget. Pure.

- A view without a model's answer, or whose picture is not trusted, teaches nothing and is no sample.
- In no hour more samples are kept than the budget says, whatever reason they have; what a person overruled is outside.
- What is set aside for one reason no other reason takes. What is set aside for none goes to the better reasons first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.domain.chance import chance_of
from edge.domain.inspection import View
from edge.domain.part import Verdict
from edge.domain.sample import SampleReason

# The better first, each with the share of the budget that is set aside for it; overrules need none.
SHARES: Mapping[SampleReason, float] = {
    SampleReason.DISAGREEMENT: 0.25,
    SampleReason.UNCERTAIN: 0.2,
    SampleReason.NOVEL: 0.15,
    SampleReason.CANDIDATE: 0.15,
    SampleReason.AUDIT: 0.1,
}
WINDOW_MINUTES = 61  # whole minutes that hold every hour: the one that runs, and sixty before it
_THRESHOLD = 0.5  # a bundle's own, on the scale of its scores


@dataclass(frozen=True, slots=True)
class TriageRules:
    """What is worth a person's look.

    Args:
        per_hour: samples at most, overrules beside them.
        uncertain_within: how near a score is to where the verdict turns, in [0, 0.5].
        candidate_from: on a part that passed, whatever scored this high, in [0, 1].
        audit_share: of the parts that passed, chosen by chance, in [0, 1].
    """

    per_hour: int = 60
    uncertain_within: float = 0.05
    candidate_from: float = 0.4
    audit_share: float = 0.01


def reasons_of(
    view: View, thresholds: Mapping[str, float], rules: TriageRules, identity: str, *, is_novel: bool
) -> tuple[SampleReason, ...]:
    """Why one camera's view is worth being a sample, the best reason first; empty where it is not.

    Args:
        view: what the camera contributed.
        thresholds: the score from which a finding counts, by class name; a bundle's own where it is not named.
        rules: what is worth it.
        identity: of the inspection; its hash is the audit's chance, the same after a restart and in every test.
        is_novel: whether the picture is unlike those before it.
    """
    if view.detections is None or view.verdict is Verdict.UNDECIDED:
        return ()
    passed, scores = view.verdict is Verdict.PASS, _scores(view)
    found = {
        SampleReason.UNCERTAIN: _margin(view, scores, thresholds) <= rules.uncertain_within,
        SampleReason.NOVEL: is_novel,
        SampleReason.CANDIDATE: passed and any(score >= rules.candidate_from for _, score in scores),
        SampleReason.AUDIT: passed and chance_of(identity) < rules.audit_share,
    }
    return tuple(reason for reason, holds in found.items() if holds)


@dataclass(slots=True)
class Budget:
    """How many samples were kept in the last hour, by the reason that each was charged to.

    Args:
        per_hour: at most in any hour.
        kept: how many in which minute since 1970, for which reason.
    """

    per_hour: int
    kept: dict[tuple[int, SampleReason], int] = field(default_factory=dict)

    def charge(self, reasons: Sequence[SampleReason], minute: int) -> SampleReason | None:
        """The reason whose budget has room for one more, now taken; None where none has."""
        self._forget(minute)
        counts = dict.fromkeys(SHARES, 0)
        for (_, reason), number in self.kept.items():
            counts[reason] += number
        for reason in sorted(reasons, key=list(SHARES).index):
            if self._has_room(reason, counts):
                self.kept[minute, reason] = self.kept.get((minute, reason), 0) + 1
                return reason
        return None

    def give_back(self, reason: SampleReason, minute: int) -> None:
        """It was charged, and was not kept after all."""
        self.kept[minute, reason] = max(0, self.kept.get((minute, reason), 0) - 1)

    def _has_room(self, reason: SampleReason, counts: Mapping[SampleReason, int]) -> bool:
        if counts[reason] < self._set_aside(reason):
            return sum(counts.values()) < self.per_hour
        free = self.per_hour - sum(max(counts[other], self._set_aside(other)) for other in SHARES)
        open_to_all = self.per_hour - sum(map(self._set_aside, SHARES))
        left_to_better = open_to_all * list(SHARES).index(reason) / len(SHARES)
        return free > left_to_better

    def _set_aside(self, reason: SampleReason) -> int:
        return math.floor(self.per_hour * SHARES[reason])

    def _forget(self, minute: int) -> None:
        """What is older than an hour; and what a clock that was put back left in the future."""
        self.kept = {at: n for at, n in self.kept.items() if minute - WINDOW_MINUTES < at[0] <= minute}


def _scores(view: View) -> list[tuple[str, float]]:
    found = view.detections
    if found is None:
        return []
    return [(view.labels[int(which)], float(score)) for which, score in zip(found.class_ids, found.scores, strict=True)]


def _margin(view: View, scores: Sequence[tuple[str, float]], thresholds: Mapping[str, float]) -> float:
    """How far the score that is nearest to its class's threshold lies from it."""
    margins = [abs(score - thresholds.get(label, _THRESHOLD)) for label, score in scores]
    if not margins and view.detections is not None:
        margins = [abs(view.detections.frame_score - min(thresholds.values(), default=_THRESHOLD))]
    return min(margins, default=1.0)
