"""Pictures that carry the time they were taken at, in blocks that survive JPEG and H.264; needs no numpy.

To the tests' blob bundle a picture is good: its blocks are two soft greys. The clock is CLOCK_MONOTONIC, which all
processes of a machine share, so a test compares a picture's time with its own.
"""

import time
from typing import Any

WIDTH, HEIGHT = 320, 240
COLUMNS, ROWS = 8, 6
_DARK, _LIGHT, _MIDDLE = 96, 160, 128
_BYTES = COLUMNS * ROWS // 8


def clock_ms() -> int:
    """Now, milliseconds of the machine's monotonic clock."""
    return time.monotonic_ns() // 1_000_000


def pixels(taken_ms: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A picture (height, width, 3) uint8 that says when it was taken, row after row."""
    data = taken_ms.to_bytes(_BYTES - 1, "big")
    content = b""
    for byte in (*data, sum(data) % 256):
        greys = (_LIGHT if byte >> (7 - bit) & 1 else _DARK for bit in range(COLUMNS))
        line = b"".join(bytes([grey]) * (3 * width // COLUMNS) for grey in greys)
        content += line * (height // ROWS)
    return content


def taken_ms(image: Any) -> int:  # noqa: ANN401 - an array, whose library this file does not import
    """When the picture was taken. Raises ValueError when it cannot be read: damaged, or none of ours."""
    height, width = image.shape[0] // ROWS, image.shape[1] // COLUMNS

    def lit(row: int, column: int) -> bool:
        top, left = row * height, column * width
        block = image[top + height // 4 : top + height * 3 // 4, left + width // 4 : left + width * 3 // 4]
        return bool(block.mean() > _MIDDLE)

    data = [sum(lit(row, column) << (7 - column) for column in range(COLUMNS)) for row in range(ROWS)]
    if sum(data[:-1]) % 256 != data[-1]:
        raise ValueError("the picture's time cannot be read")
    return int.from_bytes(bytes(data[:-1]), "big")
