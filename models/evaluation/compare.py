"""Champion against challenger on the same images: is the difference more than chance? Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from scipy.stats import binomtest

from models.detections import Detections
from models.evaluate import Estimate
from models.evaluation.exam import Exam
from models.evaluation.operating import rejects
from models.evaluation.precision import map50_drop

_ALPHA = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What one model said: its detections on N images, and those that it could not look at (the line rejects them)."""

    found: Sequence[Detections]
    undecided: Sequence[int] = ()


class Answer(StrEnum):
    """What the comparison shows of the challenger."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no proven difference"


@dataclass(frozen=True, slots=True)
class Paired:
    """One kind of mistake, image by image: how often only one of the two made it, and McNemar's exact p-value."""

    only_champion: int
    only_challenger: int
    both: int
    p_value: float

    def __str__(self) -> str:
        return (
            f"champion alone {self.only_champion}, challenger alone {self.only_challenger}, both {self.both}; "
            f"McNemar p = {self.p_value:.3g}"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The challenger beside the champion.

    Args:
        answer: worse if any measure is proven worse, better if one is proven better and none worse.
        escapes: on defective images; None without such.
        overkill: on good images; None without such.
        map50_gain: challenger's map50 less champion's, with its interval; None where nothing is labelled.
    """

    answer: Answer
    escapes: Paired | None
    overkill: Paired | None
    map50_gain: Estimate | None

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return {
            "answer": self.answer.value,
            "escapes": None if self.escapes is None else asdict(self.escapes),
            "overkill": None if self.overkill is None else asdict(self.overkill),
            "map50_gain": None if self.map50_gain is None else asdict(self.map50_gain),
        }


def compare(exam: Exam, champion: Side, challenger: Side, seed: int = 0) -> Comparison:
    """Compare two models' answers on the same images.

    McNemar's exact test for escapes and overkill (McNemar 1947, Psychometrika 12:153), a paired bootstrap for map50.

    Args:
        exam: N frames.
        champion: what it said of them.
        challenger: likewise.
        seed: of the resampling.

    Raises:
        ModelError: different numbers of images.
    """
    bad = np.array(exam.defective, bool)
    rejected = [rejects(side.found, side.undecided) for side in (champion, challenger)]
    escapes = paired(~rejected[0][bad], ~rejected[1][bad]) if bad.any() else None
    overkill = paired(rejected[0][~bad], rejected[1][~bad]) if (~bad).any() else None
    gain = _gain(exam, champion, challenger, seed) if exam.boxes else None
    return Comparison(answer((escapes, overkill), gain), escapes, overkill, gain)


def _gain(exam: Exam, champion: Side, challenger: Side, seed: int) -> Estimate:
    loss = map50_drop(exam.rank(champion.found), exam.rank(challenger.found), seed)
    return Estimate(-loss.value, -loss.high, -loss.low, loss.confidence)


def paired(
    first: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], second: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Paired:
    """Count who made a mistake on N cases, each (N,) bool in the same order, with McNemar's exact p-value."""
    only_first, only_second = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))
    apart = only_first + only_second
    p_value = float(binomtest(only_first, apart, 0.5).pvalue) if apart else 1.0
    return Paired(only_first, only_second, int(np.count_nonzero(first & second)), p_value)


def answer(mistakes: tuple[Paired | None, ...], gain: Estimate | None) -> Answer:
    """What paired mistakes and the gain of a metric show together."""
    proven = [found for found in mistakes if found is not None and found.p_value < _ALPHA]
    worse = any(found.only_challenger > found.only_champion for found in proven) or (gain is not None and gain.high < 0)
    better = any(found.only_champion > found.only_challenger for found in proven) or (gain is not None and gain.low > 0)
    if worse:
        return Answer.WORSE
    return Answer.BETTER if better else Answer.NO_DIFFERENCE
