"""Labelled pictures that a test paints itself: bright discs and dark bars on uneven grey, with golden references."""

from pathlib import Path

import cv2
import numpy as np

from models.dataset.records import Dataset, LabelledImage, Truth

CLASSES = ("disc", "bar")


def painted_dataset(
    folder: Path, count: int, *, size: tuple[int, int] = (96, 96), reference: bool = False, seed: int = 0
) -> Dataset:
    """`count` images (height, width) with one or two defects each, as PNG files; every fifth has none."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [
        _painted(
            folder,
            index,
            size,
            folder / f"{index:03}_golden.png" if reference else None,
            np.random.default_rng((seed, index)),
        )
        for index in range(count)
    ]
    return Dataset(folder, "coco", CLASSES, tuple(images))


def _painted(
    folder: Path, index: int, size: tuple[int, int], golden: Path | None, rng: np.random.Generator
) -> LabelledImage:
    low, high, cells = (90, 150, 6) if golden is None else (50, 200, 12)  # a reference needs something to be laid by
    coarse = rng.integers(low, high, (cells, cells)).astype(np.uint8)
    good = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)
    image, boxes, ids = good.copy(), [], []
    for _ in range(0 if index % 5 == 4 else rng.integers(1, 3)):
        box, class_id = _draw(image, rng)
        boxes.append(box)
        ids.append(class_id)
    path = folder / f"{index:03}.png"
    cv2.imwrite(str(path), image)
    if golden is not None:
        cv2.imwrite(str(golden), good)
    truth = Truth(np.array(boxes, np.float32).reshape(-1, 4), np.array(ids, np.int32))
    return LabelledImage(path.name, path, size[1], size[0], truth, bool(boxes), golden, group=str(index))


def _draw(image: np.ndarray, rng: np.random.Generator) -> tuple[list[int], int]:
    height, width = image.shape
    x, y = int(rng.integers(14, width - 14)), int(rng.integers(14, height - 14))
    if rng.random() < 0.5:
        radius = int(rng.integers(5, 9))
        cv2.circle(image, (x, y), radius, 240, -1)
        return [x - radius, y - radius, x + radius + 1, y + radius + 1], 0
    half_width, half_height = int(rng.integers(8, 12)), int(rng.integers(3, 5))
    image[y - half_height : y + half_height, x - half_width : x + half_width] = 15
    return [x - half_width, y - half_height, x + half_width, y + half_height], 1
