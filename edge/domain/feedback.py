"""What a person says of an inspected part."""

import math
from dataclasses import dataclass

from edge.domain.errors import ConfigError

BOXES_LIMIT = 32
LABEL_LIMIT = 128


@dataclass(frozen=True, slots=True)
class SaidBox:
    """Where on a camera's picture a person sees a defect, and of which class.

    Args:
        camera: whose picture.
        label: the class, by a name that a detector could learn.
        box_xyxy: left, top, right, bottom in pixels of that picture.

    Raises:
        ConfigError: it names nothing, or holds nothing.
    """

    camera: str
    label: str
    box_xyxy: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        for name, text in (("camera", self.camera), ("class", self.label)):
            if not 1 <= len(text) <= LABEL_LIMIT or not text.isprintable():
                raise ConfigError(f"a box's {name} is 1 to {LABEL_LIMIT} printable characters, got {text[:140]!r}")
        left, top, right, bottom = self.box_xyxy
        if not all(map(math.isfinite, self.box_xyxy)) or not 0 <= left < right or not 0 <= top < bottom:
            raise ConfigError(f"a box is 0 <= left < right and 0 <= top < bottom in pixels, got {list(self.box_xyxy)}")


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's word on an inspection of a part.

    Args:
        part_id: the part.
        is_right: whether the verdict was right.
        by: who says so.
        label: what the part really is, by a name that a classifier could learn; empty where nobody says.
        note: a word for people.
        boxes: where its defects are; none where nobody says.
        inspection_id: which inspection is meant; empty: the last one of the part.
    """

    part_id: str
    is_right: bool
    by: str
    label: str = ""
    note: str = ""
    boxes: tuple[SaidBox, ...] = ()
    inspection_id: str = ""

    def __post_init__(self) -> None:
        """Raises ConfigError: too many boxes."""
        if len(self.boxes) > BOXES_LIMIT:
            raise ConfigError(f"a word on a part has at most {BOXES_LIMIT} boxes, got {len(self.boxes)}")

    @property
    def teaches(self) -> bool:
        """Whether it says what a model got wrong, or what a part really is: then its pictures are worth learning."""
        return not self.is_right or bool(self.label or self.boxes)
