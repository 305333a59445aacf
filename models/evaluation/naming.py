"""A dataset's classes as a bundle knows them: matched by name, whatever their order in either."""

import numpy as np

from models.bundle import Bundle
from models.dataset.errors import DatasetError
from models.dataset.records import Dataset, LabelledImage, Truth


def named_as(dataset: Dataset, bundle: Bundle) -> Dataset:
    """The dataset with the bundle's class ids.

    Raises:
        DatasetError: an image is labelled with a class that the bundle does not know.
    """
    ids = {name: index for index, name in enumerate(bundle.spec.classes)}
    used = {dataset.classes[class_id] for image in dataset.images for class_id in image.truth.class_ids}
    if unknown := sorted(used - ids.keys()):
        raise DatasetError(
            f"dataset: {dataset.root} labels class {unknown[0]!r}, the bundle knows {list(ids)}: use the same names"
        )
    images = tuple(_renumbered(image, dataset, ids) for image in dataset.images)
    return Dataset(dataset.root, dataset.form, bundle.spec.classes, images)


def _renumbered(image: LabelledImage, dataset: Dataset, ids: dict[str, int]) -> LabelledImage:
    numbers = np.array([ids[dataset.classes[class_id]] for class_id in image.truth.class_ids], np.int32)
    return image.with_truth(Truth(image.truth.boxes_xyxy, numbers))
