"""Pictures that are small files and large in memory."""

import struct
import zlib


def png_bomb(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel: 20,000 x 20,000 are 48 KB."""
    press, row = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    rows = b"".join(press.compress(row) for _ in range(height)) + press.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def jpeg_saying(jpeg: bytes, width: int, height: int) -> bytes:
    """A whole JPEG whose head claims another size."""
    at = next(place for place in range(len(jpeg)) if jpeg[place : place + 2] in {b"\xff\xc0", b"\xff\xc2"})
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
