"""What a detector's graph answered, as `Detections`: read in one place for station, self-test, gate and evaluation."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import openvino as ov

from models.detections import Detections
from models.errors import ModelError
from models.letterbox import Image, Placement, letterbox_into, placement
from models.scoring import read_image
from models.spec import ModelSpec
from models.tiling import Tile, merge, tiles

IMAGE, REFERENCE = "image", "reference"
_TOLERANCE = 1e-3


def read_answer(request: ov.InferRequest, place: Placement, classes: int) -> Detections:
    """A finished request's findings, in pixels of the frame or tile that was looked at.

    Args:
        request: of a detector's graph: `boxes` (N, 4), `scores` (N,), `class_ids` (N,), `finite` (1,).
        place: where the frame lies in the model's input.
        classes: how many the bundle names.

    Raises:
        ModelError: a value is not finite, out of range or of the wrong shape, or a class has no name.
    """
    boxes, scores, ids = (np.array(request.get_tensor(name).data) for name in ("boxes", "scores", "class_ids"))
    if not np.isfinite(request.get_tensor("finite").data).all():
        raise ModelError("the detector answered with a value that is not finite: its graph is broken")
    if boxes.shape != (len(scores), 4) or ids.shape != scores.shape:
        raise ModelError(
            f"the detector answered with boxes {boxes.shape} for {len(scores)} scores: its graph is broken"
        )
    if len(ids) and not 0 <= ids.min() <= ids.max() < classes:
        raise ModelError(
            f"the detector answered with class {ids.max()}, the bundle names {classes}: its graph is broken"
        )
    if len(scores) and not (scores.min() >= -_TOLERANCE and scores.max() <= 1 + _TOLERANCE):
        raise ModelError(f"the detector answered with score {scores.max():.3f}, outside [0, 1]: its graph is broken")
    framed = place.to_frame_xyxy(boxes.astype(np.float32, copy=False))
    return Detections(framed, np.clip(scores, 0, 1).astype(np.float32), ids.astype(np.int32, copy=False))


def detect_images(
    compiled: ov.CompiledModel,
    images: Sequence[Image | Path],
    spec: ModelSpec,
    references: Sequence[Image | Path | None] | None = None,
    advance: Callable[[], None] | None = None,
) -> list[Detections]:
    """Every image's findings, in the order given, tiles merged.

    Args:
        compiled: a detector's graph.
        images: (H, W, 3) uint8 BGR arrays, or files of such.
        spec: the graph's inputs and classes.
        references: golden images of the same sizes, aligned, where the graph compares with one.
        advance: called once per finished image.

    Raises:
        ModelError: an image cannot be read, a reference is missing or of another size, or an answer is broken.
    """
    queue = ov.AsyncInferQueue(compiled)
    answers: list[list[tuple[Tile, Detections]]] = [[] for _ in images]
    faults: list[ModelError] = []

    def take(request: ov.InferRequest, what: tuple[int, Tile, Placement]) -> None:
        index, tile, place = what
        try:
            answers[index].append((tile, read_answer(request, place, len(spec.classes))))
        except ModelError as fault:
            faults.append(fault)

    queue.set_callback(take)
    sizes = []
    for index, image in enumerate(images):
        pixels = _pixels(image)
        sizes.append((pixels.shape[1], pixels.shape[0]))
        golden = _reference(spec, pixels, None if references is None else references[index])
        for tile in tiles(*sizes[-1], spec.tiling):
            inputs, place = model_inputs(pixels, golden, tile, spec)
            queue.start_async(inputs, (index, tile, place))
        if advance:
            advance()
    queue.wait_all()
    if faults:
        raise faults[0]
    parts = (sorted(found, key=lambda part: (part[0].top, part[0].left)) for found in answers)
    return [merge(found, *size) for found, size in zip(parts, sizes, strict=True)]


def model_inputs(
    image: Image, reference: Image | None, tile: Tile, spec: ModelSpec
) -> tuple[dict[str, Image], Placement]:
    """A tile of the frame, and of its reference, as the graph takes them: (1, height, width, 3) each."""
    place = placement(tile.width, tile.height, spec.inputs[0])
    pictures = {IMAGE: image} if reference is None else {IMAGE: image, REFERENCE: reference}
    inputs = {}
    for one, (name, picture) in zip(spec.inputs, pictures.items(), strict=True):
        inputs[name] = np.empty((1, one.height, one.width, 3), np.uint8)
        letterbox_into(picture[tile.window], inputs[name][0], place, one)
    return inputs, place


def _reference(spec: ModelSpec, image: Image, reference: Image | Path | None) -> Image | None:
    if len(spec.inputs) == 1:
        return None
    if reference is None:
        raise ModelError("this detector compares with a golden reference: give one for each image")
    pixels = _pixels(reference)
    if pixels.shape != image.shape:
        raise ModelError(
            f"the reference is {pixels.shape[1]}x{pixels.shape[0]}, the image {image.shape[1]}x{image.shape[0]}"
        )
    return pixels


def _pixels(image: Image | Path) -> Image:
    return read_image(image) if isinstance(image, Path) else image
