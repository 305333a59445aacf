"""When two boxes are one finding: the rule that graph and reference share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suppression:
    """Greedy suppression over all classes together, strongest first.

    Classes are suppressed together because a second class on the same place is a duplicate: suppression per class left
    such ones, and a measure that pools the classes punishes them.

    Args:
        candidates: strongest cells that are looked at.
        min_score: weaker cells are not.
        max_iou: a box that overlaps a stronger one by more is dropped.
        most: findings that leave the graph.
    """

    candidates: int = 300
    min_score: float = 0.02
    max_iou: float = 0.45
    most: int = 100


SUPPRESSION = Suppression()
