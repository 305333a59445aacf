"""How large a stored picture is, by its first bytes alone: boxes are in its pixels, whatever width is shown."""

import struct
from pathlib import Path

_HEAD_BYTES = 65536
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def size_in_file(path: Path) -> tuple[int, int] | None:
    """(width, height) in pixels; None where the file is gone or no picture of ours."""
    try:
        with path.open("rb") as file:
            return size_of(file.read(_HEAD_BYTES))
    except OSError:
        return None


def size_of(head: bytes) -> tuple[int, int] | None:
    """(width, height) by the first bytes of a JPEG or PNG; None where they are of neither, or too few."""
    try:
        if head.startswith(_PNG):
            width, height = struct.unpack_from(">II", head, 16)
            return width, height
        return _size_of_jpeg(head) if head.startswith(_JPEG) else None
    except (struct.error, IndexError):
        return None


def _size_of_jpeg(head: bytes) -> tuple[int, int] | None:
    at = len(_JPEG)
    while head[at] == 0xFF:  # noqa: PLR2004 - every marker begins with it
        marker = head[at + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 if marker in _BARE_MARKERS else 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None
