from pathlib import Path

import cv2
import numpy as np
import pytest

from models.synthetic import Painted, with_defect


def plain(height: int = 120, width: int = 160) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(100, 140, (height, width, 3), np.uint8)


def donor() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(60, 90, (120, 160, 3), np.uint8)


def test_the_same_seed_paints_the_same_defect_and_another_seed_another() -> None:
    first = with_defect(plain(), [donor()], 5)
    np.testing.assert_array_equal(first, with_defect(plain(), [donor()], 5))
    assert (first != with_defect(plain(), [donor()], 6)).any()


@pytest.mark.parametrize("seed", range(40))
def test_every_defect_changes_something_and_leaves_most_as_it_was(seed: int) -> None:
    frame = plain()
    before = frame.copy()
    changed = (with_defect(frame, [donor()], seed) != frame).any(axis=2).mean()
    assert 0 < changed < 0.15
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("shape", [(32, 500), (500, 32), (32, 32)], ids=str)
def test_frames_of_any_shape_take_a_defect(shape: tuple[int, int]) -> None:
    frame = plain(*shape)
    results = [with_defect(frame, [donor()], seed) for seed in range(20)]
    assert all(result.shape == frame.shape and result.dtype == np.uint8 for result in results)
    assert all((result != frame).any() for result in results)


def test_painted_frames_are_painted_one_by_one_and_alike_each_time(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path in paths:
        cv2.imwrite(str(path), plain())
    painted = Painted(paths, 1)
    assert len(painted) == len(list(painted)) == 3
    for index in range(3):
        np.testing.assert_array_equal(painted[index], Painted(paths, 1)[index])
        assert (painted[index] != plain()).any()
    assert (painted[0] != painted[1]).any()
    assert (painted[0] != Painted(paths, 2)[0]).any()
