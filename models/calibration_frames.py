"""The frames that a detector's quantization learns ranges from: some of the training's, which the gate never sees."""

import numpy as np

from models.alignment import Golden
from models.dataset.records import Dataset
from models.detecting import model_inputs
from models.errors import AlignmentError
from models.quantize import Inputs
from models.scoring import read_image
from models.spec import ModelSpec
from models.tiling import tiles

COUNT = 128


def calibration_frames(train: Dataset, spec: ModelSpec, seed: int) -> list[Inputs]:
    """Up to 128 frames by chance, each input (height, width, 3) uint8 by name; of a tiled frame one tile."""
    chosen = np.random.default_rng(seed).permutation(len(train))[:COUNT]
    found = (_inputs(train, int(index), spec) for index in chosen)
    return [inputs for inputs in found if inputs is not None]


def _inputs(train: Dataset, index: int, spec: ModelSpec) -> Inputs | None:
    """None where the reference does not fit: a station would not look at such a frame."""
    labelled = train.images[index]
    image, golden = read_image(labelled.path), None
    if spec.compares and labelled.reference is not None:
        try:
            golden = Golden(read_image(labelled.reference), spec.alignment).onto(image)
        except AlignmentError:
            return None
    cut = tiles(image.shape[1], image.shape[0], spec.tiling)
    inputs, _ = model_inputs(image, golden, cut[index % len(cut)], spec)
    return {name: pixels[0] for name, pixels in inputs.items()}
