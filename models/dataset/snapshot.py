"""A frozen dataset: every file's hash, every box and every split, in one file whose digest names it for ever.

The digest covers names, contents, labels and splits, not where the folder lies. Opening a snapshot verifies every file.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.dataset.errors import DatasetError
from models.dataset.records import Dataset, LabelledImage, Truth
from models.durable import sync_directory

SCHEMA = "inspectd/snapshot/1"


def freeze(splits: Iterable[tuple[str, Dataset]], path: Path) -> str:
    """Write the snapshot to `path`, whole or not at all; its digest, sha256 in hex.

    Raises:
        DatasetError: nothing to freeze, or a file outside the dataset's root.
    """
    content = _content(splits)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump({**content, "digest": _digest(content)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)
    return _digest(content)


def digest(splits: Iterable[tuple[str, Dataset]]) -> str:
    """What `freeze` would name these splits."""
    return _digest(_content(splits))


def open_snapshot(path: Path, root: Path) -> dict[str, Dataset]:
    """The frozen splits, every file of them verified.

    Args:
        path: the snapshot.
        root: the folder that its names are relative to.

    Raises:
        DatasetError: the snapshot or a file is missing or not what it was.
    """
    content = _read(path)
    splits: dict[str, list[LabelledImage]] = {}
    for entry in content["images"]:
        splits.setdefault(entry["split"], []).append(_image(entry, root))
    classes = tuple(content["classes"])
    return {name: Dataset(root, content["form"], classes, tuple(images)) for name, images in splits.items()}


def _content(splits: Iterable[tuple[str, Dataset]]) -> dict[str, Any]:
    parts = list(splits)
    if not parts:
        raise DatasetError("snapshot: there is nothing to freeze: give at least one split")
    images = [_entry(name, dataset, image) for name, dataset in parts for image in dataset.images]
    first = parts[0][1]
    ordered = sorted(images, key=lambda entry: entry["name"])
    return {"schema": SCHEMA, "form": first.form, "classes": list(first.classes), "images": ordered}


def _entry(split: str, dataset: Dataset, image: LabelledImage) -> dict[str, Any]:
    files = {"image": image.path, "reference": image.reference, "mask": image.mask}
    return {
        "name": image.name,
        "split": split,
        "files": {use: _file(path, dataset.root) for use, path in files.items() if path is not None},
        "size": [image.width, image.height],
        "boxes": image.truth.boxes_xyxy.tolist(),
        "class_ids": image.truth.class_ids.tolist(),
        "defective": image.defective,
        "group": image.group,
    }


def _file(path: Path, root: Path) -> dict[str, str]:
    if not path.is_relative_to(root):
        raise DatasetError(
            f"snapshot: {path} lies outside {root}, so the snapshot could not travel: move it below that folder"
        )
    return {"name": path.relative_to(root).as_posix(), "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        named = content.pop("digest")
    except (OSError, ValueError, KeyError, AttributeError) as fault:
        raise DatasetError(f"snapshot: {path} cannot be read ({fault}): freeze the dataset again") from fault
    if content.get("schema") != SCHEMA or _digest(content) != named:
        raise DatasetError(f"snapshot: {path} is not what was frozen (its digest differs): freeze the dataset again")
    return content


def _image(entry: dict[str, Any], root: Path) -> LabelledImage:
    files = {use: _verified(root / held["name"], held["sha256"]) for use, held in entry["files"].items()}
    truth = Truth(np.array(entry["boxes"], np.float32).reshape(-1, 4), np.array(entry["class_ids"], np.int32))
    return LabelledImage(
        entry["name"],
        files["image"],
        entry["size"][0],
        entry["size"][1],
        truth,
        entry["defective"],
        files.get("reference"),
        files.get("mask"),
        entry["group"],
        entry["split"],
    )


def _verified(path: Path, expected: str) -> Path:
    if not path.is_file():
        raise DatasetError(f"snapshot: {path} is missing: restore it or freeze the dataset again")
    if _sha256(path) != expected:
        raise DatasetError(f"snapshot: {path} has changed since it was frozen: restore it or freeze the dataset again")
    return path
