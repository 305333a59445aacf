"""What one person says of one image: good, unsure, a defect of a class, or boxes. Pure.

An image with no box at all is `good`: there is no label of zero boxes.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cloud_sync.hub.labels.errors import LabelError

GOOD, UNSURE = "good", "unsure"
Says = Literal["good", "unsure", "defect", "boxes"]
BOXES_MOST = 1000
_TOLERANCE_PX = 1.0


@dataclass(frozen=True, slots=True, order=True)
class LabelBox:
    """A class, and where: left, top, right, bottom in pixels of the image, right and bottom exclusive."""

    name: str
    corners_px: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        left, top, right, bottom = self.corners_px
        if not all(map(math.isfinite, self.corners_px)) or right <= left or bottom <= top:
            raise LabelError(f"a box is left < right and top < bottom in finite pixels, got {list(self.corners_px)}")


@dataclass(frozen=True, slots=True)
class LabelTruth:
    """What is said.

    Args:
        says: one of `Says`.
        name: of the class of a `defect`, else "".
        boxes: of `boxes`, in order, else none.
    """

    says: Says
    name: str = ""
    boxes: tuple[LabelBox, ...] = ()

    def __post_init__(self) -> None:
        if (self.says == "defect") != bool(self.name) or (self.says == "boxes") != bool(self.boxes):
            raise LabelError(f"a label of {self.says!r} with class {self.name!r} and {len(self.boxes)} boxes is none")
        if len(self.boxes) > BOXES_MOST:
            raise LabelError(f"an image has at most {BOXES_MOST} boxes, got {len(self.boxes)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The classes that it names, in order."""
        return tuple(sorted({box.name for box in self.boxes} | ({self.name} if self.name else set())))

    def columns(self) -> dict[str, str]:
        """As the table holds it."""
        corners = json.dumps([[box.name, *box.corners_px] for box in self.boxes], ensure_ascii=False)
        return {"says": self.says, "classes": "\n".join(self.names), "boxes": corners if self.boxes else ""}

    def defect(self) -> str:
        """The class of the image as a whole: of several boxes that whose boxes cover most; "" of good and unsure."""
        areas: dict[str, float] = {}
        for box in self.boxes:
            left, top, right, bottom = box.corners_px
            areas[box.name] = areas.get(box.name, 0.0) + (right - left) * (bottom - top)
        return max(sorted(areas), key=lambda name: areas[name]) if areas else self.name


def good() -> LabelTruth:
    """Nothing is wrong with it."""
    return LabelTruth("good")


def unsure() -> LabelTruth:
    """The person could not say."""
    return LabelTruth("unsure")


def defect(name: str) -> LabelTruth:
    """This is wrong with it, somewhere."""
    return LabelTruth("defect", name)


def boxed(boxes: Sequence[LabelBox]) -> LabelTruth:
    """These are wrong with it, there; none: it is good."""
    return LabelTruth("boxes", "", tuple(sorted(boxes))) if boxes else good()


def truth_of(says: str, classes: str, boxes: str) -> LabelTruth:
    """What the table holds."""
    match says:
        case "good" | "unsure":
            return LabelTruth("good" if says == GOOD else "unsure")
        case "defect":
            return defect(classes)
    found = json.loads(boxes)
    return boxed([LabelBox(str(name), (left, top, right, bottom)) for name, left, top, right, bottom in found])


def names_of(says: str, classes: str) -> tuple[str, ...]:
    """What an image counts as, in a count by class."""
    return tuple(classes.split("\n")) if classes else (says,)


def clipped(box: LabelBox, width_px: int, height_px: int) -> LabelBox:
    """The box inside its image; it may stand out by a pixel. Raises LabelError where it stands out by more."""
    limits = (width_px, height_px) * 2
    if any(not -_TOLERANCE_PX <= at <= limit + _TOLERANCE_PX for at, limit in zip(box.corners_px, limits, strict=True)):
        shown = [round(at, 1) for at in box.corners_px]
        raise LabelError(f"box {shown} lies outside its image of {width_px}x{height_px}: mend the label")
    left, top, right, bottom = (min(max(at, 0.0), limit) for at, limit in zip(box.corners_px, limits, strict=True))
    return LabelBox(box.name, (left, top, right, bottom))


def covers_all(box: LabelBox, width_px: int, height_px: int) -> bool:
    """Whether it is the whole image, to a pixel: then it says what the image is, and no place."""
    whole = (0, 0, width_px, height_px)
    return all(abs(at - edge) <= _TOLERANCE_PX for at, edge in zip(box.corners_px, whole, strict=True))
