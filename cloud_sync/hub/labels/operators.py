"""What an operator's word at the line says of an image: pure.

It counts as a label where nothing has to be guessed: the part was seen by one camera, and the word is `good` or a class
that the product is known to have. Everything else (a defect without a name, a name that nobody declared, a part of
several cameras of which one is meant) stays beside the sample for whoever reviews it. A reviewer's or an import's label
is never replaced by an operator's.
"""

from cloud_sync.hub.labels.truths import GOOD, LabelTruth, defect, good

_GOOD_WORDS = frozenset({GOOD, "ok", "gut", "pass"})


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
    passes = {("PASS", True): True, ("PASS", False): False, ("REJECT", True): False, ("REJECT", False): True}
    is_good = passes.get((verdict, is_right))  # None: of an undecided part only the label says what it is
    if is_good is not False and (word in _GOOD_WORDS or (not word and is_good)):
        return good()
    named = next((name for name in classes if name.casefold() == word), None)
    return None if named is None or is_good else defect(named)
