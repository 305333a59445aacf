"""From a dataset's files to batches: decoded once, augmented between training steps or on a thread beside them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.alignment import Golden
from models.dataset.image_files import decode
from models.dataset.records import Dataset
from models.errors import AlignmentError, ModelError
from models.letterbox import Image
from models.spec import Alignment
from models.training.assignment import PaddedTruth
from models.training.augment import Augmentation, Sample, augment, mosaic
from models.training.batches import in_batches
from models.training.mend import mended

_GREEN = 1
_MOSAIC = 4
_READERS = 4


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
        lenient: a reference that does not fit is left away.
        limit_bytes: of pixels to keep.
    """

    def __init__(
        self, dataset: Dataset, *, colour: bool, reference: bool, lenient: bool = False, limit_bytes: int = 4 << 30
    ) -> None:
        self._dataset = dataset
        self._colour = colour
        self._reference = reference
        self._lenient = lenient
        self._left_bytes = limit_bytes
        self._kept: dict[int, Sample] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """The picture as it is.

        Raises:
            ModelError: a file cannot be read.
            AlignmentError: its reference does not fit, and the gallery is not lenient.
        """
        if (kept := self._kept.get(index)) is not None:
            return kept
        labelled = self._dataset.images[index]
        image = _read(labelled.path)
        wanted = labelled.reference if self._reference else None
        laid = None if wanted is None else self._laid(image, wanted, labelled.name)
        image, reference = self._planes(image), None if laid is None else self._planes(laid)
        sample = Sample(image, reference, labelled.truth.boxes_xyxy, labelled.truth.class_ids)
        size_bytes = image.nbytes + (0 if reference is None else reference.nbytes)
        with self._lock:
            if size_bytes <= self._left_bytes:
                self._left_bytes -= size_bytes
                self._kept[index] = sample
        return sample

    def _laid(self, image: Image, reference: Path, name: str) -> Image | None:
        """The reference as it lies on the image, as a station would lay it; None if it does not fit and may not."""
        try:
            return Golden(_read(reference), Alignment()).onto(image)
        except AlignmentError as misfit:
            if self._lenient:
                return None
            raise AlignmentError(f"{name}: {misfit}") from misfit

    def _planes(self, image: Image) -> Image:
        """What the network reads of a picture: all of it, or its green channel."""
        return image.copy() if self._colour else np.ascontiguousarray(image[..., _GREEN : _GREEN + 1])


def _read(path: Path) -> Image:
    pixels = decode(path, cv2.IMREAD_COLOR) if path.is_file() else None
    if pixels is None:
        raise ModelError(f"training: {path} is no readable image any more: restore it")
    return np.asarray(pixels, np.uint8)


def misfits(gallery: Gallery, advance: Callable[[], None]) -> list[str]:
    """What is wrong with each picture whose reference does not fit; all others are decoded and kept by then."""

    def fault(index: int) -> str | None:
        try:
            gallery[index]
        except AlignmentError as misfit:
            return str(misfit)
        finally:
            advance()
        return None

    with ThreadPoolExecutor(_READERS) as pool:
        return [found for found in pool.map(fault, range(len(gallery))) if found is not None]


def is_grey(dataset: Dataset) -> bool:
    """Whether every picture holds the same value in all three channels: one stain that only colour shows is enough."""

    def grey(path: Path) -> bool:
        pixels = _read(path)
        return all(np.array_equal(pixels[..., 0], pixels[..., channel]) for channel in (1, 2))

    with ThreadPoolExecutor(_READERS) as pool:
        return all(pool.map(grey, [image.path for image in dataset.images]))


def _as_given(height: int, width: int) -> float:
    del height, width
    return 1.0


@dataclass(frozen=True, slots=True)
class Feeding:
    """How pictures become batches.

    Args:
        batch: how many at once.
        how: how varied.
        mosaic: share of them that are four in one.
        seed: of all that is drawn.
        mend: share of pictures on which defects are mended from their reference, which is then not shown; None shows
            references beside their pictures.
        scale_of: how much an image of this height and width is enlarged beforehand.
    """

    batch: int
    how: Augmentation
    mosaic: float
    seed: int
    mend: float | None = None
    scale_of: Callable[[int, int], float] = _as_given


def epoch_batches(
    gallery: Gallery, feeding: Feeding, epoch: int, start: int = 0, *, ahead: bool = False
) -> Iterator[Batch]:
    """Every picture once, in the epoch's own order, from batch `start` on; the last batch is filled from the first.

    The batches are the same either way; `ahead` makes the next ones on a thread of its own meanwhile, which pays where
    the training steps leave a core to it.
    """

    def make(step: int, chosen: NDArray[np.int64]) -> Batch:
        return _batch(gallery, feeding, (epoch, step), chosen)

    return in_batches(make, len(gallery), feeding.batch, (feeding.seed, epoch), start, ahead=ahead)


def _batch(gallery: Gallery, feeding: Feeding, when: tuple[int, int], chosen: NDArray[np.int64]) -> Batch:
    samples = []
    for slot, index in enumerate(chosen):
        rng = np.random.default_rng((feeding.seed, *when, slot))
        samples.append(_picture(gallery, feeding, int(index), rng))
    return collate(samples)


def _picture(gallery: Gallery, feeding: Feeding, index: int, rng: np.random.Generator) -> Sample:
    if rng.random() >= feeding.mosaic:
        return _view(gallery[index], feeding, rng)
    others = [index, *(int(other) for other in rng.integers(len(gallery), size=_MOSAIC - 1))]
    return mosaic([_view(gallery[other], feeding, rng) for other in others], feeding.how.size_px)


def _view(sample: Sample, feeding: Feeding, rng: np.random.Generator) -> Sample:
    if feeding.mend is not None and sample.reference is not None:
        sample = mended(sample, rng) if rng.random() < feeding.mend else replace(sample, reference=None)
    return augment(sample, feeding.how, rng, feeding.scale_of(*sample.image.shape[:2]))


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
