"""COCO: one or several JSON files with images, annotations and categories.

Understood are `annotations.json` at the root, `annotations/instances_train2017.json` and its siblings, and
`_annotations.coco.json` beside the images of `train`, `valid` and `test`. An image may name its golden reference as
`template` or `reference` and what must not be divided between splits as `group`. Regions marked `iscrowd` are no single
box and are passed over. A category that no annotation uses and that others name as their supercategory is a heading,
not a class. Files that describe the same images in another way (`person_keypoints_*`, `stuff_*`, `panoptic_*`,
`captions_*`) are passed over.
"""

import json
import re
from pathlib import Path
from typing import Any

from models.dataset.drafts import GROUP_COLUMNS, Draft, DraftBox, Drafts, Faults, first_file, read_text, split_named
from models.dataset.errors import DatasetError

FORM = "coco"
_KEYS = {"images", "annotations", "categories"}
_REFERENCE_KEYS = ("template", "reference")
_OTHER_TASKS = ("person_keypoints_", "stuff_", "panoptic_", "captions_", "image_info_")


def read(root: Path) -> Drafts | None:
    """Every image of every COCO file below the root, or None if there is no such file."""
    files = [(path, content) for path in _candidates(root) if (content := _coco(path)) is not None]
    if not files:
        return None
    classes = _classes(files)
    faults = Faults()
    images = tuple(image for path, content in files for image in _images(root, path, content, faults))
    faults.raise_if_any()
    return Drafts(FORM, classes, images)


def _candidates(root: Path) -> list[Path]:
    found = {*root.glob("*.json"), *root.glob("*/*.json")}
    return sorted(path for path in found if not path.name.startswith((*_OTHER_TASKS, ".")))


def _coco(path: Path) -> dict[str, Any] | None:
    """The file's content if it is COCO's; None for any other JSON."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as fault:
        raise DatasetError(f"dataset: {path} is no readable JSON ({fault}): mend or remove it") from fault
    if not isinstance(content, dict) or not content.keys() >= _KEYS:
        return None
    for key in sorted(_KEYS):
        if not isinstance(content[key], list) or not all(isinstance(entry, dict) for entry in content[key]):
            raise DatasetError(f"dataset: {path}: {key!r} must be a list of objects: mend it")
    return content


def _classes(files: list[tuple[Path, dict[str, Any]]]) -> tuple[str, ...]:
    """Names in the order of their ids; the same in every file."""
    found = [_names(path, content) for path, content in files]
    used = {name for (_, content), names in zip(files, found, strict=True) for name in _used(content, names)}
    headings = {str(entry.get("supercategory", "")) for _, content in files for entry in content["categories"]}
    lists = [tuple(name for name in names.values() if name in used or name not in headings) for names in found]
    for (path, _), names in zip(files, lists, strict=True):
        if names != lists[0]:
            raise DatasetError(
                f"dataset: {path} has classes {list(names)}, {files[0][0]} has {list(lists[0])}: align them"
            )
    return lists[0]


def _names(path: Path, content: dict[str, Any]) -> dict[int, str]:
    try:
        names = {_whole(entry["id"]): str(entry["name"]) for entry in content["categories"]}
    except (KeyError, TypeError, ValueError) as fault:
        raise DatasetError(
            f"dataset: {path}: a category lacks its name or a whole number as id ({fault}): mend it"
        ) from fault
    if len(set(names.values())) != len(names):
        raise DatasetError(f"dataset: {path} gives one class name to two ids: {sorted(names.values())}: rename one")
    return dict(sorted(names.items()))


def _whole(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"id {number!r}")
    return number


def _used(content: dict[str, Any], names: dict[int, str]) -> set[str]:
    return {name for entry in content["annotations"] if (name := _named(entry, names)) is not None}


def _named(entry: dict[str, Any], names: dict[int, str]) -> str | None:
    number = entry.get("category_id")
    return names.get(number) if isinstance(number, int) else None


def _images(root: Path, path: Path, content: dict[str, Any], faults: Faults) -> list[Draft]:
    names = _names(path, content)
    boxes: dict[str, list[DraftBox]] = {}
    for entry in content["annotations"]:
        if (box := _box(path, entry, names, faults)) is not None:
            boxes.setdefault(_key(entry.get("image_id")), []).append(box)
    _check_ids(path, content, boxes, faults)
    crowds = {_key(entry.get("image_id")) for entry in content["annotations"] if entry.get("iscrowd")}
    split = split_named([*re.split(r"[_.\-]", path.stem), path.parent.name])
    drafts = (
        _image(root, path, entry, (tuple(boxes.get(key, ())), key in crowds, split), faults)
        for entry in content["images"]
        for key in [_key(entry.get("id"))]
    )
    return [draft for draft in drafts if draft is not None]


def _key(number: object) -> str:
    return repr(number)


def _check_ids(path: Path, content: dict[str, Any], boxes: dict[str, list[DraftBox]], faults: Faults) -> None:
    """Every annotation has one image, and it is told which."""
    known: set[str] = set()
    for entry in content["images"]:
        key = _key(entry.get("id"))
        if key in known:
            faults.add(f"{path}: two images have the id {key} ({entry.get('file_name')!r} is the second): renumber it")
        known.add(key)
    for orphan in sorted(boxes.keys() - known):
        where = boxes[orphan][0].where
        faults.add(f"{where} is for image {orphan}, which the file does not list: mend its image_id")


def _box(path: Path, entry: dict[str, Any], names: dict[int, str], faults: Faults) -> DraftBox | None:
    where = f"{path}: annotation {entry.get('id')!r}"
    if entry.get("iscrowd"):
        return None
    if (label := _named(entry, names)) is None:
        faults.add(f"{where} has category_id {entry.get('category_id')!r}, known are {sorted(names)}: mend it")
        return None
    try:
        left, top, width, height = (float(value) for value in entry["bbox"])
    except (KeyError, TypeError, ValueError):
        faults.add(f"{where}: bbox must be left, top, width, height, got {entry.get('bbox')!r}: mend it")
        return None
    return DraftBox((left, top, left + width, top + height), label, where)


def _image(
    root: Path, path: Path, entry: dict[str, Any], labels: tuple[tuple[DraftBox, ...], bool, str], faults: Faults
) -> Draft | None:
    boxes, crowd, split = labels
    name = str(entry.get("file_name", "")).replace("\\", "/")
    found = _find(root, path, name, split)
    if not name or found is None:
        faults.add(f"{path}: image {name!r} is not below {root}: restore the file or remove its entry")
        return None
    reference = next((str(entry[key]).replace("\\", "/") for key in _REFERENCE_KEYS if entry.get(key)), None)
    golden = None if reference is None else _find(root, path, reference, split)
    if reference is not None and golden is None:
        faults.add(f"{path}: {name}'s reference {reference!r} is not below {root}: restore the file")
    group = next((str(entry[key]) for key in GROUP_COLUMNS if entry.get(key) is not None), "")
    return Draft(found, boxes, bool(boxes) or crowd, golden, group=group, split=split, declared=_declared(entry))


def _declared(entry: dict[str, Any]) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and width and height else None


def _find(root: Path, path: Path, name: str, split: str) -> Path | None:
    folders = [path.parent, root, root / "images", root / split, root / "images" / split]
    folders += [root / path.stem.rpartition("_")[2], root / "images" / path.stem.rpartition("_")[2]]
    return first_file(folder / name for folder in folders)
