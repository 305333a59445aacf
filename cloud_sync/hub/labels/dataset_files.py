"""The folder of a data set: images by split, labels in the form that its reader knows, and the manifest, last.

Labels of whole images are folders: `train/good/`, `test/scratch/`. Boxes are COCO: `annotations/instances_train.json`.
"""

import csv
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_sync.hub.labels.gathering import LabelledImage
from cloud_sync.hub.labels.made import MANIFEST, SCHEMA, DatasetMade
from cloud_sync.hub.labels.truths import GOOD
from models.durable import replace_file, sync_directory

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """An image in its split, with the smallest sample of those that it belongs with."""

    image: LabelledImage
    split: str
    group: str


def write_files(made: DatasetMade, chosen: Sequence[Chosen], product: str, kind: str) -> DatasetMade:
    """Move the images out of the pool and write the rest; the folder is there whole or not at all. Raises OSError."""
    beside = made.folder.with_name(f".{made.folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    names = {item.image.sample: _name(item, kind) for item in chosen}
    for item in chosen:
        target = beside / names[item.image.sample]
        target.parent.mkdir(parents=True, exist_ok=True)
        item.image.file.rename(target)
    if kind == "detector":
        _write_coco(beside, chosen, names)
    else:
        _write_groups(beside, chosen, names)
    listed = [_listed(item, names) for item in sorted(chosen, key=lambda item: item.image.sample)]
    digest = hashlib.sha256(json.dumps([product, kind, listed], sort_keys=True).encode()).hexdigest()
    audit = tuple(sorted(names[sample] for sample in made.holdout.audit))
    said = dataclasses.replace(made, digest=digest, holdout=dataclasses.replace(made.holdout, audit=audit))
    about = {name: value for name, value in said.as_json().items() if name != "folder"}
    manifest = {"schema": SCHEMA, "product": product, "kind": kind, "made": about, "files": listed}
    replace_file(beside / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
    beside.rename(made.folder)
    sync_directory(made.folder.absolute().parent)
    return said


def _name(item: Chosen, kind: str) -> str:
    """Below the folder."""
    file = item.image.file.name
    if kind == "detector":
        return f"images/{item.split}/{file}"
    return f"{item.split}/{item.image.names[0] if item.image.names else GOOD}/{file}"


def _listed(item: Chosen, names: Mapping[str, str]) -> dict[str, Any]:
    image = item.image
    return {
        "file": names[image.sample],
        "sample": image.sample,
        "sha256": image.sha256,
        "split": item.split,
        "label": image.truth.columns(),
        "source": image.source,
        "reasons": list(image.reasons),
        "group": item.group,
    }


def _write_groups(folder: Path, chosen: Sequence[Chosen], names: Mapping[str, str]) -> None:
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "group"))
        rows.writerows(sorted((names[item.image.sample], item.group) for item in chosen))


def _write_coco(folder: Path, chosen: Sequence[Chosen], names: Mapping[str, str]) -> None:
    classes = sorted({name for item in chosen for name in item.image.names})
    ids = {name: number for number, name in enumerate(classes, 1)}
    (folder / "annotations").mkdir(parents=True)
    for split in SPLITS:
        own = sorted((item for item in chosen if item.split == split), key=lambda item: item.image.sample)
        images = [_coco_image(number, item, names) for number, item in enumerate(own, 1)]
        boxes = [(number, box) for number, item in enumerate(own, 1) for box in item.image.truth.boxes]
        annotations = [
            _coco_box(own_id, number, ids[box.name], box.corners_px) for own_id, (number, box) in enumerate(boxes, 1)
        ]
        categories = [{"id": number, "name": name} for name, number in ids.items()]
        content = {"images": images, "annotations": annotations, "categories": categories}
        replace_file(folder / "annotations" / f"instances_{split}.json", json.dumps(content, ensure_ascii=False))


def _coco_image(number: int, item: Chosen, names: Mapping[str, str]) -> dict[str, object]:
    width, height = item.image.size_px
    name = names[item.image.sample].removeprefix("images/")
    return {"id": number, "file_name": name, "width": width, "height": height, "group": item.group}


def _coco_box(own_id: int, image: int, category: int, corners_px: Sequence[float]) -> dict[str, object]:
    left, top, right, bottom = corners_px
    bbox = [left, top, right - left, bottom - top]
    return {
        "id": own_id,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "area": bbox[2] * bbox[3],
        "iscrowd": 0,
    }
