"""What a detector's graph answered, as `Detections`: read in one place for station, self-test, gate and evaluation."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import openvino as ov

from models.alignment import Golden
from models.detections import Detections
from models.errors import AlignmentError, ModelError
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
    if not np.isfinite(boxes).all():
        raise ModelError("the detector answered with a box that is not finite: its graph is broken")
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
    on_misfit: Callable[[int, AlignmentError], None] | None = None,
) -> list[Detections]:
    """Every image's findings, in the order given: references laid on their images, tiles merged.

    Args:
        compiled: a detector's graph.
        images: (H, W, 3) uint8 BGR arrays, or files of such.
        spec: the graph's inputs and classes, how frames are cut and how references are aligned.
        references: golden images, where the graph compares with one.
        advance: called once per started image.
        on_misfit: told of each image that its reference does not explain, which a station calls UNDECIDED; nothing is
            found on it. If left out, such an image is an error.

    Raises:
        ModelError: an image cannot be read, a reference is missing, or an answer is broken.
        AlignmentError: a reference does not fit its image.
    """
    looking = _Looking(compiled, spec, len(images))
    for index, image in enumerate(images):
        pixels = _pixels(image)
        try:
            golden = _golden(spec, pixels, None if references is None else references[index])
        except AlignmentError as misfit:
            if on_misfit is None:
                raise AlignmentError(f"{_name(image, index)}: {misfit}") from misfit
            on_misfit(index, misfit)
        else:
            looking.start(index, pixels, golden)
        if advance:
            advance()
    return looking.end()


class _Looking:
    """Requests on their way, and what came back, by image."""

    def __init__(self, compiled: ov.CompiledModel, spec: ModelSpec, count: int) -> None:
        self._spec = spec
        self._sizes = [(0, 0)] * count
        self._found: list[list[tuple[Tile, Detections]]] = [[] for _ in range(count)]
        self._faults: list[ModelError] = []
        self._queue = ov.AsyncInferQueue(compiled)
        self._queue.set_callback(self._take)

    def start(self, index: int, image: Image, golden: Image | None) -> None:
        self._sizes[index] = image.shape[1], image.shape[0]
        for tile in tiles(*self._sizes[index], self._spec.tiling):
            inputs, place = model_inputs(image, golden, tile, self._spec)
            self._queue.start_async(inputs, (index, tile, place))

    def end(self) -> list[Detections]:
        self._queue.wait_all()
        if self._faults:
            raise self._faults[0]
        parts = (sorted(found, key=lambda part: (part[0].top, part[0].left)) for found in self._found)
        return [merge(found, *size) for found, size in zip(parts, self._sizes, strict=True)]

    def _take(self, request: ov.InferRequest, what: tuple[int, Tile, Placement]) -> None:
        index, tile, place = what
        try:
            self._found[index].append((tile, read_answer(request, place, len(self._spec.classes))))
        except ModelError as fault:
            self._faults.append(fault)


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


def _golden(spec: ModelSpec, image: Image, reference: Image | Path | None) -> Image | None:
    """The reference as it lies on the image; None where the detector compares with none."""
    if not spec.compares:
        return None
    if reference is None:
        raise ModelError("this detector compares with a golden reference: give one for each image")
    return Golden(_pixels(reference), spec.alignment).onto(image)


def _name(image: Image | Path, index: int) -> str:
    return image.name if isinstance(image, Path) else f"image {index}"


def _pixels(image: Image | Path) -> Image:
    return read_image(image) if isinstance(image, Path) else image
