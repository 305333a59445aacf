import numpy as np
import pytest
from numpy.typing import NDArray

from models.detections import Detections
from models.errors import ModelError
from models.letterbox import letterbox_into, placement
from models.spec import InputSpec, Kind, ModelId, ModelSpec, Precision

BOX = np.array([[1, 2, 3, 4]], np.float32)
SCORE = np.array([0.5], np.float32)
CLASS = np.array([0], np.int32)


@pytest.mark.parametrize(
    ("boxes", "scores", "classes", "heat"),
    [
        pytest.param(BOX[:, :3], SCORE, CLASS, None, id="three-numbers"),
        pytest.param(BOX.astype(np.float64), SCORE, CLASS, None, id="float64"),
        pytest.param(BOX, SCORE + 1, CLASS, None, id="score-above-1"),
        pytest.param(BOX, SCORE * np.nan, CLASS, None, id="nan-score"),
        pytest.param(BOX * np.inf, SCORE, CLASS, None, id="endless-box"),
        pytest.param(BOX[:, ::-1].copy(), SCORE, CLASS, None, id="ends-before-it-starts"),
        pytest.param(BOX, SCORE, CLASS - 1, None, id="class-below-0"),
        pytest.param(BOX, SCORE, CLASS[:0], None, id="class-missing"),
        pytest.param(BOX, SCORE, CLASS, np.full((2, 2), np.nan, np.float32), id="nan-map"),
        pytest.param(BOX, SCORE, CLASS, np.zeros(4, np.float32), id="flat-map"),
    ],
)
def test_detections_that_cannot_be_trusted_are_refused(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int32],
    heat: NDArray[np.float32] | None,
) -> None:
    with pytest.raises(ModelError):
        Detections(boxes, scores, classes, heat)


def test_good_detections_are_kept_as_they_are() -> None:
    found = Detections(BOX, SCORE, CLASS, np.zeros((2, 2), np.float32))
    assert len(found) == 1
    assert len(Detections.none()) == 0


@pytest.mark.parametrize(
    ("width", "height"), [(300, 300), (1920, 1080), (100, 900), (1, 1)], ids=["square", "wide", "tall", "dot"]
)
def test_a_box_on_the_input_goes_back_to_where_it_was_on_the_frame(width: int, height: int) -> None:
    place = placement(width, height, InputSpec("image", 256, 256))
    assert max(place.width, place.height) == 256
    corners = np.array([[place.left, place.top, place.left + place.width, place.top + place.height]], np.float32)
    np.testing.assert_allclose(place.to_frame_xyxy(corners), [[0, 0, width, height]], atol=1e-3)


def test_letterboxing_pads_around_and_overwrites_what_was_there() -> None:
    spec = InputSpec("image", 64, 64, pad_value=7)
    tensor = np.full((64, 64, 3), 255, np.uint8)
    letterbox_into(np.full((20, 40, 3), 100, np.uint8), tensor, placement(40, 20, spec), spec)
    assert set(np.unique(tensor[:16])) == set(np.unique(tensor[48:])) == {7}
    assert set(np.unique(tensor[16:48])) == {100}


@pytest.mark.parametrize(
    ("bundle_id", "version", "digest"),
    [
        pytest.param("Cells", 1, "0" * 64, id="upper-case"),
        pytest.param("../cells", 1, "0" * 64, id="path"),
        pytest.param("cells", 0, "0" * 64, id="version-0"),
        pytest.param("cells", 1, "0" * 63, id="short-digest"),
    ],
)
def test_an_identity_that_is_none_is_refused(bundle_id: str, version: int, digest: str) -> None:
    with pytest.raises(ModelError):
        ModelId(bundle_id, version, digest, Precision.INT8)


def test_a_spec_without_sense_is_refused() -> None:
    image = InputSpec("image", 8, 8)
    for classes, inputs in (((), (image,)), (("a", "a"), (image,)), (("a",), ())):
        with pytest.raises(ModelError):
            ModelSpec(Kind.ANOMALY, classes, inputs)
    for height, pad_value in ((0, 114), (8, 256)):
        with pytest.raises(ModelError):
            InputSpec("image", height, 8, pad_value)
