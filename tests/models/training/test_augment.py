from dataclasses import replace

import numpy as np
import pytest

from models.training.augment import Augmentation, Sample, augment, mosaic

STILL = Augmentation(64, (1.0, 1.0), stretch=1.0, light=0.0, noise=0.0, reference_shift_px=0.0)


def bright_box(width: int = 200, height: int = 150) -> Sample:
    image = np.full((height, width, 1), 60, np.uint8)
    image[40:60, 90:130] = 250
    return Sample(image, image.copy(), np.array([[90, 40, 130, 60]], np.float32), np.array([3], np.int32))


@pytest.mark.parametrize("seed", range(16))
def test_boxes_move_with_their_pixels_through_crops_turns_and_scales(seed: int) -> None:
    how = replace(STILL, scales=(0.6, 1.4), stretch=1.2)
    seen = augment(bright_box(), how, np.random.default_rng(seed))
    rows, columns = np.nonzero(seen.image[..., 0] > 155)
    if not len(seen.boxes_xyxy):
        assert len(rows) < 500
        return
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.abs(found - seen.boxes_xyxy[0]).max() <= 1.5
    assert seen.class_ids.tolist() == [3]


@pytest.mark.parametrize("seed", range(6))
def test_the_reference_moves_as_the_image_does(seed: int) -> None:
    seen = augment(bright_box(), replace(STILL, scales=(0.6, 1.4)), np.random.default_rng(seed))
    assert seen.reference is not None
    assert np.array_equal(seen.image, seen.reference)


def test_the_reference_may_lie_a_little_beside_the_image() -> None:
    how = replace(STILL, reference_shift_px=3.0)
    apart = [augment(bright_box(), how, np.random.default_rng(seed)) for seed in range(8)]
    assert any(not np.array_equal(seen.image, seen.reference) for seen in apart)


def test_the_same_generator_gives_the_same_picture_and_another_one_another() -> None:
    how = Augmentation(64, (0.8, 1.2))
    first, again, other = (augment(bright_box(), how, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_crops_lie_on_defects_as_often_as_asked() -> None:
    sample, always = bright_box(2000, 2000), replace(STILL, on_defect=1.0)
    assert all(len(augment(sample, always, np.random.default_rng(seed)).boxes_xyxy) for seed in range(20))
    never = replace(STILL, on_defect=0.0)
    assert sum(len(augment(sample, never, np.random.default_rng(seed)).boxes_xyxy) for seed in range(20)) < 5


def poses(upright: float) -> list[bool]:
    """Whether each of some pictures lies as it was given."""
    image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64, 1) // 3
    sample = Sample(image, None, np.array([[10, 10, 30, 20]], np.float32), np.array([0], np.int32))
    how = replace(STILL, upright=upright)
    seen = [augment(sample, how, np.random.default_rng(seed)) for seed in range(200)]
    return [np.array_equal(picture.image, sample.image) for picture in seen]


def test_pictures_keep_their_pose_as_often_as_asked() -> None:
    assert all(poses(1.0))
    assert sum(poses(0.0)) < 50
    assert 80 < sum(poses(0.5)) < 140


@pytest.mark.parametrize("sides", [(400, 1), (1, 400), (1, 1), (300, 2)])
def test_a_thin_defect_is_never_learned_as_background(sides: tuple[int, int]) -> None:
    width, height = sides
    image = np.full((640, 640, 1), 60, np.uint8)
    image[200 : 200 + height, 100 : 100 + width] = 250
    box = np.array([[100, 200, 100 + width, 200 + height]], np.float32)
    how = Augmentation(320, (0.6, 1.2), on_defect=1.0)
    for seed in range(40):
        seen = augment(Sample(image, None, box, np.array([0], np.int32)), how, np.random.default_rng(seed))
        if seen.image.max() > 200:
            assert len(seen.boxes_xyxy) == 1 or (seen.image > 200).sum() < 0.4 * width * height
        for left, top, right, bottom in seen.boxes_xyxy:
            assert min(right - left, bottom - top) >= 1.0
    middles = [
        augment(Sample(image, None, box, np.array([0], np.int32)), how, np.random.default_rng(seed)).boxes_xyxy
        for seed in range(40)
    ]
    assert sum(len(boxes) for boxes in middles) >= 20


def test_a_box_of_which_little_is_left_is_dropped() -> None:
    sample = Sample(
        np.zeros((64, 200, 1), np.uint8), None, np.array([[50, 10, 150, 30]], np.float32), np.zeros(1, np.int32)
    )
    counts = []
    for seed in range(60):
        seen = augment(sample, replace(STILL, on_defect=0.0), np.random.default_rng(seed))
        counts.append(len(seen.boxes_xyxy))
        areas = [(right - left) * (bottom - top) for left, top, right, bottom in seen.boxes_xyxy]
        assert all(area > 0.3 * 2000 for area in areas)
    assert 0 in counts
    assert 1 in counts


def test_light_changes_pixels_and_no_box() -> None:
    lit = augment(bright_box(), replace(STILL, light=0.4, on_defect=1.0), np.random.default_rng(1))
    plain = augment(bright_box(), replace(STILL, on_defect=1.0), np.random.default_rng(1))
    assert np.array_equal(lit.boxes_xyxy, plain.boxes_xyxy)
    assert not np.array_equal(lit.image, plain.image)


def test_a_mosaic_holds_four_pictures_with_their_boxes() -> None:
    parts = [augment(bright_box(), replace(STILL, on_defect=1.0), np.random.default_rng(seed)) for seed in range(4)]
    whole = mosaic(parts, 64)
    assert whole.image.shape == (64, 64, 1)
    assert len(whole.boxes_xyxy) == sum(len(part.boxes_xyxy) for part in parts)
    for left, top, right, bottom in whole.boxes_xyxy:
        assert whole.image[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))].mean() > 150
