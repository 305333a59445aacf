"""Folders of good and defective images, with or without masks: labels by folder name.

Understood are MVTec's layout (`train/good`, `test/good`, `test/<defect>`, `ground_truth/<defect>/<stem>_mask.png`) and
its short form (`good`, `<defect>`, `masks/<defect>/<stem>.png`). The good ones may be called good, normal, ok or pass.
A mask's separate regions become boxes; regions of fewer than nine pixels, which compression leaves, do not, unless a
mask holds nothing larger. A defective image whose mask is empty stays defective, without a place. An `index.csv` with a
column `file` and one of `group`, `part`, `part_id`, `tile_group`, `board`, `board_group` says what belongs together.
"""

import csv
from pathlib import Path

import cv2
import numpy as np

from models.dataset.drafts import (
    GROUP_COLUMNS,
    IMAGE_SUFFIXES,
    SPLITS,
    Draft,
    DraftBox,
    Drafts,
    Faults,
    first_file,
    images_below,
    split_named,
)

FORM = "folders"
_GOOD = frozenset({"good", "normal", "ok", "pass", "no_defect"})
_MASKS = ("ground_truth", "masks", "mask")
_SMALL_PX = 9


def read(root: Path) -> Drafts | None:
    """Every image in a folder that names its label, or None if no folder is named as good."""
    found = [(path, parts) for path in images_below(root) if (parts := path.relative_to(root).parts)[0] not in _MASKS]
    labelled = [(path, parts, _label(parts)) for path, parts in found if _label(parts)]
    if not any(label in _GOOD for _, _, label in labelled) and not any((root / name).is_dir() for name in _MASKS):
        return None
    faults, groups = Faults(), _groups(root)
    drafts = tuple(
        _draft(root, path, label, groups.get("/".join(parts), ""), faults) for path, parts, label in labelled
    )
    faults.raise_if_any()
    return Drafts(FORM, tuple(sorted({label for _, _, label in labelled} - _GOOD)), drafts)


def _label(parts: tuple[str, ...]) -> str:
    """The folder that names the label: the image's own, unless that is a split."""
    folder = parts[-2] if len(parts) > 1 else ""
    label = "" if folder.lower() in SPLITS else folder
    return label.lower() if label.lower() in _GOOD else label


def _groups(root: Path) -> dict[str, str]:
    """Group by image name, from `index.csv`."""
    path = root / "index.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    column = next((name for name in GROUP_COLUMNS if rows and name in rows[0]), None)
    return {row["file"]: row[column] for row in rows if row.get("file")} if column else {}


def _draft(root: Path, path: Path, label: str, group: str, faults: Faults) -> Draft:
    split = split_named(path.relative_to(root).parts[:-1])
    if label in _GOOD:
        return Draft(path, (), defective=False, group=group, split=split)
    mask = _mask(root, path, label)
    boxes = () if mask is None else _boxes(mask, label, faults)
    return Draft(path, boxes, defective=True, mask=mask, label=label, group=group, split=split)


def _mask(root: Path, path: Path, label: str) -> Path | None:
    names = [f"{path.stem}{ending}{suffix}" for ending in ("_mask", "") for suffix in IMAGE_SUFFIXES]
    return first_file(root / folder / label / name for folder in _MASKS for name in names)


def _boxes(mask: Path, label: str, faults: Faults) -> tuple[DraftBox, ...]:
    """A box around each region of the mask."""
    pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        faults.add(f"{mask} is no readable image: restore or replace it")
        return ()
    _, _, stats, _ = cv2.connectedComponentsWithStats((pixels > 0).astype(np.uint8), connectivity=8)
    regions = [tuple(int(value) for value in row) for row in stats[1:]]
    large = [region for region in regions if region[4] >= _SMALL_PX] or regions
    return tuple(
        DraftBox((left, top, left + width, top + height), label, str(mask)) for left, top, width, height, _ in large
    )
