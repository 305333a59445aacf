from dataclasses import replace

import numpy as np
import pytest

from models.detections import Affine, Detections
from models.errors import ModelError
from models.letterbox import Placement, letterbox_into, placement
from models.spec import Fit, InputSpec, Kind, ModelId, ModelSpec, Precision

BOXES = np.array([[0, 0, 2, 2]], np.float32)
SCORES = np.array([0.5], np.float32)
CLASSES = np.zeros(1, np.int32)


def test_looked_and_saw_nothing_is_an_answer() -> None:
    assert len(Detections.none()) == 0
    assert Detections.none().frame_score == 0
    assert Detections.none(np.full((2, 2), 0.25, np.float32)).frame_score == 0.25
    assert Detections(BOXES, SCORES, CLASSES).frame_score == 0.5


@pytest.mark.parametrize(
    ("boxes", "scores", "classes", "heat"),
    [
        pytest.param(BOXES[:, :3], SCORES, CLASSES, None, id="boxes of three"),
        pytest.param(BOXES.astype(np.float64), SCORES, CLASSES, None, id="another dtype"),
        pytest.param(BOXES, SCORES[:0], CLASSES, None, id="a score is missing"),
        pytest.param(BOXES, SCORES + 1, CLASSES, None, id="score above 1"),
        pytest.param(BOXES, SCORES - 1, CLASSES, None, id="score below 0"),
        pytest.param(BOXES, SCORES * np.float32("nan"), CLASSES, None, id="score NaN"),
        pytest.param(BOXES * np.float32("nan"), SCORES, CLASSES, None, id="box NaN"),
        pytest.param(-BOXES, SCORES, CLASSES, None, id="ends before it starts"),
        pytest.param(BOXES, SCORES, CLASSES - 1, None, id="negative class"),
        pytest.param(BOXES, SCORES, CLASSES, np.full((2, 2), np.inf, np.float32), id="map infinite"),
        pytest.param(BOXES, SCORES, CLASSES, np.zeros((1, 2, 2), np.float32), id="map of three dimensions"),
    ],
)
def test_detections_that_cannot_be_trusted_are_refused(
    boxes: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    heat: np.ndarray | None,  # type: ignore[type-arg]
) -> None:
    with pytest.raises(ModelError):
        Detections(boxes, scores, classes, heat)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(("", 1, "0" * 64), id="no id"),
        pytest.param(("A b", 1, "0" * 64), id="bad id"),
        pytest.param(("ok", 0, "0" * 64), id="version 0"),
        pytest.param(("ok", 1, "0" * 63), id="short digest"),
    ],
)
def test_a_model_that_is_not_named_for_ever_is_refused(fields: tuple[str, int, str]) -> None:
    with pytest.raises(ModelError):
        ModelId(*fields, Precision.INT8)


@pytest.mark.parametrize("classes", [pytest.param((), id="none"), pytest.param(("a", "a"), id="one twice")])
def test_classes_are_named_once(classes: tuple[str, ...]) -> None:
    with pytest.raises(ModelError):
        ModelSpec(Kind.ANOMALY, classes, (InputSpec("image", 8, 8),))


@pytest.mark.parametrize(
    ("width", "height", "pad"),
    [pytest.param(0, 8, 0, id="no width"), pytest.param(8, 0, 0, id="no height"), pytest.param(8, 8, 256, id="pad")],
)
def test_an_input_has_a_size_and_a_padding(width: int, height: int, pad: int) -> None:
    with pytest.raises(ModelError):
        InputSpec("image", height, width, pad)


def test_whatever_the_frame_it_is_placed_inside_and_boxes_come_back() -> None:
    rng = np.random.default_rng(11)
    spec = InputSpec("image", 48, 64)
    for _ in range(300):
        width, height = (int(side) for side in rng.integers(1, 900, 2))
        place = placement(width, height, spec)
        assert place.left >= 0
        assert place.top >= 0
        assert place.left + place.width <= spec.width
        assert place.top + place.height <= spec.height
        whole = np.array([[place.left, place.top, place.left + place.width, place.top + place.height]], np.float32)
        assert np.allclose(place.to_frame_xyxy(whole), [[0, 0, width, height]], rtol=1e-4, atol=1e-2)
        outside = place.to_frame_xyxy(np.array([[-9, -9, 999, 999]], np.float32))
        assert outside.tolist() == [[0, 0, width, height]]


def framed(grid: tuple[int, int], cell: tuple[int, int], place: Placement, spec: InputSpec) -> list[float]:
    """The upright box around a cell (column, row) of a grid (columns, rows), in the frame's pixels."""
    across, down = np.array(place.grid_to_frame(*grid, spec))
    corners = np.array([(cell[0] + x, cell[1] + y, 1) for x in (0, 1) for y in (0, 1)])
    xs, ys = corners @ across, corners @ down
    return [float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())]


TURNED = ((1.5, -0.2, 9.0), (0.2, 1.5, 4.0))


@pytest.mark.parametrize(
    ("fit", "turned"),
    [
        pytest.param(Fit.LETTERBOX, None, id="letterboxed"),
        pytest.param(Fit.STRETCH, None, id="stretched"),
        pytest.param(Fit.LETTERBOX, TURNED, id="laid on a reference"),
    ],
)
def test_a_cell_of_a_grid_lies_on_the_frame_where_a_box_of_that_cell_does(fit: Fit, turned: Affine | None) -> None:
    spec = InputSpec("image", 48, 64, fit=fit)
    for size in ((64, 48), (900, 200), (120, 700)):
        place = replace(placement(*size, spec), to_frame=turned)
        for column, row in ((2, 1), (4, 3), (7, 5)):
            box = np.array([[column * 8, row * 8, column * 8 + 8, row * 8 + 8]], np.float32)
            limit = np.array([*size, *size])
            found = np.clip(framed((8, 6), (column, row), place, spec), 0, limit)
            assert np.allclose(found, place.to_frame_xyxy(box)[0], atol=1e-2), (size, column, row)


def test_a_grid_over_padding_reaches_beyond_the_frame_by_as_much() -> None:
    spec = InputSpec("image", 64, 64)
    (x, _, left), (_, y, top) = placement(128, 32, spec).grid_to_frame(8, 8, spec)
    assert (x, y, left, top) == (16, 16, 0, -48)


def test_around_the_frame_is_padding_even_where_another_frame_was() -> None:
    spec = InputSpec("image", 8, 8, 7)
    tensor = np.full((8, 8, 3), 255, np.uint8)
    letterbox_into(np.full((2, 4, 3), 99, np.uint8), tensor, placement(4, 2, spec), spec)
    assert (tensor[:2] == 7).all()
    assert (tensor[2:6] == 99).all()
    assert (tensor[6:] == 7).all()
