"""Champion against challenger on the same images: is the difference more than chance? Pure."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from models.classifier.figures import ClassFigures, said_labels
from models.errors import ModelError
from models.evaluate import Estimate, auroc_drop
from models.evaluation.compare import Answer, Paired, answer, paired
from models.gate import THRESHOLD


@dataclass(frozen=True, slots=True)
class ClassComparison:
    """The challenger beside the champion.

    Args:
        answer: worse if any measure is proven worse, better if one is proven better and none worse.
        escapes: on defective images; None without such.
        overkill: on good images; None without such.
        misnamed: on all: another answer than the label.
        auroc_gain: challenger's less champion's, with DeLong's interval; None without two of each.
    """

    answer: Answer
    escapes: Paired | None
    overkill: Paired | None
    misnamed: Paired
    auroc_gain: Estimate | None

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return asdict(self) | {"answer": self.answer.value}


def compare_classes(champion: ClassFigures, challenger: ClassFigures) -> ClassComparison:
    """McNemar's exact test on each kind of mistake, DeLong's paired interval on AUROC.

    Raises:
        ModelError: the two looked at different images.
    """
    if champion.exam.images != challenger.exam.images:
        raise ModelError("compare: champion and challenger must see the same images, in the same order")
    bad = challenger.exam.defective
    first, second = (found.said.frame_scores >= THRESHOLD for found in (champion, challenger))
    escapes = paired(~first[bad], ~second[bad]) if bad.any() else None
    overkill = paired(first[~bad], second[~bad]) if not bad.all() else None
    misnamed = paired(*(said_labels(found.said) != found.exam.labels for found in (champion, challenger)))
    gain = _gain(champion, challenger, bad)
    return ClassComparison(answer((escapes, overkill, misnamed), gain), escapes, overkill, misnamed, gain)


def _gain(champion: ClassFigures, challenger: ClassFigures, bad: NDArray[np.bool_]) -> Estimate | None:
    if champion.auroc is None:
        return None
    before, after = ((found.said.frame_scores[~bad], found.said.frame_scores[bad]) for found in (champion, challenger))
    loss = auroc_drop(before, after)
    return Estimate(-loss.value, -loss.high, -loss.low, loss.confidence)
