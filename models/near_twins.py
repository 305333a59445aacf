"""Which images show the same part: near-identical ones must never lie on both sides of a split."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.letterbox import Image

_SIDE = 64
_BLUR = 33
_CORRELATION = 0.965
_CHUNK = 1024
_TINY = 1e-6


def groups(images: Sequence[Image]) -> NDArray[np.int64]:
    """A group number per image; images in one group are near-twins, directly or through others.

    Two images are near-twins when what sets them apart from the set's mean image correlates at 0.965 or more, on
    64 x 64 grey thumbnails without their slow shading and contrast, so that exposure does not hide a twin. The mean is
    taken out because parts before one camera are alike anyway. On the 2,624 solar cells of `elpv-dataset` that marks
    594: the same cell in another shot, and cells so alike that they would flatter a test.

    Args:
        images: N images (H, W, 3) or (H, W) uint8, of any size.

    Returns:
        (N,) int64: the smallest index in the image's group.
    """
    return thumbnail_groups([thumbnail(image) for image in images])


def thumbnail_groups(thumbnails: Sequence[NDArray[np.float32]]) -> NDArray[np.int64]:
    """As `groups`, from thumbnails, so that large frames need not be held."""
    if not thumbnails:
        return np.zeros(0, np.int64)
    apart = np.stack(thumbnails) - np.mean(thumbnails, axis=0)
    apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), np.float32(_TINY))
    return _join(apart)


def thumbnail(image: Image) -> NDArray[np.float32]:
    """What `groups` compares of an image: (4096,) float32."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # noqa: PLR2004 - grey has two axes
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    flat = (small - cv2.blur(small, (_BLUR, _BLUR))).ravel()
    return flat / max(float(np.linalg.norm(flat)), _TINY)


def _join(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Connected components of "correlates enough", by union of the smaller index."""
    root = np.arange(len(vectors))
    for start in range(0, len(vectors), _CHUNK):
        rows, columns = np.nonzero(vectors[start : start + _CHUNK] @ vectors.T >= _CORRELATION)
        for left, right in zip(rows + start, columns, strict=True):
            first, second = sorted((_find(root, int(left)), _find(root, int(right))))
            root[second] = first
    return np.array([_find(root, index) for index in range(len(vectors))], np.int64)


def _find(root: NDArray[np.int64], index: int) -> int:
    while root[index] != index:
        root[index] = root[root[index]]
        index = int(root[index])
    return index
