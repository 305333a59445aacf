"""From an industrial camera's buffer to an image: one conversion, which is also the one copy."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain.errors import CameraError
from edge.domain.frame import Image

# GenICam's names say what the first row begins with; OpenCV's four-letter names are the same pattern.
# Codes: GenICam Pixel Format Naming Convention 2.4.
_ONE_BYTE = {
    0x01080001: ("Mono8", cv2.COLOR_GRAY2BGR),
    0x01080008: ("BayerGR8", cv2.COLOR_BayerGRBG2BGR),
    0x01080009: ("BayerRG8", cv2.COLOR_BayerRGGB2BGR),
    0x0108000A: ("BayerGB8", cv2.COLOR_BayerGBRG2BGR),
    0x0108000B: ("BayerBG8", cv2.COLOR_BayerBGGR2BGR),
}
_RGB8, _BGR8 = 0x02180014, 0x02180015
PIXEL_FORMATS = (*(name for name, _ in _ONE_BYTE.values()), "RGB8", "BGR8")


def bgr_image(pixels: NDArray[np.uint8], pixel_format: int, width: int, height: int) -> Image:
    """A buffer's image, (H, W, 3) uint8 BGR, in memory of its own.

    Args:
        pixels: (size,) uint8, rows without padding.
        pixel_format: code of the pixel format.
        width: of the image, pixels.
        height: of the image, pixels.

    Raises:
        CameraError: a format that is not read, or not as many bytes as the image has.
    """
    channels = 1 if pixel_format in _ONE_BYTE else 3
    if pixel_format not in _ONE_BYTE and pixel_format not in {_RGB8, _BGR8}:
        raise CameraError(
            f"pixel format {pixel_format:#010x} is not read: set camera.pixel_format to one of "
            f"{', '.join(PIXEL_FORMATS)}"
        )
    wanted = width * height * channels
    if len(pixels) != wanted or not wanted:
        raise CameraError(
            f"expected {width} x {height} x {channels} bytes of image, got {len(pixels)}: padded rows are not read"
        )
    rows = pixels.reshape(height, width, channels)
    if pixel_format == _BGR8:
        return rows.copy()
    code = cv2.COLOR_RGB2BGR if pixel_format == _RGB8 else _ONE_BYTE[pixel_format][1]
    return np.asarray(cv2.cvtColor(rows, code), np.uint8)
