"""A folder of labelled images, in whatever common form, as a `Dataset`: every image opened, every label checked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.dataset import coco, folders, voc, yolo
from models.dataset.drafts import Draft, DraftBox, Drafts, Faults
from models.dataset.errors import DatasetError
from models.dataset.groups import read_groups
from models.dataset.image_files import Size, size_of
from models.dataset.records import Dataset, LabelledImage, Truth

_TOLERANCE_PX = 1.0
_READERS = 4
_FORMS = (coco, yolo, voc, folders)


def read_dataset(root: Path, advance: Callable[[int, int], None] | None = None) -> Dataset:
    """The dataset in this folder, its form found out from the folder itself.

    Args:
        root: holds COCO, YOLO, Pascal VOC or folders by label.
        advance: told how many images are checked, of how many.

    Raises:
        DatasetError: no such form, an image that cannot be read, a box outside its image, an unknown class, a label
            without its image; names the file.
    """
    if not root.is_dir():
        raise DatasetError(f"dataset: {root} is no folder: give the folder that holds images and labels")
    drafts = next((found for form in _FORMS if (found := form.read(root)) is not None), None)
    if drafts is None or not drafts.images:
        raise DatasetError(
            f"dataset: {root} holds no labels in a known form: looked for COCO (*.json, annotations/*.json), YOLO "
            "(data.yaml or classes.txt, and labels/), Pascal VOC (Annotations/*.xml) and folders by label (good/, ...)"
        )
    return _finish(root, _grouped(root, drafts), advance)


def _grouped(root: Path, drafts: Drafts) -> Drafts:
    """The same with the groups of the dataset's index, where the form itself says none."""
    groups = read_groups(root, [_name(root, draft.path) for draft in drafts.images])
    images = (replace(draft, group=draft.group or groups.get(_name(root, draft.path), "")) for draft in drafts.images)
    return replace(drafts, images=tuple(images))


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _finish(root: Path, drafts: Drafts, advance: Callable[[int, int], None] | None) -> Dataset:
    """Open every image and turn its labels into truth."""
    faults, images = Faults(), []
    ids = {name: index for index, name in enumerate(drafts.classes)}
    with ThreadPoolExecutor(_READERS) as pool:
        for done, (draft, sizes) in enumerate(zip(drafts.images, pool.map(_sizes, drafts.images), strict=True), 1):
            if _images_fit(draft, sizes, faults) and _as_declared(draft, sizes[0], faults):
                images.append(_labelled(root, draft, sizes[0], ids, faults))
            if advance:
                advance(done, len(drafts.images))
    faults.raise_if_any()
    known = [image for image in images if image is not None]
    return Dataset(root, drafts.form, drafts.classes, tuple(sorted(known, key=lambda image: image.name)))


def _sizes(draft: Draft) -> list[Size | None]:
    """(width, height) of the image, its reference and its mask, None for what cannot be read."""
    return [size_of(path) for path in (draft.path, draft.reference, draft.mask) if path is not None]


def _images_fit(draft: Draft, sizes: list[Size | None], faults: Faults) -> bool:
    paths = [path for path in (draft.path, draft.reference, draft.mask) if path is not None]
    for path, size in zip(paths, sizes, strict=True):
        if size is None:
            faults.add(f"{path} is no readable image (broken, truncated or empty): restore or remove it")
        elif sizes[0] is not None and size != sizes[0]:
            own = f"{sizes[0][0]}x{sizes[0][1]}"
            faults.add(f"{path} is {size[0]}x{size[1]}, its image {draft.path} is {own}: make them agree")
    return all(size == sizes[0] and size is not None for size in sizes)


def _as_declared(draft: Draft, size: Size | None, faults: Faults) -> bool:
    """Boxes drawn on a picture of another size lie in the wrong place; one that was turned since is none of these."""
    if draft.declared is None or size is None or size in {draft.declared, draft.declared[::-1]}:
        return True
    declared = f"{draft.declared[0]}x{draft.declared[1]}"
    faults.add(f"{draft.path} is {size[0]}x{size[1]}, its labels were drawn for {declared}: restore or relabel it")
    return False


def _labelled(root: Path, draft: Draft, size: Size | None, ids: dict[str, int], faults: Faults) -> LabelledImage | None:
    if size is None:
        return None
    corners = [(_corners(box, size, faults), ids[box.label]) for box in draft.boxes]
    kept = [(values, class_id) for values, class_id in corners if values is not None]
    boxes = np.array([values for values, _ in kept], np.float32).reshape(-1, 4)
    truth = Truth(boxes, np.array([class_id for _, class_id in kept], np.int32))
    return LabelledImage(
        _name(root, draft.path),
        draft.path,
        *size,
        truth,
        draft.defective,
        draft.reference,
        draft.mask,
        draft.group,
        draft.split,
        draft.label,
    )


def _corners(box: DraftBox, size: Size, faults: Faults) -> tuple[float, ...] | None:
    """Corners in pixels, clipped where they stand out by no more than a pixel."""
    limits = (*size, *size)
    values = [value * limit if box.relative else value for value, limit in zip(box.corners, limits, strict=True)]
    outside = any(
        not -_TOLERANCE_PX <= value <= limit + _TOLERANCE_PX for value, limit in zip(values, limits, strict=True)
    )
    if outside:
        shown = [round(value, 1) for value in values]
        faults.add(f"{box.where}: box {shown} lies outside its image of {size[0]}x{size[1]}: mend the label")
        return None
    left, top, right, bottom = (min(max(value, 0.0), limit) for value, limit in zip(values, limits, strict=True))
    if right <= left or bottom <= top:
        faults.add(f"{box.where}: box {[round(value, 1) for value in values]} has no area: mend or remove it")
        return None
    return left, top, right, bottom
