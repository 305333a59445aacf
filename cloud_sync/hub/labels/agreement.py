"""Whether two people say the same of an image, and how far they agree beyond chance: pure."""

from collections import Counter
from collections.abc import Sequence

from cloud_sync.hub.labels.truths import LabelBox, LabelTruth

_OVERLAP_LEAST = 0.5


def same_said(one: LabelTruth, other: LabelTruth) -> bool:
    """Whether they name the same classes, and every box of the one lies where one of the other does.

    Nobody draws the same box twice to the pixel; of an image-level label only the class is compared.
    """
    if one.says in {"good", "unsure"} or other.says in {"good", "unsure"}:
        return one.says == other.says
    if one.names != other.names:
        return False
    if not (one.boxes and other.boxes):
        return True
    return len(one.boxes) == len(other.boxes) and _each_found(one.boxes, other.boxes)


def name_said(truth: LabelTruth) -> str:
    """What the image as a whole is said to be: good, unsure, or its class."""
    return truth.defect() or truth.says


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people's words on the same images; None where there are none, or all say one word.

    Source: J. Cohen, A coefficient of agreement for nominal scales, 1960.
    """
    if not pairs:
        return None
    count = len(pairs)
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    by_chance = sum(firsts[name] * seconds[name] for name in firsts) / count**2
    if by_chance >= 1:
        return None
    return (sum(first == second for first, second in pairs) / count - by_chance) / (1 - by_chance)


def overlap(one: LabelBox, other: LabelBox) -> float:
    """The area that both cover, as a share of what either covers."""
    a, b = one.corners_px, other.corners_px
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return shared / (sum(areas) - shared)


def _each_found(some: Sequence[LabelBox], others: Sequence[LabelBox]) -> bool:
    left = list(others)
    for box in some:
        fitting = [other for other in left if other.name == box.name]
        best = max(fitting, key=lambda other: overlap(box, other), default=None)
        if best is None or overlap(box, best) < _OVERLAP_LEAST:
            return False
        left.remove(best)
    return True
