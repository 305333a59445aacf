"""A sample's image out of the blob store: its bytes checked, its size in pixels as training will decode it."""

import hashlib

import cv2

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.errors import LabelError
from models.decoding import decoded

_MARKS = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"RIFF", ".webp"),
)


def read_blob(blobs: Blobs, sha256: str, size_bytes: int) -> bytes:
    """All bytes. Raises BlobError, LabelError where they are not what their name says."""
    content = blobs.read(sha256, 0, size_bytes)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise LabelError(f"image {sha256} is damaged in the blob store: restore it")
    return content


def suffix_of(content: bytes) -> str:
    """What a file of these bytes is called at its end; "" for no image that we read."""
    return next((suffix for mark, suffix in _MARKS if content.startswith(mark)), "")


def size_px(content: bytes) -> tuple[int, int] | None:
    """(width, height), None for what is no readable image."""
    pixels = decoded(content, cv2.IMREAD_GRAYSCALE)
    return None if pixels is None else (int(pixels.shape[1]), int(pixels.shape[0]))
