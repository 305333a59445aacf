"""Scores of many images, through the same letterbox and asynchronous requests as on the line."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.detections import FloatArray
from models.errors import ModelError
from models.letterbox import Image, letterbox_into, placement
from models.spec import InputSpec

SCORE = "score"
MAP = "map"
Take = Callable[[int, ov.InferRequest], None]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a model said of N images: scores (N,) and maps (N, h, w), float32 in [0, 1]."""

    scores: FloatArray
    maps: FloatArray


def score_images(
    compiled: ov.CompiledModel,
    images: Sequence[Image | Path],
    spec: InputSpec,
    advance: Callable[[], None] | None = None,
) -> Scored:
    """Every image's score and map, in the order given.

    Args:
        compiled: a graph with outputs `score` and `map`.
        images: (H, W, 3) uint8 BGR arrays, or files of such.
        spec: the graph's input.
        advance: called once per finished image, from an inference thread.

    Raises:
        ModelError: a score or map is not finite, or an image cannot be read.
    """
    scores: list[np.float32] = [np.float32(0)] * len(images)
    maps: list[FloatArray] = [np.zeros((0, 0), np.float32)] * len(images)

    def take(index: int, request: ov.InferRequest) -> None:
        scores[index] = np.float32(request.get_tensor(SCORE).data[0])
        maps[index] = request.get_tensor(MAP).data[0].copy()
        if advance:
            advance()

    run_images(compiled, images, spec, take)
    result = Scored(np.array(scores, np.float32), np.array(maps, np.float32))
    if not (np.isfinite(result.scores).all() and np.isfinite(result.maps).all()):
        raise ModelError("scoring: the model gave a value that is not finite: its weights are damaged, recalibrate")
    return result


def run_images(compiled: ov.CompiledModel, images: Iterable[Image | Path], spec: InputSpec, take: Take) -> None:
    """Run the graph over images; `take(index, request)` reads each result, from an inference thread."""
    queue = ov.AsyncInferQueue(compiled)
    queue.set_callback(lambda request, index: take(index, request))
    for index, image in enumerate(images):
        queue.start_async({0: model_input(image, spec)[None]}, index)
    queue.wait_all()


def model_input(image: Image | Path, spec: InputSpec) -> NDArray[np.uint8]:
    """The image as the graph wants it: (height, width, 3) uint8 BGR.

    Raises:
        ModelError: the file cannot be read as an image.
    """
    pixels = read_image(image) if isinstance(image, Path) else image
    tensor = np.empty((spec.height, spec.width, 3), np.uint8)
    letterbox_into(pixels, tensor, placement(pixels.shape[1], pixels.shape[0], spec), spec)
    return tensor


def read_image(path: Path) -> Image:
    """A file's pixels, (H, W, 3) uint8 BGR.

    Raises:
        ModelError: no such file, or no image.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ModelError(f"scoring: {path} is no readable image: remove or replace it")
    return np.asarray(pixels, np.uint8)
