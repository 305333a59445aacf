"""What a model said that gives one score an image (anomaly, classifier), and champion against challenger. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.detections import FloatArray
from models.errors import ModelError
from models.evaluate import Estimate, auroc_drop
from models.evaluation.compare import Answer, Paired, answer, paired
from models.gate import THRESHOLD

_LEAST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """One model's answers to N images, beside what a person says of them.

    Args:
        images: the files, in order.
        defective: (N,) whether a person calls each so.
        scores: (N,) in [0, 1], 0.5 is the threshold.
        rejected: (N,) whether the line would reject each.
        misnamed: (N,) whether another label than the person's was given; None for a model that names nothing.
    """

    images: Sequence[Path]
    defective: NDArray[np.bool_]
    scores: FloatArray
    rejected: NDArray[np.bool_]
    misnamed: NDArray[np.bool_] | None = None

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(N,) whether each is a mistake."""
        return self.rejected != self.defective if self.misnamed is None else self.misnamed

    def surest_mistakes(self, most: int) -> list[int]:
        """Indices of the mistakes farthest from the threshold, worst first."""
        order = np.argsort(-np.abs(self.scores - THRESHOLD), kind="stable")
        return [int(index) for index in order if self.wrong[index]][:most]


@dataclass(frozen=True, slots=True)
class ScoredComparison:
    """The challenger beside the champion.

    Args:
        answer: worse if any measure is proven worse, better if one is proven better and none worse.
        escapes: on defective images; None without such.
        overkill: on good images; None without such.
        auroc_gain: challenger's less champion's, with DeLong's interval; None without two of each.
        misnamed: on all, of models that name what they see: another answer than the label.
    """

    answer: Answer
    escapes: Paired | None
    overkill: Paired | None
    auroc_gain: Estimate | None
    misnamed: Paired | None = None

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        about = asdict(self) | {"answer": self.answer.value}
        if self.misnamed is None:
            del about["misnamed"]
        return about


def compare_answers(champion: Answers, challenger: Answers) -> ScoredComparison:
    """McNemar's exact test on each kind of mistake, DeLong's paired interval on AUROC.

    Raises:
        ModelError: the two looked at different images.
    """
    if list(champion.images) != list(challenger.images):
        raise ModelError("compare: champion and challenger must see the same images, in the same order")
    bad, first, second = challenger.defective, champion.rejected, challenger.rejected
    escapes = paired(~first[bad], ~second[bad]) if bad.any() else None
    overkill = paired(first[~bad], second[~bad]) if not bad.all() else None
    misnamed = None
    if champion.misnamed is not None and challenger.misnamed is not None:
        misnamed = paired(champion.misnamed, challenger.misnamed)
    gain, tests = _gain(champion, challenger, bad), (escapes, overkill)
    found = answer(tests if misnamed is None else (*tests, misnamed), gain)
    return ScoredComparison(found, escapes, overkill, gain, misnamed)


def _gain(champion: Answers, challenger: Answers, bad: NDArray[np.bool_]) -> Estimate | None:
    if min(int(bad.sum()), int((~bad).sum())) < _LEAST:
        return None
    before, after = ((own.scores[~bad], own.scores[bad]) for own in (champion, challenger))
    loss = auroc_drop(before, after)
    return Estimate(-loss.value, -loss.high, -loss.low, loss.confidence)
