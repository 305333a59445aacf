"""From a dataset's files to batches: decoded once, augmented on a thread beside the training step."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.alignment import Golden
from models.dataset.records import Dataset
from models.errors import AlignmentError, ModelError
from models.letterbox import Image
from models.spec import Alignment
from models.training.assignment import PaddedTruth
from models.training.augment import Augmentation, Sample, augment, mosaic

_GREEN = 1
_AHEAD = 3
_MOSAIC = 4


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one training step sees: pixels (B, C, H, W) float32 in [0, 1] and the truth."""

    pixels: Tensor
    truth: PaddedTruth


class Gallery:
    """A dataset's pictures, decoded when first asked for and kept while they fit.

    Args:
        dataset: what to read.
        colour: BGR, or one grey channel.
        reference: whether each picture comes with its reference.
        limit_bytes: of pixels to keep.
    """

    def __init__(self, dataset: Dataset, *, colour: bool, reference: bool, limit_bytes: int = 4 << 30) -> None:
        self._dataset = dataset
        self._colour = colour
        self._reference = reference
        self._left_bytes = limit_bytes
        self._kept: dict[int, Sample] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """The picture as it is. Raises ModelError if its file cannot be read."""
        if (kept := self._kept.get(index)) is not None:
            return kept
        labelled = self._dataset.images[index]
        image = _read(labelled.path)
        wanted = labelled.reference if self._reference else None
        reference = None if wanted is None else self._planes(_laid_on(image, _read(wanted), labelled.name))
        image = self._planes(image)
        sample = Sample(image, reference, labelled.truth.boxes_xyxy, labelled.truth.class_ids)
        size_bytes = image.nbytes + (0 if reference is None else reference.nbytes)
        with self._lock:
            if size_bytes <= self._left_bytes:
                self._left_bytes -= size_bytes
                self._kept[index] = sample
        return sample

    def _planes(self, image: Image) -> Image:
        """What the network reads of a picture: all of it, or its green channel."""
        return image.copy() if self._colour else np.ascontiguousarray(image[..., _GREEN : _GREEN + 1])


def _read(path: Path) -> Image:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ModelError(f"training: {path} is no readable image any more: restore it")
    return np.asarray(pixels, np.uint8)


def _laid_on(image: Image, reference: Image, name: str) -> Image:
    """The reference as it lies on the image, as a station would lay it."""
    try:
        return Golden(reference, Alignment()).onto(image)
    except AlignmentError as misfit:
        raise ModelError(f"training: {name}: {misfit}; a station would not look at it: mend or remove it") from misfit


def is_grey(gallery: Gallery, indices: Sequence[int]) -> bool:
    """Whether these pictures of a colour gallery hold the same value in all three channels."""
    images = (gallery[index].image for index in indices)
    return all(np.array_equal(image[..., 0], image[..., channel]) for image in images for channel in (1, 2))


@dataclass(frozen=True, slots=True)
class Feeding:
    """How pictures become batches: how many at once, how varied, how often four in one."""

    batch: int
    how: Augmentation
    mosaic: float
    seed: int


def epoch_batches(gallery: Gallery, feeding: Feeding, epoch: int, start: int = 0) -> Iterator[Batch]:
    """Every picture once, in the epoch's own order, from batch `start` on; the last batch is filled from the first."""
    count = steps_per_epoch(len(gallery), feeding.batch)
    order = np.resize(np.random.default_rng((feeding.seed, epoch)).permutation(len(gallery)), count * feeding.batch)
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1, "pictures") as pool:
        for step in range(start, count):
            chosen = order[step * feeding.batch : (step + 1) * feeding.batch]
            waiting.append(pool.submit(_batch, gallery, feeding, (epoch, step), chosen))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def steps_per_epoch(pictures: int, batch: int) -> int:
    """Steps that show every picture once."""
    return -(-pictures // batch)


def _batch(gallery: Gallery, feeding: Feeding, when: tuple[int, int], chosen: NDArray[np.int64]) -> Batch:
    samples = []
    for slot, index in enumerate(chosen):
        rng = np.random.default_rng((feeding.seed, *when, slot))
        samples.append(_picture(gallery, feeding, int(index), rng))
    return collate(samples)


def _picture(gallery: Gallery, feeding: Feeding, index: int, rng: np.random.Generator) -> Sample:
    if rng.random() >= feeding.mosaic:
        return augment(gallery[index], feeding.how, rng)
    others = [index, *(int(other) for other in rng.integers(len(gallery), size=_MOSAIC - 1))]
    return mosaic([augment(gallery[other], feeding.how, rng) for other in others], feeding.how.size_px)


def collate(samples: Sequence[Sample]) -> Batch:
    """Pictures of one size as tensors, channels last in memory."""
    pixels = torch.from_numpy(np.stack([planes(sample.image, sample.reference) for sample in samples]))
    longest = max((len(sample.class_ids) for sample in samples), default=0)
    boxes = np.zeros((len(samples), longest, 4), np.float32)
    ids = np.zeros((len(samples), longest), np.int64)
    valid = np.zeros((len(samples), longest), bool)
    for index, sample in enumerate(samples):
        count = len(sample.class_ids)
        boxes[index, :count], ids[index, :count], valid[index, :count] = sample.boxes_xyxy, sample.class_ids, True
    truth = PaddedTruth(torch.from_numpy(boxes), torch.from_numpy(ids), torch.from_numpy(valid))
    return Batch(pixels.permute(0, 3, 1, 2).float().div_(255), truth)


def planes(image: Image, reference: Image | None) -> Image:
    """What the network sees of a picture, (H, W, C or 3 C) uint8: image, reference, absolute difference."""
    if reference is None:
        return image
    apart = np.asarray(cv2.absdiff(image, reference), np.uint8).reshape(image.shape)
    return np.concatenate([image, reference, apart], axis=2)
