"""Splits for models that learn from good parts alone: every defect is there to judge by, none to learn from."""

import numpy as np

from models.dataset.errors import DatasetError
from models.dataset.image_level import is_defective
from models.dataset.learnable import Division
from models.dataset.records import Dataset
from models.dataset.splits import Splits, groups_of, split_dataset

_MOST = 0.45


def split_good_parts(dataset: Dataset, division: Division) -> Splits:
    """Train and val hold good images only; test holds good ones of other groups, and every defective one.

    Of a group that holds a defective image nothing is learned: it may show the same part. Its good images are judged by
    in as many of these groups as test's share says, and left out in the others, or they would weigh more in test than
    they do among all good parts. Val is as large as test's share of the good ones: the threshold wants many.

    Raises:
        DatasetError: as `split_dataset`, or too few good images remain to learn from.
    """
    bad = [is_defective(image) for image in dataset.images]
    chosen, groups = _groups(dataset, division.by)
    spoiled = {group for group, own in zip(groups, bad, strict=True) if own}
    clean = [index for index, group in enumerate(groups) if group not in spoiled]
    if not clean:
        raise DatasetError(f"split: {dataset.root} holds no good image apart from the defective ones: give good parts")
    held = division.shares["test"]
    if held >= _MOST:
        raise DatasetError(f"split: a test share of {held} and as much for the threshold leave nothing to learn from")
    good = split_dataset(dataset.take(clean), chosen, division.seed, {"train": 1 - 2 * held, "val": held, "test": held})
    order = [str(group) for group in np.random.default_rng(division.seed).permutation(sorted(spoiled))]
    judged = set(order[: round(held * len(order))])
    beside = [image for image, group in zip(dataset.images, groups, strict=True) if group in spoiled]
    kept = {image.name for image, group in zip(dataset.images, groups, strict=True) if group in judged}
    rest = tuple(image for image in beside if is_defective(image) or image.name in kept)
    left_out = tuple(image.name for image in beside if not is_defective(image) and image.name not in kept)
    test = Dataset(dataset.root, dataset.form, dataset.classes, (*good.test.images, *rest))
    return Splits(good.train, good.val, test, good.by, len(set(groups)), (*good.left_out, *left_out))


def _groups(dataset: Dataset, by: str) -> tuple[str, list[str]]:
    """What says what belongs together, and each image's group."""
    chosen = by if by != "auto" else "group" if all(image.group for image in dataset.images) else "twins"
    return chosen, groups_of(dataset, chosen)
