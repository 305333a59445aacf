"""What a shadow has shown so far: counted part by part, pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge.domain.inspection import View
from edge.domain.part import Verdict, worst
from models.spec import ModelId

State = Literal["none", "loading", "looking", "broken"]


@dataclass(frozen=True, slots=True)
class Pair:
    """What both models say of one camera's frame: each by its own recipe, without the checks of the picture."""

    camera_id: str
    champion: View
    challenger: View


@dataclass(frozen=True, slots=True)
class ShadowFigures:
    """Counts of parts since the shadow began, or since the champion changed.

    Args:
        champion: who was live meanwhile; None before the first part.
        challenger: who looked beside it; None where no shadow ever ran.
        state: none, loading, looking or broken.
        why: it is broken.
        parts: judged by both.
        skipped: not looked at, because the line left no time for it.
        disagreements: another verdict, UNDECIDED included.
        passes_of_rejects: the champion rejects them, the challenger passes them.
        undecided: the challenger has no answer.
        rejects: of the challenger.
        champion_rejects: of the champion.
        faults: answers that were none: a broken graph, a process that ended or hung.
        restarts: how often the champion changed meanwhile.
        scored: parts with a score of both.
        score_sum: of the challenger's scores, one a part.
        champion_score_sum: of the champion's.
        score_gap_sum: of the differences between both, without sign.
        cpu_s: what the challenger took of the processor for all its frames.
        slowest_ms: the most that it took for one frame.
    """

    champion: ModelId | None = None
    challenger: ModelId | None = None
    state: State = "none"
    why: str = ""
    parts: int = 0
    skipped: int = 0
    disagreements: int = 0
    passes_of_rejects: int = 0
    undecided: int = 0
    rejects: int = 0
    champion_rejects: int = 0
    faults: int = 0
    restarts: int = 0
    scored: int = 0
    score_sum: float = 0.0
    champion_score_sum: float = 0.0
    score_gap_sum: float = 0.0
    cpu_s: float = 0.0
    slowest_ms: float = 0.0

    def as_figures(self) -> dict[str, float]:
        """As a job's state carries them: counts, rates from 0 to 1, mean scores."""
        counts = {name: float(getattr(self, name)) for name in COUNTS}
        return counts | {
            "share_seen": _share(self.parts, self.parts + self.skipped),
            "disagreement_rate": _share(self.disagreements, self.parts),
            "score": _share(self.score_sum, self.scored),
            "champion_score": _share(self.champion_score_sum, self.scored),
            "score_gap": _share(self.score_gap_sum, self.scored),
            "slowest_ms": round(self.slowest_ms, 3),
        }


COUNTS = (
    "parts",
    "skipped",
    "disagreements",
    "passes_of_rejects",
    "undecided",
    "rejects",
    "champion_rejects",
    "faults",
    "restarts",
)


def counted(figures: ShadowFigures, pairs: Sequence[Pair]) -> ShadowFigures:
    """The figures with one more part.

    Args:
        figures: so far.
        pairs: of every camera whose frame both looked at; at least one.
    """
    champion = worst(pair.champion.verdict for pair in pairs)
    challenger = worst(pair.challenger.verdict for pair in pairs)
    return _scored(
        replace(
            figures,
            parts=figures.parts + 1,
            disagreements=figures.disagreements + (champion is not challenger),
            passes_of_rejects=figures.passes_of_rejects + (champion is Verdict.REJECT and challenger is Verdict.PASS),
            undecided=figures.undecided + (challenger is Verdict.UNDECIDED),
            rejects=figures.rejects + (challenger is Verdict.REJECT),
            champion_rejects=figures.champion_rejects + (champion is Verdict.REJECT),
        ),
        pairs,
    )


def began_again(figures: ShadowFigures) -> ShadowFigures:
    """The same challenger with nothing compared; what it did by itself, its faults and its time, stays."""
    return ShadowFigures(
        challenger=figures.challenger,
        faults=figures.faults,
        restarts=figures.restarts + 1,
        cpu_s=figures.cpu_s,
        slowest_ms=figures.slowest_ms,
    )


def _scored(figures: ShadowFigures, pairs: Sequence[Pair]) -> ShadowFigures:
    champion, challenger = _score([pair.champion for pair in pairs]), _score([pair.challenger for pair in pairs])
    if champion is None or challenger is None:
        return figures
    return replace(
        figures,
        scored=figures.scored + 1,
        score_sum=figures.score_sum + challenger,
        champion_score_sum=figures.champion_score_sum + champion,
        score_gap_sum=figures.score_gap_sum + abs(champion - challenger),
    )


def _score(views: Sequence[View]) -> float | None:
    found = [view.detections for view in views if view.detections is not None]
    return max(one.frame_score for one in found) if len(found) == len(views) else None


def _share(of: float, among: float) -> float:
    return round(of / among, 6) if among else 0.0
