"""What a person says of an inspected part."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's word on the last inspection of a part.

    Args:
        part_id: the part.
        is_right: whether the verdict was right.
        by: who says so.
        label: what the part really is, by a name that a classifier could learn; empty where nobody says.
        note: a word for people.
    """

    part_id: str
    is_right: bool
    by: str
    label: str = ""
    note: str = ""
