"""YOLO: a text file per image, `class cx cy width height` in shares of it, and names in data.yaml or classes.txt.

Images lie in trees called `images`, labels in the tree called `labels` beside them, or both in one folder. Polygons
become the box around them. An image with an empty or no label file is a good one; a label file without its image is an
error. Splits are what `train`, `val` and `test` of the YAML name (folders, or text files that list images), else what
folders are called; of a split that names the same images as `train`, `train` keeps them.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from models.dataset.drafts import (
    IMAGE_SUFFIXES,
    SPLITS,
    Draft,
    DraftBox,
    Drafts,
    Faults,
    check_names,
    images_below,
    read_text,
    split_named,
)
from models.dataset.errors import DatasetError

FORM = "yolo"
_BOX_FIELDS = 5
_POLYGON_FIELDS = 7
_NAME_FILES = ("classes.txt", "labels/classes.txt", "obj.names")
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt")


def read(root: Path) -> Drafts | None:
    """Every image with its label file, or None if this is no YOLO folder."""
    classes, described = _described(root)
    images = _images(root)
    if classes is None or not images:
        return None
    faults = Faults()
    labels = {path: _label_file(root, path) for path in images}
    for orphan in _orphans(root, labels):
        faults.add(f"{orphan}: there is no image of that name: restore it or remove the label file")
    declared = _declared(root, described, faults)
    drafts = []
    for path in images:
        boxes = _boxes(labels[path], classes, faults)
        split = declared.get(path) or split_named(path.relative_to(root).parts[:-1])
        drafts.append(Draft(path, boxes, bool(boxes), split=split))
    faults.raise_if_any()
    return Drafts(FORM, classes, tuple(drafts))


def _described(root: Path) -> tuple[tuple[str, ...] | None, dict[str, Any]]:
    """Class names, and what the YAML that gives them says beside."""
    for path in (*sorted(root.glob("*.yaml")), *sorted(root.glob("*.yml"))):
        content = _yaml(path)
        if (names := _yaml_names(path, content.get("names"))) is not None:
            return names, content
    for path in (root / name for name in _NAME_FILES):
        if path.is_file():
            return check_names(path, read_text(path).rstrip().splitlines()), {}
    return None, {}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content: Any = yaml.safe_load(read_text(path))
    except yaml.YAMLError as fault:
        raise DatasetError(f"dataset: {path} is no readable YAML ({fault}): mend it") from fault
    return content if isinstance(content, dict) else {}


def _yaml_names(path: Path, names: object) -> tuple[str, ...] | None:
    if isinstance(names, dict):
        if {str(key) for key in names} != {str(index) for index in range(len(names))}:
            raise DatasetError(f"dataset: {path}: names must be numbered from 0 without gaps, got {list(names)}")
        names = [name for _, name in sorted(names.items(), key=lambda item: int(item[0]))]
    return check_names(path, [str(name) for name in names]) if isinstance(names, list) else None


def _images(root: Path) -> list[Path]:
    """Images in trees called `images`, else those in folders with label files; figures at the root are neither."""
    found = [path for path in images_below(root) if "labels" not in path.relative_to(root).parts]
    in_trees = [path for path in found if "images" in path.relative_to(root).parts]
    if in_trees and any(path.is_dir() for path in root.rglob("labels")):
        return in_trees
    beside = {path.parent for path in found if path.with_suffix(".txt").is_file()}
    return [path for path in found if beside and (path.parent in beside or path.parent != root)]


def _label_file(root: Path, path: Path) -> Path:
    """In the tree called `labels`, or beside the image where that is where it lies."""
    parts = list(path.relative_to(root).with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    mirrored, beside = root.joinpath(*parts), path.with_suffix(".txt")
    return beside if beside.is_file() and not mirrored.is_file() else mirrored


def _orphans(root: Path, labels: dict[Path, Path]) -> list[Path]:
    """Label files in trees called `labels` that no image takes."""
    taken = set(labels.values())
    found = (path for folder in root.rglob("labels") for path in folder.rglob("*.txt"))
    return sorted(path for path in found if path not in taken and path.name not in _NO_LABELS)


def _declared(root: Path, described: dict[str, Any], faults: Faults) -> dict[Path, str]:
    """Split by image, as the YAML names it; an entry that leads to no image is a fault.

    What was to be held out would else be learned from.
    """
    found: dict[Path, str] = {}
    for key in (key for key in SPLITS if described.get(key)):
        value = described[key]
        for entry in value if isinstance(value, list) else [value]:
            named = _named_by(root, str(entry))
            if not named:
                faults.add(f"{root}: the YAML's {key}: {entry!r} leads to no image: mend the entry or remove it")
            for path in named:
                found.setdefault(path, SPLITS[key])
    return found


def _named_by(root: Path, entry: str) -> list[Path]:
    """The images that an entry of the YAML stands for."""
    path = _below(root, entry)
    if path is None:
        return []
    if path.is_dir():
        return images_below(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return [path]
    return [image for line in read_text(path).splitlines() if (image := _below(root, line.strip())) is not None]


def _below(root: Path, entry: str) -> Path | None:
    """What an entry means here: exporters write their own machine's paths, so the longest ending that exists counts."""
    parts = [part for part in PurePosixPath(entry.replace("\\", "/")).parts if part not in {"..", ".", "/"}]
    endings = (root.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((path for path in endings if path.exists()), None)


def _boxes(label: Path, classes: tuple[str, ...], faults: Faults) -> tuple[DraftBox, ...]:
    lines = read_text(label).splitlines() if label.is_file() else []
    found = (
        _box(f"{label}: line {number}", line, classes, faults) for number, line in enumerate(lines, 1) if line.strip()
    )
    return tuple(box for box in found if box is not None)


def _box(where: str, line: str, classes: tuple[str, ...], faults: Faults) -> DraftBox | None:
    try:
        number, *values = (float(part) for part in line.split())
    except ValueError:
        faults.add(f"{where}: expected numbers, got {line!r}: mend it")
        return None
    fields = len(values) + 1
    if fields != _BOX_FIELDS and (fields < _POLYGON_FIELDS or fields % 2 == 0):
        faults.add(f"{where}: expected a class and 4 numbers, or a polygon, got {fields} numbers: mend it")
        return None
    if not number.is_integer() or not 0 <= number < len(classes):
        faults.add(f"{where}: class {number:g} is unknown, there are 0 to {len(classes) - 1}: mend it or the names")
        return None
    return DraftBox(_corners(values), classes[int(number)], where, relative=True)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) == _BOX_FIELDS - 1:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    columns, rows = values[::2], values[1::2]
    return min(columns), min(rows), max(columns), max(rows)
