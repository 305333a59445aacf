"""Labels of whole images, out of any form of dataset: what a classifier learns.

An image's class is the folder that names it; where a form knows boxes only, the class whose boxes cover most of it. As
a `Dataset` such a label is one box around the whole image, so that splits deal out classes, snapshots freeze them and
names are matched as for boxes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.dataset.errors import DatasetError
from models.dataset.learnable import Division
from models.dataset.records import Dataset, LabelledImage, Truth
from models.dataset.splits import Splits, split_dataset

GOOD = 0
UNNAMED = "defective"


def image_level(dataset: Dataset) -> Dataset:
    """The same images, each defective one with one box around it all; only classes that occur.

    Raises:
        DatasetError: a defective image of which nobody says what is wrong with it, or no defective or no good image.
    """
    names = [_class_of(image, dataset) for image in dataset.images]
    classes = tuple(name for name in dataset.classes if name in names)
    if not classes or "" not in names:
        lacking = "defective" if not classes else "good"
        raise DatasetError(f"dataset: {dataset.root} holds no {lacking} image: a classifier learns from both")
    images = tuple(_whole(image, classes, name) for image, name in zip(dataset.images, names, strict=True))
    return Dataset(dataset.root, dataset.form, classes, images)


def split_image_level(dataset: Dataset, division: Division) -> Splits:
    """`split_dataset` of the images with their whole-image labels. Raises DatasetError as that and `image_level`."""
    return split_dataset(image_level(dataset), division.by, division.seed, division.shares)


def labels_of(dataset: Dataset) -> NDArray[np.int64]:
    """Of a dataset that `image_level` gave: (N,) int64, 0 good, k the defect of class id k - 1."""
    return np.array([1 + int(image.truth.class_ids[0]) if len(image.truth) else GOOD for image in dataset.images])


def is_defective(image: LabelledImage) -> bool:
    """Whether anything is said to be wrong with it."""
    return bool(image.defective or len(image.truth))


def defect_of(image: LabelledImage, dataset: Dataset) -> str:
    """The name of what is wrong with it, of several the one whose boxes cover most of it; empty for a good image."""
    if image.label or not len(image.truth):
        return image.label or (UNNAMED if image.defective else "")
    sides = image.truth.boxes_xyxy[:, 2:] - image.truth.boxes_xyxy[:, :2]
    areas = np.bincount(image.truth.class_ids, sides.prod(1), len(dataset.classes))
    return dataset.classes[int(areas.argmax())]


def _class_of(image: LabelledImage, dataset: Dataset) -> str:
    """The image's class, or nothing for a good one."""
    name = defect_of(image, dataset)
    if name and name not in dataset.classes:
        raise DatasetError(f"dataset: {image.name} is defective and has no class: label it or remove it")
    return name


def _whole(image: LabelledImage, classes: tuple[str, ...], name: str) -> LabelledImage:
    if not name:
        return replace(image, truth=Truth.none(), defective=False)
    box = np.array([[0, 0, image.width, image.height]], np.float32)
    return replace(image, truth=Truth(box, np.array([classes.index(name)], np.int32)), defective=True)
