"""YOLO: a text file per image, `class cx cy width height` in shares of it, and names in data.yaml or classes.txt.

Images lie in trees called `images`, labels in the tree called `labels` beside them, or both in one folder. Polygons
become the box around them. An image with an empty or no label file is a good one.
"""

from pathlib import Path
from typing import Any

import yaml

from models.dataset.drafts import Draft, DraftBox, Drafts, Faults, images_below, split_named
from models.dataset.errors import DatasetError

FORM = "yolo"
_BOX_FIELDS = 5
_POLYGON_FIELDS = 7


def read(root: Path) -> Drafts | None:
    """Every image with its label file, or None if this is no YOLO folder."""
    classes, labels = _classes(root), [path for path in root.rglob("labels") if path.is_dir()]
    if classes is None or not (labels or any(path.with_suffix(".txt").is_file() for path in images_below(root))):
        return None
    faults = Faults()
    images = [path for path in images_below(root) if "labels" not in path.relative_to(root).parts]
    drafts = tuple(_draft(root, path, classes, faults) for path in images)
    faults.raise_if_any()
    return Drafts(FORM, classes, drafts)


def _classes(root: Path) -> tuple[str, ...] | None:
    for path in (*sorted(root.glob("*.yaml")), *sorted(root.glob("*.yml"))):
        if (names := _yaml_names(path)) is not None:
            return names
    for path in (root / "classes.txt", root / "labels" / "classes.txt", root / "obj.names"):
        if path.is_file():
            return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return None


def _yaml_names(path: Path) -> tuple[str, ...] | None:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise DatasetError(f"dataset: {path} is no readable YAML ({fault}): mend it") from fault
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DatasetError(f"dataset: {path}: names must be numbered from 0 without gaps, got {sorted(names)}")
        return tuple(str(names[index]) for index in range(len(names)))
    return tuple(str(name) for name in names) if isinstance(names, list) else None


def _draft(root: Path, path: Path, classes: tuple[str, ...], faults: Faults) -> Draft:
    label = _label_file(root, path)
    lines = label.read_text(encoding="utf-8").splitlines() if label.is_file() else []
    found = [
        _box(f"{label}: line {number}", line, classes, faults) for number, line in enumerate(lines, 1) if line.strip()
    ]
    boxes = tuple(box for box in found if box is not None)
    return Draft(path, boxes, bool(boxes), split=split_named(path.relative_to(root).parts[:-1]))


def _label_file(root: Path, path: Path) -> Path:
    parts = list(path.relative_to(root).with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts)


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
    if number != int(number) or not 0 <= number < len(classes):
        faults.add(f"{where}: class {number:g} is unknown, there are 0 to {len(classes) - 1}: mend it or the names")
        return None
    return DraftBox(_corners(values), classes[int(number)], where, relative=True)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) == _BOX_FIELDS - 1:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    columns, rows = values[::2], values[1::2]
    return min(columns), min(rows), max(columns), max(rows)
