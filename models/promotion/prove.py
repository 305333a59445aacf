"""Whether a challenger may take the champion's place: both judge the same frozen hold-out as the station would."""

from pathlib import Path

from models.promotion.limits import PromotionLimits
from models.promotion.proof import Proof, ProofFigures, Reason


def prove(challenger: Path, champion: Path | None, data: Path, limits: PromotionLimits, report: Path) -> Proof:
    """Judge, count, decide and write the page.

    Args:
        challenger: a bundle's folder.
        champion: the bundle in use, maybe of another kind; None: there is none, only absolute limits count.
        data: a dataset with declared splits; `test` is the hold-out.
        limits: what must be kept.
        report: the page to write, HTML.

    Raises:
        DatasetError: the dataset will not do, or has no split `test`.
        ModelError: the champion does not verify. What is wrong with the challenger is a reason, and no error.
    """
    del challenger, champion, data, limits, report
    return Proof(False, (Reason("written", False, "nothing is judged yet"),), ProofFigures())
