"""A COCO file from a labelling tool, as what it says of each image; all that is wrong with it, by name.

What tools write, and what is made of it:
- CVAT ("COCO 1.0"): ids from 1, `file_name` below the task, boxes with `segmentation: []` and `attributes`; tags of
  whole images are not in it. A box around the whole image is therefore taken for a label of the image.
- Label Studio: ids from 0, `file_name` with folders and eight characters before the name, floats; choices are not in.
- An annotation without a box (none, empty, or all zero), or whose attributes say `image_level`, is of the whole image.
- An image without any annotation says nothing, unless the caller says that it means good.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud_sync.hub.labels.coco_names import digest_named
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.truths import (
    GOOD,
    UNSURE,
    LabelBox,
    LabelTruth,
    boxed,
    clipped,
    covers_all,
    defect,
    good,
    unsure,
)

FILE_LIMIT_BYTES = 512 * 1024**2
_SHOWN = 10
_NAME_SHOWN = 100
KEYS = ("images", "annotations", "categories")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A category said of an image; `corners_px` is None where it is said of all of it."""

    number: object
    name: str
    corners_px: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of the file: what it is called, how large it is meant to be, what its annotations say."""

    name: str
    size_px: tuple[int, int] | None
    sha256: str
    annotations: tuple[Annotation, ...]


@dataclass(slots=True)
class Faults:
    """All that is wrong, so that one run says it all."""

    found: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        """One more."""
        self.found.append(fault)

    def raise_if_any(self, what: str) -> None:
        """Raise LabelError with the first of them, and how many others there are."""
        if self.found:
            more = len(self.found) - _SHOWN
            said = "\n".join(f"- {fault[:300]}" for fault in self.found[:_SHOWN])
            rest = f"\n(and {more} more)" if more > 0 else ""
            raise LabelError(f"{what}: nothing was imported:\n{said}{rest}")


def read_coco(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The three lists of a COCO file. Raises LabelError."""
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise LabelError(
                f"{path} has {path.stat().st_size} bytes, at most {FILE_LIMIT_BYTES} are read: export less"
            )
        content = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise LabelError(f"{path} is no readable COCO file ({error}): export it again as COCO") from error
    lists: dict[str, list[dict[str, Any]]] = {}
    for key in KEYS:
        found = content.get(key) if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise LabelError(f"{path}: expected a list of objects {key!r}: export it again as COCO")
        lists[key] = found
    return lists


def entries(content: Mapping[str, Sequence[dict[str, Any]]], faults: Faults) -> list[Entry]:
    """What the file says of each of its images."""
    names = _categories(content["categories"], faults)
    by_image = _annotations(content["annotations"], names, faults)
    found, known = [], set()
    for entry in content["images"]:
        number, name = repr(entry.get("id")), str(entry.get("file_name") or "")
        if number in known:
            faults.add(f"image {shown(name)}: another one has its id {number}")
        known.add(number)
        own = tuple(by_image.get(number, ()))
        found.append(Entry(name, _size(entry), digest_named(str(entry.get("sha256"))) or "", own))
    for number in sorted(by_image.keys() - known):
        faults.add(f"annotation {by_image[number][0].number!r} is of image {number}, which the file does not list")
    return found


def truth_said(entry: Entry, size_px: tuple[int, int], faults: Faults) -> LabelTruth | None:
    """What the annotations of an image of this size come to; None where they say nothing or what cannot be."""
    whole, boxes = set(), []
    for said in entry.annotations:
        box = _box(entry, said, size_px, faults)
        if box is None:
            whole.add(said.name)
        elif box.name:
            boxes.append(box)
    if GOOD in whole | {box.name for box in boxes} and (len(whole) > 1 or boxes):
        faults.add(f"image {shown(entry.name)} is said to be good, and {sorted(whole | {box.name for box in boxes})}")
        return None
    if boxes and whole <= {box.name for box in boxes}:
        return boxed(list(dict.fromkeys(boxes)))
    if len(whole) > 1 or (whole and boxes):
        faults.add(f"image {shown(entry.name)} is said to be {sorted(whole)} as a whole: say one, or give boxes")
        return None
    return _whole(next(iter(whole), ""))


def shown(name: str) -> str:
    """A stranger's name as a message may have it."""
    return ascii(name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}...")


def _whole(name: str) -> LabelTruth | None:
    match name:
        case "":
            return None
        case "good":
            return good()
        case "unsure":
            return unsure()
    return defect(name)


def _box(entry: Entry, said: Annotation, size_px: tuple[int, int], faults: Faults) -> LabelBox | None:
    """A box inside its image; None where it says what the whole image is; without a name where it is broken."""
    if said.corners_px is None:
        return None
    try:
        box = LabelBox(said.name, said.corners_px)
        if covers_all(box, *size_px):
            return None
        box = clipped(box, *size_px)
    except LabelError as error:
        faults.add(f"image {shown(entry.name)}, annotation {said.number!r:.40}: {error}")
        return LabelBox("", (0, 0, 1, 1))
    if said.name in {GOOD, UNSURE}:
        faults.add(f"image {shown(entry.name)}: {said.name} is said of a whole image, not of a place")
    return box


def _categories(listed: Sequence[dict[str, Any]], faults: Faults) -> dict[str, str]:
    """Names by the id's form; the good ones by any case."""
    names: dict[str, str] = {}
    for entry in listed:
        number, name = entry.get("id"), entry.get("name")
        if type(number) is not int or not isinstance(name, str) or not name:
            faults.add(f"category {entry!r:.80} has no whole number as id, or no name")
        elif repr(number) in names:
            faults.add(f"category {shown(name)}: another one has its id {number}")
        else:
            folded = name.strip().casefold()
            names[repr(number)] = folded if folded in {GOOD, UNSURE} else name.strip()
    return names


def _annotations(
    listed: Sequence[dict[str, Any]], names: Mapping[str, str], faults: Faults
) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = defaultdict(list)
    known = set()
    for entry in listed:
        number = entry.get("id")
        if repr(number) in known:
            faults.add(f"annotation {number!r:.40}: another one has its id")
        known.add(repr(number))
        name = names.get(repr(entry.get("category_id")))
        if name is None:
            faults.add(
                f"annotation {number!r:.40} has category_id {entry.get('category_id')!r:.40}, none of the file's"
            )
            continue
        try:
            said = Annotation(number, name, _corners(entry))
        except (TypeError, ValueError, OverflowError):
            faults.add(
                f"annotation {number!r:.40}: bbox must be left, top, width, height, got {entry.get('bbox')!r:.80}"
            )
        else:
            found[repr(entry.get("image_id"))].append(said)
    return found


def _corners(entry: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Corners in pixels, None where it is of the whole image. Raises TypeError, ValueError, OverflowError."""
    attributes, bbox = entry.get("attributes"), entry.get("bbox")
    if (isinstance(attributes, dict) and attributes.get("image_level") is True) or not bbox:
        return None
    if not isinstance(bbox, list) or any(isinstance(at, bool) or not isinstance(at, int | float) for at in bbox):
        raise TypeError
    left, top, width, height = (float(at) for at in bbox)
    if not all(map(math.isfinite, (left, top, width, height))):
        raise ValueError
    return None if not (left or top or width or height) else (left, top, left + width, top + height)


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    return (width, height) if type(width) is int and type(height) is int and width > 0 and height > 0 else None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
