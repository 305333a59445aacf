"""What every dataset form becomes: images with their truth, checked once."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.dataset.errors import DatasetError
from models.detections import FloatArray, IntArray

_TOLERANCE_PX = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What a person says is on an image.

    Args:
        boxes_xyxy: (N, 4) float32, pixels of the image: left, top, right, bottom, right and bottom exclusive.
        class_ids: (N,) int32, indices into the dataset's classes.
    """

    boxes_xyxy: FloatArray
    class_ids: IntArray

    def __post_init__(self) -> None:
        count = len(self.class_ids)
        if self.boxes_xyxy.shape != (count, 4) or self.boxes_xyxy.dtype != np.float32:
            raise DatasetError(f"truth: boxes_xyxy must be ({count}, 4) float32, got {self.boxes_xyxy.shape}")
        if self.class_ids.shape != (count,) or self.class_ids.dtype != np.int32:
            raise DatasetError(f"truth: class_ids must be ({count},) int32, got {self.class_ids.dtype}")
        if not np.isfinite(self.boxes_xyxy).all():
            raise DatasetError("truth: a box holds a value that is not finite")
        if np.any(self.boxes_xyxy[:, :2] >= self.boxes_xyxy[:, 2:]):
            raise DatasetError("truth: a box ends before it starts")

    def __len__(self) -> int:
        return len(self.class_ids)

    @classmethod
    def none(cls) -> "Truth":
        """Nothing is wrong with this image."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """One image of a dataset.

    Args:
        name: unique in its dataset: the path below the root, with forward slashes.
        path: the file.
        width: pixels.
        height: pixels.
        truth: boxes, or none for a good image (and for a defective one of a form without places; see `defective`).
        defective: whether a person says that something is wrong with it; None where the form cannot say.
        reference: the golden reference, a file of the same size, where the dataset gives one.
        mask: the file of the pixel mask, where the dataset gives one; not zero is defect.
        group: images that share it never lie on both sides of a split; empty: the image stands alone.
        split: the split that the dataset itself puts it in (`train`, `val`, `test`), or empty.
        label: the defect that is said of the image as a whole, one of the dataset's classes, or empty.
    """

    name: str
    path: Path
    width: int
    height: int
    truth: Truth
    defective: bool | None = None
    reference: Path | None = None
    mask: Path | None = None
    group: str = ""
    split: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        boxes = self.truth.boxes_xyxy
        limit = np.array([self.width, self.height] * 2, np.float32) + _TOLERANCE_PX
        outside = np.any((boxes < -_TOLERANCE_PX) | (boxes > limit), axis=1)
        if outside.any():
            box = boxes[np.argmax(outside)].tolist()
            raise DatasetError(
                f"dataset: {self.name}: box {box} lies outside its image of {self.width}x{self.height}: mend the label"
            )

    def with_truth(self, truth: Truth) -> "LabelledImage":
        """The same image, labelled otherwise."""
        return replace(self, truth=truth)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images with their truth, in the order of their names.

    Args:
        root: the folder that was read.
        form: `coco`, `voc`, `yolo` or `folders`.
        classes: the names that class ids stand for.
        images: at least one; every class id below `len(classes)`.
    """

    root: Path
    form: str
    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.images:
            raise DatasetError(f"dataset: {self.root} holds no labelled image: check the folder")
        names = [image.name for image in self.images]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DatasetError(f"dataset: {self.root} names {twice} twice: rename one")
        for image in self.images:
            if len(image.truth) and int(image.truth.class_ids.max()) >= len(self.classes):
                raise DatasetError(f"dataset: {image.name}: class id {image.truth.class_ids.max()} has no name")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def boxes(self) -> int:
        """How many boxes all images hold."""
        return sum(len(image.truth) for image in self.images)

    @property
    def has_references(self) -> bool:
        """Whether every image comes with a golden reference."""
        return all(image.reference is not None for image in self.images)

    def take(self, indices: list[int]) -> "Dataset":
        """The same dataset with these images only, in this order."""
        return Dataset(self.root, self.form, self.classes, tuple(self.images[index] for index in indices))
