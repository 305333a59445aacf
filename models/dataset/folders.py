"""Folders of good and defective images, with or without masks: labels by folder name.

Understood are MVTec's layout (`train/good`, `test/good`, `test/<defect>`, `ground_truth/<defect>/<stem>_mask.png`) and
its short form (`good`, `<defect>`, `masks/<defect>/<stem>.png`). The good ones may be called good, normal, ok or pass.
A mask's separate regions become boxes; regions of fewer than nine pixels, which compression leaves, do not, unless a
mask holds nothing larger. A defective image whose mask is empty stays defective, without a place. Where a defect has
masks each of its images needs one, and each mask its image: a lost mask would teach that the defect is background.
Several such folders (MVTec's products) below one root are read as one.
"""

from pathlib import Path

import cv2
import numpy as np

from models.dataset.drafts import (
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
_MASK_ENDINGS = ("_mask", "")
_MASK_FOLDERS = frozenset(_MASKS)
_SMALL_PX = 9


def read(root: Path) -> Drafts | None:
    """Every image in a folder that names its label, or None if no folder is named as good."""
    found = [(path, path.relative_to(root).parts) for path in images_below(root)]
    masks = {path for path, parts in found if not _MASK_FOLDERS.isdisjoint(parts[:-1])}
    labelled = [(path, label) for path, parts in found if path not in masks and (label := _label(parts))]
    if not any(label in _GOOD for _, label in labelled) and not masks:
        return None
    faults = Faults()
    drafts = tuple(_draft(root, path, label, faults) for path, label in labelled)
    for orphan in sorted(masks - {draft.mask for draft in drafts}):
        if orphan.parent.name.lower() not in _GOOD:
            faults.add(f"{orphan} is a mask without its image: restore the image or remove the mask")
    faults.raise_if_any()
    return Drafts(FORM, tuple(sorted({label for _, label in labelled} - _GOOD)), drafts)


def _label(parts: tuple[str, ...]) -> str:
    """The folder that names the label: the image's own, unless that is a split."""
    folder = parts[-2] if len(parts) > 1 else ""
    label = "" if folder.lower() in SPLITS else folder
    return label.lower() if label.lower() in _GOOD else label


def _draft(root: Path, path: Path, label: str, faults: Faults) -> Draft:
    split = split_named(path.relative_to(root).parts[:-1])
    if label in _GOOD:
        return Draft(path, (), defective=False, split=split)
    mask = _mask(root, path, label, faults)
    boxes = () if mask is None else _boxes(mask, label, faults)
    return Draft(path, boxes, defective=True, mask=mask, label=label, split=split)


def _mask(root: Path, path: Path, label: str, faults: Faults) -> Path | None:
    """The image's mask, from the nearest folder of masks for its label."""
    above = [folder for folder in path.parents if folder.is_relative_to(root)]
    folders = [folder for base in above for name in _MASKS if (folder := base / name / label).is_dir()]
    names = [f"{path.stem}{ending}{suffix}" for ending in _MASK_ENDINGS for suffix in IMAGE_SUFFIXES]
    found = first_file(folder / name for folder in folders for name in names)
    if folders and found is None:
        faults.add(f"{path} has no mask {names[0]} in {folders[0]}: add it (all black if it marks no place)")
    return found


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
