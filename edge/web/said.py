"""What somebody says of an inspection on its page, as the word that the line port takes. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from cloud_sync.pages.errors import PagesError
from cloud_sync.wire.records import TAKEN_BACK, FeedbackRecord
from edge.domain.errors import ConfigError, OutputError
from edge.domain.feedback import Feedback, SaidBox
from edge.line.protocol import feedback_line, parse_line
from edge.line.said_boxes import boxes_from

Sizes = Mapping[str, tuple[int, int]]
GOOD = "good"


@dataclass(frozen=True, slots=True)
class Opinion:
    """The form as it was sent.

    Args:
        said: the verdict was right, it was wrong, or what was said last is taken back.
        truth: what the part really is: `good`, or a class; empty where nobody says.
        note: a word for people.
        boxes: JSON: a list of objects with camera, label and box_xyxy.
    """

    said: Literal["right", "wrong", "back"]
    truth: str = ""
    note: str = ""
    boxes: str = ""


def verdict_holds(verdict: str, truth: str, *, boxes: bool) -> bool:
    """Whether a verdict was right of a part that really is this; with boxes it has defects, whatever else is said."""
    if not truth and not boxes:
        return False
    is_good = truth == GOOD and not boxes
    return is_good if verdict == "PASS" else verdict == "REJECT" and not is_good


def word_of(
    about: Feedback,
    verdict: str,
    opinion: Opinion,
    sizes_px: Mapping[str, tuple[int, int]],
    last: FeedbackRecord | None,
) -> Feedback:
    """The word that keeps an opinion.

    Args:
        about: part, inspection, and who says it.
        verdict: what the station had said.
        opinion: the form.
        sizes_px: width and height of the pictures that can be drawn on, by camera.
        last: of a word that is taken back, the word before it.

    Raises:
        PagesError: it says two things at once, or nothing that can be kept; with what to do.
    """
    try:
        return _checked(_word(about, verdict, opinion, sizes_px, last))
    except (OutputError, ConfigError) as error:
        raise PagesError(str(error)) from error


def _word(
    about: Feedback,
    verdict: str,
    opinion: Opinion,
    sizes_px: Mapping[str, tuple[int, int]],
    last: FeedbackRecord | None,
) -> Feedback:
    if opinion.said == "back":
        return _again(about, last) if last else replace(about, is_right=True, note=TAKEN_BACK)
    note = " ".join(opinion.note.split())
    if opinion.said == "right":
        return replace(about, is_right=True, note=note)
    boxes = tuple(_inside(box, sizes_px) for box in boxes_from(_parsed(opinion.boxes)))
    truth = " ".join(opinion.truth.split())
    if truth.casefold() == GOOD:
        truth = GOOD
    if truth == GOOD and boxes:
        raise PagesError("a good part has no defects to draw: remove the boxes, or say which defect it is")
    holds = verdict_holds(verdict, truth, boxes=bool(boxes))
    return replace(about, is_right=holds, label=truth, note=note, boxes=boxes)


def _again(about: Feedback, said: FeedbackRecord) -> Feedback:
    boxes = [{"camera": box.camera, "label": box.label, "box_xyxy": box.box_xyxy} for box in said.boxes]
    return replace(about, is_right=said.is_right, label=said.label, note=said.note, boxes=boxes_from(boxes))


def _parsed(text: str) -> object:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise PagesError("the boxes cannot be read: load the page again, and draw them again") from error


def _inside(box: SaidBox, sizes_px: Mapping[str, tuple[int, int]]) -> SaidBox:
    """The box within its picture, to a hundredth of a pixel. Raises PagesError, ConfigError: nothing of it is there."""
    if box.camera not in sizes_px:
        raise PagesError(f"there is no picture of camera {box.camera[:80]!r} to draw on")
    limits = sizes_px[box.camera] * 2
    left, top, right, bottom = (round(min(at, limit), 2) for at, limit in zip(box.box_xyxy, limits, strict=True))
    return SaidBox(box.camera, " ".join(box.label.split()), (left, top, right, bottom))


def _checked(said: Feedback) -> Feedback:
    """Raises OutputError: the line port would not take it."""
    parse_line(feedback_line(said))
    return said
