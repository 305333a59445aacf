from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.near_twins import groups


def part(seed: int) -> NDArray[np.uint8]:
    """A part with a common outline and a grain of its own."""
    random = np.random.default_rng(seed)
    grain = cv2.resize(random.integers(90, 170, (12, 12), np.uint8), (120, 120), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(grain, (10, 50), (110, 60), 20, -1)
    return np.dstack([grain] * 3)


def seen_again(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(image * 0.8 + 10 + noise, 0, 255).astype(np.uint8)


def test_the_same_part_darker_and_noisier_is_a_twin_and_another_part_is_not() -> None:
    images = [part(seed) for seed in range(20)]
    images += [seen_again(images[3], 1), seen_again(images[7], 2), seen_again(images[3], 3)]
    assert groups(images).tolist() == [*range(20), 3, 7, 3]


def test_sizes_may_differ_and_nothing_gives_nothing() -> None:
    images = [part(seed) for seed in range(10)]
    small = cv2.resize(images[4], (80, 80), interpolation=cv2.INTER_AREA)
    assert groups([*images, np.asarray(small, np.uint8)]).tolist() == [*range(10), 4]
    assert groups([]).tolist() == []


@pytest.mark.long
def test_solar_cells_have_as_many_twins_as_were_counted(cells: list[tuple[Path, float]]) -> None:
    """The set is known to hold about 595 cells with a near-twin; missing them flatters every figure on it."""
    images = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path, _ in cells]
    _, sizes = np.unique(groups(images), return_counts=True)
    assert sizes[sizes > 1].sum() == pytest.approx(595, abs=15)
    assert sizes.max() < 100
