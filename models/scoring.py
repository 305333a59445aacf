"""Scores of many images, through the same pose, letterbox and asynchronous requests as on the line."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.bundle import Bundle
from models.decoding import read_picture
from models.detections import FloatArray
from models.errors import AlignmentError, ModelError
from models.letterbox import Image, Placement, letterbox_into
from models.pose import Pose, place_of
from models.spec import InputSpec

SCORE = "score"
MAP = "map"
Take = Callable[[int, ov.InferRequest], None]
OnMisfit = Callable[[int, AlignmentError], None]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a model said of N images: scores (N,) and maps (N, h, w), float32 in [0, 1], and where each image lay.

    An image that could not be laid on the model's reference, which a station calls UNDECIDED, has the score 1.
    """

    scores: FloatArray
    maps: FloatArray
    places: tuple[Placement | None, ...] = ()


def score_images(
    compiled: ov.CompiledModel,
    images: Sequence[Image | Path],
    spec: InputSpec,
    advance: Callable[[], None] | None = None,
    *,
    pose: Pose | None = None,
    on_misfit: OnMisfit | None = None,
) -> Scored:
    """Every image's score and map, in the order given.

    Args:
        compiled: a graph with outputs `score` and `map`.
        images: (H, W, 3) uint8 BGR arrays, or files of such.
        spec: the graph's input.
        advance: called once per finished image, from an inference thread.
        pose: how images are laid on the model's reference, where it has one.
        on_misfit: told of each image that does not lie on the reference; if left out, such an image is an error.

    Raises:
        ModelError: a score or map is not finite, or an image cannot be read.
        AlignmentError: an image does not lie on the reference.
    """
    scores = np.ones(len(images), np.float32)
    maps = np.ones((len(images), *tuple(compiled.output(MAP).shape)[1:]), np.float32)

    def take(index: int, request: ov.InferRequest) -> None:
        scores[index] = request.get_tensor(SCORE).data[0]
        maps[index] = request.get_tensor(MAP).data[0]
        if advance:
            advance()

    places = run_images(compiled, images, spec, take, pose=pose, on_misfit=on_misfit)
    result = Scored(scores, maps, places)
    if not (np.isfinite(result.scores).all() and np.isfinite(result.maps).all()):
        raise ModelError("scoring: the model gave a value that is not finite: its weights are damaged, recalibrate")
    return result


def run_images(
    compiled: ov.CompiledModel,
    images: Iterable[Image | Path],
    spec: InputSpec,
    take: Take,
    *,
    pose: Pose | None = None,
    on_misfit: OnMisfit | None = None,
) -> tuple[Placement | None, ...]:
    """Run the graph over images; `take(index, request)` reads each result, from an inference thread.

    Returns:
        Where each image lies in the input; None of one that does not lie on the reference, and was not looked at.

    Raises:
        ModelError: an image cannot be read.
        AlignmentError: one does not lie on the reference, and nobody wants to be told of such.
    """
    queue = ov.AsyncInferQueue(compiled)
    queue.set_callback(lambda request, index: take(index, request))
    places: list[Placement | None] = []
    for index, image in enumerate(images):
        try:
            tensor, place = _framed(image, spec, pose)
        except AlignmentError as misfit:
            if on_misfit is None:
                queue.wait_all()
                raise AlignmentError(f"{_name(image, index)}: {misfit}") from misfit
            on_misfit(index, misfit)
            places.append(None)
        else:
            queue.start_async({0: tensor[None]}, index)
            places.append(place)
    queue.wait_all()
    return tuple(places)


def rejected(_index: int, _misfit: AlignmentError) -> None:
    """Who wants no more of a misfit than that it counts as rejected, with the score 1, says this."""


def model_input(image: Image | Path, spec: InputSpec, pose: Pose | None = None) -> NDArray[np.uint8]:
    """The image as the graph wants it: (height, width, 3) uint8 BGR, laid on the reference where there is one.

    Raises:
        ModelError: the file cannot be read as an image.
        AlignmentError: it does not lie on the reference.
    """
    return _framed(image, spec, pose)[0]


def pose_of(bundle: Bundle) -> Pose | None:
    """How a bundle's frames are laid on its reference; None for one that takes them as they come.

    Raises:
        ModelError: the reference cannot be read as an image.
    """
    if bundle.reference is None or bundle.spec.alignment is None:
        return None
    return Pose(read_image(bundle.reference), bundle.spec.alignment, bundle.spec.inputs[0])


def read_image(path: Path) -> Image:
    """A file's pixels, (H, W, 3) uint8 BGR.

    Raises:
        ModelError: no such file, or no image.
    """
    pixels = read_picture(path, cv2.IMREAD_COLOR)
    if pixels is None:
        raise ModelError(f"scoring: {path} is no readable image: remove or replace it")
    return pixels


def _framed(image: Image | Path, spec: InputSpec, pose: Pose | None) -> tuple[NDArray[np.uint8], Placement]:
    pixels = read_image(image) if isinstance(image, Path) else image
    tensor, place = np.empty((spec.height, spec.width, 3), np.uint8), place_of(pixels, spec, pose)
    letterbox_into(pixels, tensor, place, spec)
    return tensor, place


def _name(image: Image | Path, index: int) -> str:
    return image.name if isinstance(image, Path) else f"image {index}"
