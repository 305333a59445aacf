"""What an operator's word at the line says of an image: pure.

It counts as a label where nothing has to be guessed: the part was seen by one camera, and the word is `good` or a class
that the product is known to have; or it drew boxes of such classes, which name their camera. Everything else (a defect
without a name, a name that nobody declared, a part of several cameras of which one is meant) stays beside the sample
for whoever reviews it. A reviewer's or an import's label is never replaced by an operator's.
"""

from collections.abc import Sequence

from cloud_sync.hub.labels.truths import GOOD, LabelBox, LabelTruth, boxed, defect, good
from cloud_sync.wire.records import SaidBoxRecord

_GOOD_WORDS = frozenset({GOOD, "ok", "gut", "pass"})
_PASSES = {("PASS", True): True, ("PASS", False): False, ("REJECT", True): False, ("REJECT", False): True}


def label_said(verdict: str, label: str, classes: tuple[str, ...], views: int, *, is_right: bool) -> LabelTruth | None:
    """The label in what an operator said of a verdict; None where it is none.

    Args:
        verdict: what the machine had said: PASS, REJECT, UNDECIDED.
        label: what the part really is, in the operator's words; "" if he did not say.
        classes: what the product's images may be labelled with.
        views: cameras that looked at the part.
        is_right: whether the verdict was right.
    """
    if views != 1:
        return None
    word = label.strip().casefold()
    is_good = _PASSES.get((verdict, is_right))  # None: of an undecided part only the label says what it is
    if is_good is not False and (word in _GOOD_WORDS or (not word and is_good)):
        return good()
    named = next((name for name in classes if name.casefold() == word), None)
    return None if named is None or is_good else defect(named)


def boxes_said(
    verdict: str, label: str, classes: tuple[str, ...], boxes: Sequence[SaidBoxRecord], *, is_right: bool
) -> LabelTruth | None:
    """The label in the boxes that an operator drew on one camera's picture; None where it is none. Raises LabelError.

    A word that says the part is good and draws boxes contradicts itself; one class that nobody declared spoils all.
    """
    if not boxes or _PASSES.get((verdict, is_right)) or label.strip().casefold() in _GOOD_WORDS:
        return None
    known = {name.casefold(): name for name in classes}
    named = [(known.get(box.label.strip().casefold()), box.box_xyxy) for box in boxes]
    found = [LabelBox(name, (corners[0], corners[1], corners[2], corners[3])) for name, corners in named if name]
    return boxed(found) if len(found) == len(boxes) else None
