"""Brushed plates with four holes, made by the tests: good ones, and by label some with a stain or a scratch."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def plate(seed: int) -> NDArray[np.uint8]:
    """A brushed plate with four holes, lit and placed a little differently each time: (140, 180, 3) uint8."""
    random = np.random.default_rng(seed)
    brushed = cv2.blur(random.normal(0, 30, (140, 180)).astype(np.float32), (25, 1)) * 4
    image = np.clip(150 + random.normal(0, 6) + brushed, 0, 255).astype(np.uint8)
    for x, y in ((30, 30), (150, 30), (30, 110), (150, 110)):
        centre = (x + int(random.integers(-2, 3)), y + int(random.integers(-2, 3)))
        cv2.circle(image, centre, 9, 30, -1, cv2.LINE_AA)
    return np.dstack([image] * 3)


def write_plates(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:04d}.png"), plate(index))
    return folder


def labelled_plates(root: Path, good: int, bad: int) -> Path:
    """`good`, and `bad` each of `stain` (with masks) and `scratch` (without)."""
    write_plates(root / "good", good)
    random = np.random.default_rng(5)
    for kind in ("stain", "scratch", "masks/stain"):
        (root / kind).mkdir(parents=True)
    for index in range(bad):
        x, y = (int(value) for value in random.integers((50, 40), (130, 100)))
        stained, scratched, mask = plate(1000 + index), plate(2000 + index), np.zeros((140, 180), np.uint8)
        cv2.circle(mask, (x, y), 12, 255, -1)
        stained[mask > 0] //= 2
        cv2.line(scratched, (x - 25, y - 20), (x + 25, y + 20), (250, 250, 250), 3)
        cv2.imwrite(str(root / "stain" / f"{index:03}.png"), stained)
        cv2.imwrite(str(root / "masks" / "stain" / f"{index:03}.png"), mask)
        cv2.imwrite(str(root / "scratch" / f"{index:03}.png"), scratched)
    return root
