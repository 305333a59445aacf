"""Splits that do not leak: what belongs together, or is the same picture twice, never lies on both sides.

What belongs together is said by the dataset's own splits, by its group column, by the first characters of file names,
or found as near-twins. Whatever says it, files of equal content are joined on top. Groups are dealt out so that each
split gets its share of every class.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from models.dataset.errors import DatasetError
from models.dataset.records import Dataset, LabelledImage
from models.near_twins import thumbnail, thumbnail_groups

SHARES = {"train": 0.75, "val": 0.08, "test": 0.17}
BY = ("auto", "declared", "group", "twins", "prefix:N")
_PREFIX = "prefix:"


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Three sets without a common group.

    Args:
        train: to learn from and to take quantization frames from.
        val: to choose thresholds and operations by.
        test: held out; the gate and the report judge by it.
        by: what said what belongs together.
        groups: how many groups there are.
    """

    train: Dataset
    val: Dataset
    test: Dataset
    by: str
    groups: int

    def __iter__(self) -> Iterator[tuple[str, Dataset]]:
        yield from (("train", self.train), ("val", self.val), ("test", self.test))


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
    chosen = _resolve(dataset, by)
    keys = _joined(dataset, chosen)
    fixed = [image.split for image in dataset.images] if chosen == "declared" else [""] * len(dataset)
    names = _deal(dataset, keys, fixed, seed, dict(shares or SHARES))
    parts = {name: [index for index, own in enumerate(names) if own == name] for name in SHARES}
    for name, indices in parts.items():
        if not indices:
            raise DatasetError(
                f"split: {name} stays empty: {len(set(keys))} groups by {chosen!r} cannot make three splits; give more "
                "images or divide otherwise (--split-by)"
            )
    splits = Splits(
        dataset.take(parts["train"]), dataset.take(parts["val"]), dataset.take(parts["test"]), chosen, len(set(keys))
    )
    _check_classes(splits)
    return splits


def leaks(first: Dataset, second: Dataset) -> list[tuple[str, str]]:
    """Pairs of images, one of each, that share a group or are byte for byte the same picture."""
    seen = {key: image.name for image in first.images for key in _marks(image)}
    return [(seen[key], image.name) for image in second.images for key in _marks(image) if key in seen]


def _marks(image: LabelledImage) -> set[str]:
    return {f"content {_content(image)}", *([f"group {image.group}"] if image.group else [])}


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
    if by not in BY and not (by.startswith(_PREFIX) and by.removeprefix(_PREFIX).isdigit() and int(by[7:]) > 0):
        raise DatasetError(f"split: cannot divide by {by!r}: choose one of {', '.join(BY)}")
    return by


def _joined(dataset: Dataset, by: str) -> list[str]:
    """A group per image, with images of equal content in one."""
    keys = _keys(dataset, by)
    first: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for image, key in zip(dataset.images, keys, strict=True):
        root = _root(renamed, key)
        other = _root(renamed, first.setdefault(_content(image), root))
        if other != root:
            renamed[root] = other
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
        return [image.group or image.name for image in dataset.images]
    thumbnails = [thumbnail(_pixels(image)) for image in dataset.images]
    return [str(number) for number in thumbnail_groups(thumbnails)]


def _pixels(image: LabelledImage) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(cv2.imread(str(image.path), cv2.IMREAD_GRAYSCALE), np.uint8)


def _content(image: LabelledImage) -> str:
    with image.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _deal(
    dataset: Dataset, keys: Sequence[str], fixed: Sequence[str], seed: int, shares: dict[str, float]
) -> list[str]:
    """A split per image: fixed ones stay, groups go where their classes are wanted most, the largest first."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        members[key].append(index)
    open_to = _open_splits(fixed, shares)
    counts = {key: _counts(dataset, indices) for key, indices in members.items()}
    own = {key: next((fixed[i] for i in members[key] if fixed[i] not in {"", "train"}), "") for key in members}
    wanted = _wanted([counts[key] for key in members if not own[key]], open_to)
    order = list(np.random.default_rng(seed).permutation(sorted(members)))
    names = list(fixed)
    for key in sorted(order, key=lambda key: -len(members[key])):
        name = own[key] or _neediest(wanted, counts[key])
        if not own[key]:
            wanted[name] = {item: number - counts[key][item] for item, number in wanted[name].items()}
        for index in members[key]:
            names[index] = name
    return names


def _open_splits(fixed: Sequence[str], shares: dict[str, float]) -> dict[str, float]:
    """Shares of what is still to be dealt: a split that the dataset fills itself takes no more."""
    filled = {name for name in fixed if name not in {"", "train"}}
    left = {name: share for name, share in shares.items() if name not in filled}
    total = sum(left.values())
    return {name: share / total for name, share in left.items()}


def _counts(dataset: Dataset, indices: Sequence[int]) -> Counter[str]:
    """What a group brings: images, and boxes by class."""
    found = Counter({"images": len(indices)})
    for index in indices:
        image = dataset.images[index]
        found.update(dataset.classes[class_id] for class_id in image.truth.class_ids)
        found["good images"] += not image.defective
    return found


def _wanted(counts: Iterable[Counter[str]], shares: dict[str, float]) -> dict[str, dict[str, float]]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return {name: {item: share * number for item, number in total.items()} for name, share in shares.items()}


def _neediest(wanted: dict[str, dict[str, float]], brings: Counter[str]) -> str:
    """The split that lacks most of what this group brings, rare things weighing as much as frequent ones."""

    def need(name: str) -> float:
        mine = wanted[name]
        return sum(mine.get(item, 0.0) / max(1.0, sum(w.get(item, 0.0) for w in wanted.values())) for item in brings)

    return max(wanted, key=need)


def _check_classes(splits: Splits) -> None:
    seen = {int(class_id) for image in splits.train.images for class_id in image.truth.class_ids}
    for name, part in splits:
        for image in part.images:
            for class_id in image.truth.class_ids:
                if int(class_id) not in seen:
                    raise DatasetError(
                        f"split: class {part.classes[class_id]!r} is in {name} ({image.name}) and not in train: give "
                        "more images of it or divide otherwise (--split-by, --seed)"
                    )
