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
from models.decoding import read_picture

FORM = "folders"
_GOOD = frozenset({"good", "normal", "ok", "pass", "no_defect"})
_CONTAINERS = frozenset({"image", "images", "img", "imgs"})
_MASK_ENDINGS = ("_mask", "")
_MASK_FOLDERS = frozenset({"ground_truth", "masks", "mask"})
_SMALL_PX = 9


def read(root: Path) -> Drafts | None:
    """Every image in a folder that names its label, or None if no folder is named as good."""
    found = [(path, path.relative_to(root).parts) for path in images_below(root)]
    masks = {path for path, parts in found if any(part.lower() in _MASK_FOLDERS for part in parts[:-1])}
    homes = [path for path in root.rglob("*") if path.name.lower() in _MASK_FOLDERS and path.is_dir()]
    labelled = [(path, label) for path, parts in found if path not in masks and (label := _label(parts))]
    if not any(label in _GOOD for _, label in labelled) and not masks:
        return None
    faults = Faults()
    drafts = tuple(_draft(root, path, (label, homes), faults) for path, label in labelled)
    defects = {label for _, label in labelled} - _GOOD
    for path, label in labelled:
        if label in _GOOD and path.parent.name in defects:
            faults.add(f"{path} lies below {label!r} and in {path.parent.name!r}, a defect elsewhere: say which it is")
    for orphan in sorted(masks - {draft.mask for draft in drafts}):
        if orphan.parent.name.lower() not in _GOOD:
            faults.add(f"{orphan} is a mask without its image: restore the image or remove the mask")
    faults.raise_if_any()
    return Drafts(FORM, tuple(sorted(defects)), drafts)


def _label(parts: tuple[str, ...]) -> str:
    """The folder that names the label: one called good, the first below a split, or the image's own."""
    folders = [folder for folder in parts[:-1] if folder.lower() not in _CONTAINERS]
    if good := next((folder.lower() for folder in folders if folder.lower() in _GOOD), ""):
        return good
    splits = [index for index, folder in enumerate(folders) if folder.lower() in SPLITS]
    below = folders[splits[-1] + 1 :] if splits else folders[-1:]
    return below[0] if below else ""


def _draft(root: Path, path: Path, kind: tuple[str, list[Path]], faults: Faults) -> Draft:
    """An image; `kind` is its label and all folders of masks."""
    label, homes = kind
    split = split_named(path.relative_to(root).parts[:-1])
    if label in _GOOD:
        return Draft(path, (), defective=False, split=split)
    mask = _mask(path, label, homes, faults)
    boxes = () if mask is None else _boxes(mask, label, faults)
    return Draft(path, boxes, defective=True, mask=mask, label=label, split=split)


def _mask(path: Path, label: str, homes: list[Path], faults: Faults) -> Path | None:
    """The image's mask, from the nearest folder of masks for its label."""
    near = [home for above in path.parents for home in homes if home.parent == above]
    folders = [folder for home in near if (folder := home / label).is_dir()]
    names = [f"{path.stem}{ending}{suffix}" for ending in _MASK_ENDINGS for suffix in IMAGE_SUFFIXES]
    found = first_file(folder / name for folder in folders for name in names)
    if folders and found is None:
        faults.add(f"{path} has no mask {names[0]} in {folders[0]}: add it (all black if it marks no place)")
    return found


def _boxes(mask: Path, label: str, faults: Faults) -> tuple[DraftBox, ...]:
    """A box around each region of the mask."""
    pixels = read_picture(mask, cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        faults.add(f"{mask} is no readable image: restore or replace it")
        return ()
    _, _, stats, _ = cv2.connectedComponentsWithStats((pixels > 0).astype(np.uint8), connectivity=8)
    regions = [tuple(int(value) for value in row) for row in stats[1:]]
    large = [region for region in regions if region[4] >= _SMALL_PX] or regions
    return tuple(
        DraftBox((left, top, left + width, top + height), label, str(mask)) for left, top, width, height, _ in large
    )
