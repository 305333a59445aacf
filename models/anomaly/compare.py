"""Champion against challenger on the same parts: is the difference more than chance? Pure."""

from dataclasses import asdict, dataclass

from models.anomaly.figures import PartFigures
from models.errors import ModelError
from models.evaluate import Estimate, auroc_drop
from models.evaluation.compare import Answer, Paired, answer, paired


@dataclass(frozen=True, slots=True)
class PartComparison:
    """The challenger beside the champion.

    Args:
        answer: worse if any measure is proven worse, better if one is proven better and none worse.
        escapes: on defective images; None without such.
        overkill: on good images; None without such.
        auroc_gain: challenger's less champion's, with DeLong's interval; None without two of each.
    """

    answer: Answer
    escapes: Paired | None
    overkill: Paired | None
    auroc_gain: Estimate | None

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return asdict(self) | {"answer": self.answer.value}


def compare_parts(champion: PartFigures, challenger: PartFigures) -> PartComparison:
    """McNemar's exact test on each kind of mistake, DeLong's paired interval on AUROC.

    Raises:
        ModelError: the two looked at different images.
    """
    if champion.exam.paths != challenger.exam.paths:
        raise ModelError("compare: champion and challenger must see the same images, in the same order")
    bad, first, second = challenger.exam.defective, champion.rejected, challenger.rejected
    escapes = paired(~first[bad], ~second[bad]) if bad.any() else None
    overkill = paired(first[~bad], second[~bad]) if not bad.all() else None
    gain = None
    if champion.auroc is not None:
        before, after = ((own.scored.scores[~bad], own.scored.scores[bad]) for own in (champion, challenger))
        loss = auroc_drop(before, after)
        gain = Estimate(-loss.value, -loss.high, -loss.low, loss.confidence)
    return PartComparison(answer((escapes, overkill), gain), escapes, overkill, gain)
