import numpy as np
import pytest

from edge.capture.industrial.pixels import bgr_image
from edge.domain.errors import CameraError

MONO8, RGB8, BGR8, MONO12 = 0x01080001, 0x02180014, 0x02180015, 0x01100005
BAYER = {"GR": 0x01080008, "RG": 0x01080009, "GB": 0x0108000A, "BG": 0x0108000B}
COLOUR = {"R": 200, "G": 120, "B": 40}
WIDTH, HEIGHT = 16, 12


def mosaic(first_row: str) -> np.ndarray:
    """What a sensor of this pattern sees of one colour."""
    other = {"R": "B", "B": "R"}[first_row.strip("G")]
    second_row = other + "G" if first_row[0] == "G" else "G" + other
    pattern = np.array([[COLOUR[letter] for letter in row] for row in (first_row, second_row)], np.uint8)
    return np.tile(pattern, (HEIGHT // 2, WIDTH // 2)).ravel()


@pytest.mark.parametrize("first_row", [pytest.param(name, id=f"Bayer{name}8") for name in BAYER])
def test_a_bayer_pattern_becomes_the_colour_that_was_seen(first_row: str) -> None:
    image = bgr_image(mosaic(first_row), BAYER[first_row], WIDTH, HEIGHT)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert (image[2:-2, 2:-2] == (COLOUR["B"], COLOUR["G"], COLOUR["R"])).all()


def test_grey_and_colour_keep_every_bit() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, WIDTH * HEIGHT * 3, np.uint8)
    rows = pixels.reshape(HEIGHT, WIDTH, 3)
    grey = bgr_image(pixels[: WIDTH * HEIGHT], MONO8, WIDTH, HEIGHT)
    assert all((grey[..., channel].ravel() == pixels[: WIDTH * HEIGHT]).all() for channel in range(3))
    assert (bgr_image(pixels, BGR8, WIDTH, HEIGHT) == rows).all()
    assert (bgr_image(pixels, RGB8, WIDTH, HEIGHT) == rows[..., ::-1]).all()


@pytest.mark.parametrize("pixel_format", [pytest.param(code, id=f"{code:#x}") for code in (MONO8, RGB8, BGR8)])
def test_the_image_is_its_own_when_the_buffer_is_used_again(pixel_format: int) -> None:
    pixels = np.full(WIDTH * HEIGHT * (1 if pixel_format == MONO8 else 3), 7, np.uint8)
    image = bgr_image(pixels, pixel_format, WIDTH, HEIGHT)
    pixels[:] = 9
    assert (image == 7).all()


@pytest.mark.parametrize(
    ("size", "pixel_format", "width", "says"),
    [
        pytest.param(WIDTH * HEIGHT * 2, MONO12, WIDTH, "0x01100005 is not read.*Mono8", id="a format of 12 bits"),
        pytest.param(
            WIDTH * HEIGHT - 1, MONO8, WIDTH, "expected 16 x 12 x 1 bytes of image, got 191", id="a short one"
        ),
        pytest.param(WIDTH * HEIGHT, RGB8, WIDTH, "got 192", id="grey that says it is colour"),
        pytest.param(0, MONO8, 0, "got 0", id="nothing"),
        pytest.param((WIDTH + 4) * HEIGHT, MONO8, WIDTH, "got 240: padded rows are not read", id="padded rows"),
    ],
)
def test_what_cannot_be_read_is_a_camera_error(size: int, pixel_format: int, width: int, says: str) -> None:
    with pytest.raises(CameraError, match=says):
        bgr_image(np.zeros(size, np.uint8), pixel_format, width, HEIGHT)
