"""Splits for models that learn from good parts alone: every defect is there to judge by, none to learn from."""

from models.dataset.errors import DatasetError
from models.dataset.image_level import is_defective
from models.dataset.learnable import Division
from models.dataset.records import Dataset
from models.dataset.splits import Splits, groups_of, split_dataset


def split_good_parts(dataset: Dataset, division: Division) -> Splits:
    """Train and val hold good images only; test holds good ones of other groups, and every defective one.

    A group that holds a defective image goes to test as a whole, its good images too: the same part in another shot
    must not be learned from. Val is as large as test's share of the good ones: the threshold wants many.

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
    good = split_dataset(dataset.take(clean), chosen, division.seed, {"train": 1 - 2 * held, "val": held, "test": held})
    names = {image.name for _, part in good for image in part.images} | set(good.left_out)
    rest = tuple(image for image in dataset.images if image.name not in names)
    test = Dataset(dataset.root, dataset.form, dataset.classes, (*good.test.images, *rest))
    return Splits(good.train, good.val, test, good.by, len(set(groups)), good.left_out)


def _groups(dataset: Dataset, by: str) -> tuple[str, list[str]]:
    """What says what belongs together, and each image's group."""
    chosen = by if by != "auto" else "group" if all(image.group for image in dataset.images) else "twins"
    return chosen, groups_of(dataset, chosen)
