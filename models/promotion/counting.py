"""From two judgements of one hold-out to figures. Pure."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.dataset.records import LabelledImage
from models.evaluate import Estimate, clopper_pearson
from models.evaluation.compare import Paired, paired
from models.evaluation.operating import boxes_found
from models.promotion.holdout import Holdout
from models.promotion.judging import Judgement
from models.promotion.proof import ClassFigures, ProofFigures

_Flags = NDArray[np.bool_]


def count(holdout: Holdout, challenger: Judgement, champion: Judgement | None) -> ProofFigures:
    """Count mistakes, by class and pair by pair."""
    bad = holdout.defective
    escapes, overkill = bad & ~challenger.rejected, ~bad & challenger.rejected
    champion_escapes = None if champion is None else bad & ~champion.rejected
    champion_overkill = None if champion is None else ~bad & champion.rejected
    return ProofFigures(
        good=int((~bad).sum()),
        bad=int(bad.sum()),
        escapes=int(escapes.sum()),
        overkill=int(overkill.sum()),
        undecided=int(challenger.undecided.sum()),
        champion_escapes=_sum(champion_escapes),
        champion_overkill=_sum(champion_overkill),
        by_class=_by_class(holdout.kinds, escapes, champion_escapes),
        boxes_by_class=_boxes_by_class(holdout, challenger, champion),
        paired_escapes=_paired(champion_escapes, escapes, bad),
        paired_overkill=_paired(champion_overkill, overkill, ~bad),
        disagree=None if champion is None else int((champion.rejected != challenger.rejected).sum()),
        named=_named(holdout, challenger),
    )


def _sum(flags: _Flags | None) -> int | None:
    return None if flags is None else int(flags.sum())


def _paired(champion: _Flags | None, challenger: _Flags, of: _Flags) -> Paired | None:
    return None if champion is None or not of.any() else paired(champion[of], challenger[of])


def _by_class(kinds: Sequence[str], mine: _Flags, other: _Flags | None) -> dict[str, ClassFigures]:
    found = {}
    for kind in sorted(set(kinds) - {""}):
        of = np.array([own == kind for own in kinds], np.bool_)
        found[kind] = ClassFigures(int(of.sum()), int(mine[of].sum()), None if other is None else int(other[of].sum()))
    return found


def _boxes_by_class(holdout: Holdout, mine: Judgement, other: Judgement | None) -> dict[str, ClassFigures]:
    """Of labelled boxes: those that nothing counts on. Only where the challenger says places, as a detector does."""
    if mine.found is None or not any(len(image.truth) for image in holdout.images):
        return {}
    names = [holdout.dataset.classes[number] for image in holdout.images for number in image.truth.class_ids]
    missed = _missed(holdout.images, mine)
    before = None if other is None or other.found is None else _missed(holdout.images, other)
    found = {}
    for name, number in sorted(Counter(names).items()):
        of = np.array([own == name for own in names], np.bool_)
        found[name] = ClassFigures(number, int(missed[of].sum()), None if before is None else int(before[of].sum()))
    return found


def _missed(images: Sequence[LabelledImage], said: Judgement) -> _Flags:
    """(boxes,): an image that was not decided is rejected whatever it holds, so none of its boxes is missed."""
    seen = boxes_found([image.truth for image in images], list(said.found or ()))
    undecided = [flag for image, flag in zip(images, said.undecided, strict=True) for _ in range(len(image.truth))]
    return np.asarray(~seen & ~np.array(undecided, np.bool_), np.bool_)


def _named(holdout: Holdout, said: Judgement) -> Estimate | None:
    """Of defective images on which the challenger names something: how often that is one of their labels."""
    pairs = [
        (name, _labels(image, kind, holdout))
        for image, kind, name in zip(holdout.images, holdout.kinds, said.named, strict=True)
        if kind and name
    ]
    return clopper_pearson(sum(name in labels for name, labels in pairs), len(pairs)) if pairs else None


def _labels(image: LabelledImage, kind: str, holdout: Holdout) -> set[str]:
    return {kind, *(holdout.dataset.classes[number] for number in image.truth.class_ids)}
