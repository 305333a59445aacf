"""What parts got when they were looked at again and again, and how far that agrees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.calibrate.gauge.disturbances import Kind
from edge.calibrate.gauge.study_parts import Truth
from edge.domain.part import Verdict
from models.agreement import (
    Kappa,
    Rate,
    cohen_kappa,
    effectiveness,
    false_alarms,
    fleiss_kappa,
    missed,
    pooled_deviation,
    within,
)

_SIGMAS = 3
_VERDICTS = (Verdict.PASS, Verdict.REJECT, Verdict.UNDECIDED)


@dataclass(frozen=True, slots=True)
class Look:
    """One look: the score and the verdict; a frame that its reference does not explain has no score."""

    score: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One part's looks: as it is first, then further ones, and by disturbance and step."""

    name: str
    truth: Truth
    repeats: tuple[Look, ...]
    disturbed: dict[tuple[Kind, int], Look]

    @property
    def steady(self) -> bool:
        """Whether each repeat got the same verdict."""
        return len({look.verdict for look in self.repeats}) == 1

    @property
    def right(self) -> bool:
        """Whether each repeat got the true verdict."""
        return {look.verdict for look in self.repeats} == {_true(self.truth)}

    @property
    def scores(self) -> NDArray[np.float64]:
        """(repeats,), those that have one."""
        scores = np.array([look.score for look in self.repeats], np.float64)
        return scores[np.isfinite(scores)]


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """What repeats say of the gauge.

    `against_truth`, `missed` and `false_alarms` are None where no part of that kind was looked at. `near` of the good
    parts lie within three of the pooled deviations of the threshold.
    """

    parts: tuple[Looked, ...]
    within: Rate
    between_repeats: Kappa
    against_truth: Kappa | None
    effectiveness: Rate
    missed: Rate | None
    false_alarms: Rate | None
    deviation: float | None
    near: int
    good: int

    def as_json(self) -> dict[str, object]:
        """Plain values."""

        def plain(rate: Rate | Kappa | None) -> dict[str, object] | None:
            return None if rate is None else rate.as_json()

        parts = [
            {
                "name": part.name,
                "truth": part.truth,
                "same_verdict": round(max(_counts(part)) / len(part.repeats), 4),
                "verdicts": [look.verdict for look in part.repeats],
                "scores": [None if np.isnan(look.score) else round(look.score, 5) for look in part.repeats],
            }
            for part in self.parts
        ]
        return {
            "within_appraiser": plain(self.within),
            "fleiss_kappa": plain(self.between_repeats),
            "cohen_kappa_to_truth": plain(self.against_truth),
            "effectiveness": plain(self.effectiveness),
            "missed_defects": plain(self.missed),
            "false_alarms": plain(self.false_alarms),
            "score_deviation": None if self.deviation is None else round(self.deviation, 6),
            "good_parts": self.good,
            "good_parts_within_3_sigma": self.near,
            "parts": parts,
        }


def agree(parts: Sequence[Looked], threshold: float, seed: int) -> Agreement:
    """The agreement of parts that were looked at twice or more; `seed` is of the resampling."""
    good = [part for part in parts if part.truth is Truth.GOOD]
    bad = [part for part in parts if part.truth is not Truth.GOOD]
    scored = [part.scores for part in good if len(part.scores) > 1]
    deviation = pooled_deviation(scored) if scored else None
    near = [scores for scores in scored if abs(scores.mean() - threshold) <= _SIGMAS * (deviation or 0.0)]
    return Agreement(
        parts=tuple(parts),
        within=within(sum(part.steady for part in parts), len(parts)),
        between_repeats=fleiss_kappa(np.array([_counts(part) for part in parts]), seed),
        against_truth=cohen_kappa(np.array([_by_truth(part) for part in parts]), seed) if good and bad else None,
        effectiveness=effectiveness(sum(part.right for part in parts), len(parts)),
        missed=missed(*_looks(bad, {Verdict.PASS})) if bad else None,
        false_alarms=false_alarms(*_looks(good, {Verdict.REJECT, Verdict.UNDECIDED})) if good else None,
        deviation=deviation,
        near=len(near),
        good=len(good),
    )


def _counts(part: Looked) -> list[int]:
    return [sum(look.verdict is verdict for look in part.repeats) for verdict in _VERDICTS]


def _by_truth(part: Looked) -> list[list[int]]:
    counts, nothing = _counts(part), [0] * len(_VERDICTS)
    return [counts if verdict is _true(part.truth) else nothing for verdict in _VERDICTS]


def _looks(parts: Sequence[Looked], verdicts: set[Verdict]) -> tuple[int, int]:
    looks = [look.verdict for part in parts for look in part.repeats]
    return sum(verdict in verdicts for verdict in looks), len(looks)


def _true(truth: Truth) -> Verdict:
    return Verdict.PASS if truth is Truth.GOOD else Verdict.REJECT
