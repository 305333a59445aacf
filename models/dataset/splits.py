"""Splits that do not leak: what belongs together, or is the same picture twice, never lies on both sides.

What belongs together is said by the dataset's own splits, by its group column, by the first characters of file names,
or found as near-twins. Whatever says it, images of one group and equal pictures are joined on top. Groups are dealt out
so that each split gets its share of every class (`dealing`). A split that the dataset declares stays as it is declared;
what belongs with one of its images and is declared elsewhere is left out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from models.dataset.dealing import IMAGES, deal
from models.dataset.errors import DatasetError
from models.dataset.image_files import decode, picture_sha256
from models.dataset.records import Dataset, LabelledImage
from models.detections import FloatArray
from models.near_twins import thumbnail, thumbnail_groups

SHARES = {"train": 0.75, "val": 0.08, "test": 0.17}
BY = ("auto", "declared", "group", "twins", "prefix:N")
_PREFIX = "prefix:"
_READERS = 4
_GOOD_IMAGES = "good images"  # dealt out like a class


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Three sets without a common group.

    Args:
        train: to learn from and to take quantization frames from.
        val: to choose thresholds and operations by.
        test: held out; the gate and the report judge by it.
        by: what said what belongs together.
        groups: how many groups there are.
        left_out: names of images declared for one split that belong with one of another's.
    """

    train: Dataset
    val: Dataset
    test: Dataset
    by: str
    groups: int
    left_out: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[tuple[str, Dataset]]:
        yield from (("train", self.train), ("val", self.val), ("test", self.test))

    @property
    def gaps(self) -> tuple[tuple[str, str], ...]:
        """Split and class that it has no example of; nothing is proven of that class there."""
        return tuple(
            (name, part.classes[class_id])
            for name, part in self
            for class_id in sorted(_class_ids(self.train) - _class_ids(part))
        )


def split_dataset(
    dataset: Dataset, by: str = "auto", seed: int = 0, shares: Mapping[str, float] | None = None
) -> Splits:
    """Divide.

    Args:
        dataset: what to divide.
        by: `declared` (the dataset's own splits), `group`, `twins`, `prefix:N` (the first N characters of file names),
            or `auto`: declared splits that can be trained on, else groups where every image has one, else near-twins.
        seed: of the order in which groups are dealt.
        shares: of images, by split; for `declared`, of what the dataset leaves open.

    Raises:
        DatasetError: the dataset lacks what `by` asks for, a split stays empty, or a class is not in the train split.
    """
    chosen, wanted = _resolve(dataset, by), _checked_shares(shares or SHARES)
    keys = _joined(dataset, chosen)
    fixed = [image.split for image in dataset.images] if chosen == "declared" else [""] * len(dataset)
    names = _deal(dataset, keys, fixed, seed, wanted)
    parts = {name: [index for index, own in enumerate(names) if own == name] for name in SHARES}
    for name, indices in parts.items():
        if not indices:
            raise DatasetError(
                f"split: {name} stays empty: {len(set(keys))} groups by {chosen!r} cannot make three splits; give more "
                "images or divide otherwise (--split-by)"
            )
    left_out = tuple(image.name for image, name in zip(dataset.images, names, strict=True) if not name)
    train, val, test = (dataset.take(parts[name]) for name in SHARES)
    splits = Splits(train, val, test, chosen, len(set(keys)), left_out)
    _check_classes(splits)
    return splits


def groups_of(dataset: Dataset, by: str) -> list[str]:
    """What each image belongs to, as `split_dataset` joins them; for a division by declared splits, near-twins.

    Args:
        dataset: N images.
        by: as `Splits.by` gives.
    """
    return _joined(dataset, "twins" if by == "declared" else by)


def leaks(first: Dataset, second: Dataset) -> list[tuple[str, str]]:
    """Pairs of images, one of each, that share a group or show the same picture, pixel for pixel."""
    seen: dict[str, str] = {}
    for image, marks in zip(first.images, _marks(first), strict=True):
        seen.update(dict.fromkeys(marks, image.name))
    pairs = zip(second.images, _marks(second), strict=True)
    return sorted({(seen[mark], image.name) for image, marks in pairs for mark in marks if mark in seen})


def _marks(dataset: Dataset) -> list[list[str]]:
    """What joins an image with others, whatever else says so: its picture and its group."""
    with ThreadPoolExecutor(_READERS) as pool:
        pictures = list(pool.map(picture_sha256, [image.path for image in dataset.images]))
    return [
        [f"picture {picture}", *([f"group {image.group}"] if image.group else [])]
        for image, picture in zip(dataset.images, pictures, strict=True)
    ]


def _checked_shares(shares: Mapping[str, float]) -> dict[str, float]:
    if shares.keys() != SHARES.keys() or not all(0 < share < 1 for share in shares.values()):
        raise DatasetError(f"split: shares must be above 0 for {', '.join(SHARES)}, got {dict(shares)}: give all three")
    return dict(shares)


def _resolve(dataset: Dataset, by: str) -> str:
    declared = {image.split for image in dataset.images}
    trainable = any(len(image.truth) for image in dataset.images if image.split == "train")
    if by == "auto":
        if "train" in declared and len(declared - {""}) > 1 and trainable:
            return "declared"
        return "group" if all(image.group for image in dataset.images) else "twins"
    if by == "declared" and not ("train" in declared and len(declared - {""}) > 1):
        raise DatasetError(f"split: {dataset.root} declares no train split beside another: choose another --split-by")
    if by == "group" and not all(image.group for image in dataset.images):
        lacking = next(image.name for image in dataset.images if not image.group)
        raise DatasetError(f"split: {lacking} has no group: complete the group column or choose another --split-by")
    characters = by.removeprefix(_PREFIX)
    if by not in {"declared", "group", "twins"} and (
        characters == by or not characters.isdecimal() or not int(characters)
    ):
        raise DatasetError(f"split: cannot divide by {by!r}: choose one of {', '.join(BY)}")
    return by


def _joined(dataset: Dataset, by: str) -> list[str]:
    """A group per image, with what shares a mark in one."""
    keys = _keys(dataset, by)
    first: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for key, marks in zip(keys, _marks(dataset), strict=True):
        for mark in marks:
            own, other = _root(renamed, key), _root(renamed, first.setdefault(mark, key))
            if other != own:
                renamed[own] = other
    return [_root(renamed, key) for key in keys]


def _root(renamed: dict[str, str], key: str) -> str:
    while key in renamed:
        key = renamed[key]
    return key


def _keys(dataset: Dataset, by: str) -> list[str]:
    if by == "group":
        return [image.group for image in dataset.images]
    if by.startswith(_PREFIX):
        return [image.path.name[: int(by.removeprefix(_PREFIX))] for image in dataset.images]
    if by == "declared":
        return [image.name for image in dataset.images]
    return [str(number) for number in thumbnail_groups([_thumbnail(image) for image in dataset.images])]


def _thumbnail(image: LabelledImage) -> FloatArray:
    pixels = decode(image.path, cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise DatasetError(f"split: {image.path} is no readable image any more: restore it")
    return thumbnail(pixels)


def _deal(
    dataset: Dataset, keys: Sequence[str], fixed: Sequence[str], seed: int, shares: dict[str, float]
) -> list[str]:
    """A split per image, or nothing for one left out."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        members[key].append(index)
    own = {key: _declared(fixed[index] for index in indices) for key, indices in members.items()}
    order = [str(key) for key in np.random.default_rng(seed).permutation(sorted(members))]
    counts = {key: _counts(dataset, members[key]) for key in order if not own[key]}
    dealt = deal(counts, _open_splits(fixed, shares))
    names = [own[key] or dealt[key] for key in keys]
    return [
        "" if own[key] and fixed[index] != own[key] else name
        for index, (key, name) in enumerate(zip(keys, names, strict=True))
    ]


def _declared(splits: Iterable[str]) -> str:
    """The split that a group cannot leave: the one held out most strictly."""
    found = set(splits)
    return next((name for name in ("test", "val") if name in found), "")


def _open_splits(fixed: Sequence[str], shares: dict[str, float]) -> dict[str, float]:
    """Shares of what is still to be dealt: a split that the dataset fills itself takes no more."""
    filled = {name for name in fixed if name not in {"", "train"}}
    left = {name: share for name, share in shares.items() if name not in filled}
    total = sum(left.values())
    return {name: share / total for name, share in left.items()}


def _counts(dataset: Dataset, indices: Sequence[int]) -> Counter[str]:
    """What a group brings: images, and boxes by class."""
    found = Counter({IMAGES: len(indices)})
    for index in indices:
        image = dataset.images[index]
        found.update(dataset.classes[class_id] for class_id in image.truth.class_ids)
        found[_GOOD_IMAGES] += not image.defective
    return +found


def _class_ids(dataset: Dataset) -> set[int]:
    return {int(class_id) for image in dataset.images for class_id in image.truth.class_ids}


def _check_classes(splits: Splits) -> None:
    seen = _class_ids(splits.train)
    for name, part in splits:
        for image in part.images:
            for class_id in image.truth.class_ids:
                if int(class_id) not in seen:
                    raise DatasetError(
                        f"split: class {part.classes[class_id]!r} is in {name} ({image.name}) and not in train: give "
                        "more images of it or divide otherwise (--split-by, --seed)"
                    )
