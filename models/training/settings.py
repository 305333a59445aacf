"""What a training run is made of: chosen from the data, fixed before the first step, kept with the checkpoint."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from models.dataset.records import Dataset, LabelledImage
from models.networks.detector import COARSEST, DetectorShape
from models.spec import Alignment, InputSpec, Kind, ModelSpec, Tiling
from models.tiling import tiles
from models.training.augment import Augmentation
from models.training.pictures import Feeding

LARGEST_PX = 640
_CROP_PX = 320
_COARSE_STEM_PX = _CROP_PX
_SMALLER = 0.1
_VARIED = 3.0
_ENOUGH_PX = 12.0
_OVERLAPS_PX = (64, 256)
_STEPS = 9000
_CROP_AREA = 320 * 320
_MEND = 0.6
_BATCH_PIXELS = 16 * _CROP_AREA


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides what a run computes, but for its threads.

    Args:
        shape: of the network.
        height: of the model's input, pixels.
        width: likewise.
        crop_px: side of the pictures that are learned from, in model pixels.
        batch: pictures per step.
        epochs: how often every image is shown.
        learning_rate: at its highest.
        weight_decay: of the kernels.
        mosaic: share of pictures that are four in one.
        mend: share of pictures on which some defects are mended from their reference, for a network that sees none;
            None where there are no references, or the network compares with them.
        light: see `Augmentation`.
        noise: see `Augmentation`.
        zoom: how far scales may differ from the one at inspection, as a factor, both ways.
        seed: of order and augmentation, and of the new layers' first weights.
        tiling: how frames are cut at inspection; learned from are crops in any case.
        recipe: counts changes of what the trainer computes of the same settings, so that it never goes on with a
            checkpoint of another recipe.
    """

    shape: DetectorShape
    height: int
    width: int
    crop_px: int
    batch: int
    epochs: int
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.03
    mosaic: float = 0.0
    mend: float | None = None
    light: float = 0.2
    noise: float = 4.0
    zoom: float = 1.25
    seed: int = 0
    tiling: Tiling | None = None
    recipe: int = 3

    @property
    def spec(self) -> InputSpec:
        """Of the `image` input."""
        return InputSpec("image", self.height, self.width)

    def model_spec(self, classes: tuple[str, ...]) -> ModelSpec:
        """Of the bundle."""
        names = ("image", "reference") if self.shape.reference else ("image",)
        inputs = tuple(InputSpec(name, self.height, self.width) for name in names)
        alignment = Alignment() if self.shape.reference else None
        return ModelSpec(Kind.DETECTOR, classes, inputs, self.tiling, alignment)

    @property
    def augmentation(self) -> Augmentation:
        """How far pictures may differ from how a station shows them to the model."""
        return Augmentation(self.crop_px, (1 / self.zoom, self.zoom), light=self.light, noise=self.noise)

    def scale_of(self, height: int, width: int) -> float:
        """From an image's pixels to the model's, as a station would show it."""
        tile = tiles(width, height, self.tiling)[0]
        return min(self.width / tile.width, self.height / tile.height)

    def feeding(self, mosaic: float) -> Feeding:
        """How its pictures become batches, with such a share of mosaics."""
        return Feeding(self.batch, self.augmentation, mosaic, self.seed, self.mend, self.scale_of)

    @property
    def digest(self) -> str:
        """Names these settings: sha256 in hex."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def propose(dataset: Dataset, *, colour: bool, reference: bool, seed: int = 0, size_px: int | None = None) -> Settings:
    """Settings that suit this dataset.

    The input is the images' own size, no larger than 640 pixels and in multiples of 32; smaller images are enlarged to
    320 with a stem of stride 4, which costs less time than 224 with the published stride 2 (figures: DECISIONS.md). A
    smaller input, if it is asked for, gets stride 2. What the run sees of the images does not depend on how many there
    are: as many steps.
    `size_px` sets the input's longer side instead.
    """
    tiling = None if size_px else _tiling(dataset)
    height, width = (tiling.tile_px, tiling.tile_px) if tiling else _input_size(dataset.images, size_px)
    stem = 4 if max(height, width) >= _COARSE_STEM_PX else 2
    crop = min(_CROP_PX, max(height, width))
    batch = max(4, min(32, round(_BATCH_PIXELS / crop**2)))
    shape = DetectorShape(len(dataset.classes), colour, reference, stem)
    epochs = max(30, round(_STEPS * batch / len(dataset)))
    mend = _MEND if dataset.has_references and not reference else None
    settings = Settings(shape, height, width, crop, batch, epochs, seed=seed, mend=mend, tiling=tiling)
    return replace(settings, mosaic=0.3, zoom=1.5) if _varied(dataset) else settings


def _varied(dataset: Dataset) -> bool:
    """Whether defects of one set differ so much in size that more sizes still are worth learning from."""
    boxes = np.concatenate([image.truth.boxes_xyxy for image in dataset.images])
    sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
    small, large = np.quantile(sides, [_SMALLER, 1 - _SMALLER])
    return bool(large > _VARIED * small)


def _tiling(dataset: Dataset) -> Tiling | None:
    """Tiles of the largest input where shrinking whole frames would leave the smaller boxes too few pixels."""
    longest = max(float(np.median([getattr(image, side) for image in dataset.images])) for side in ("height", "width"))
    boxes = np.concatenate([image.truth.boxes_xyxy for image in dataset.images])
    if longest <= LARGEST_PX or not len(boxes):
        return None
    small = float(np.quantile((boxes[:, 2:] - boxes[:, :2]).min(1), _SMALLER))
    if small * LARGEST_PX / longest >= _ENOUGH_PX:
        return None
    overlap = int(np.clip(np.quantile((boxes[:, 2:] - boxes[:, :2]).max(1), 1 - _SMALLER), *_OVERLAPS_PX))
    return Tiling(LARGEST_PX, overlap)


def _input_size(images: Sequence[LabelledImage], size_px: int | None) -> tuple[int, int]:
    height, width = (float(np.median([getattr(image, side) for image in images])) for side in ("height", "width"))
    scale = min(1.0, LARGEST_PX / max(height, width))
    if max(height, width) < _CROP_PX:
        scale = _CROP_PX / max(height, width)
    if size_px:
        scale = size_px / max(height, width)
    sides = [max(COARSEST, round(side * scale / COARSEST) * COARSEST) for side in (height, width)]
    return sides[0], sides[1]
