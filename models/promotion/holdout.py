"""The frozen hold-out of a dataset, and whether a bundle learned from any of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.dataset.errors import DatasetError
from models.dataset.good_parts import split_good_parts
from models.dataset.image_level import defect_of, split_image_level
from models.dataset.learnable import Division, split_learnable
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset, LabelledImage
from models.dataset.snapshot import digest
from models.dataset.splits import Splits
from models.spec import Kind

HELD_OUT = "test"
_SPLITTERS: Mapping[Kind, Callable[[Dataset, Division], Splits]] = {
    Kind.ANOMALY: split_good_parts,
    Kind.CLASSIFIER: split_image_level,
    Kind.DETECTOR: split_learnable,
}
_DIVISIONS = ("declared", "auto")


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """Images that the dataset itself declares as held out.

    Args:
        dataset: all of it, hold-out and what may be learned from.
        images: N, the held-out ones.
        kinds: (N,) the name of each one's defect, empty for a good one.
    """

    dataset: Dataset
    images: tuple[LabelledImage, ...]
    kinds: tuple[str, ...]

    @property
    def defective(self) -> NDArray[np.bool_]:
        """(N,) whether anything is wrong with each."""
        return np.array([bool(kind) for kind in self.kinds], np.bool_)

    @property
    def classes(self) -> tuple[str, ...]:
        """The defects that occur, by name; of boxes too."""
        boxes = {self.dataset.classes[number] for image in self.images for number in image.truth.class_ids}
        return tuple(sorted(boxes | set(self.kinds) - {""}))


def read_holdout(data: Path) -> Holdout:
    """The hold-out in this folder.

    Raises:
        DatasetError: the dataset will not do, or declares no image as `test`.
    """
    dataset = read_dataset(data)
    images = tuple(image for image in dataset.images if image.split == HELD_OUT)
    if not images:
        raise DatasetError(f"promotion: {data} declares no image as {HELD_OUT!r}: without a hold-out nothing is proven")
    return Holdout(dataset, images, tuple(defect_of(image, dataset) for image in images))


def learned_of(bundle: Bundle, holdout: Holdout) -> list[str] | None:
    """Names of held-out images that the bundle learned from; None where it is not known what it learned from.

    It is known where the digest in the manifest is that of this dataset, divided in one of the ways of training.
    """
    held = {image.name for image in holdout.images}
    for by in _DIVISIONS:
        try:
            splits = _SPLITTERS[bundle.spec.kind](holdout.dataset, Division(by))
        except DatasetError:
            continue  # it cannot be divided so: then nothing was trained by it either
        if digest(splits) == bundle.manifest.dataset_sha256:
            learned = [image.name for part in (splits.train, splits.val) for image in part.images]
            return sorted(held.intersection(learned))
    return None
