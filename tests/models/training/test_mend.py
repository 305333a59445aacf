"""Mended pictures: what is left is labelled, what is gone is gone, and a reference that misfits mends nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures_kit import painted_dataset

from models.dataset.records import Dataset
from models.training.augment import Augmentation, Sample
from models.training.mend import mended
from models.training.pictures import Feeding, Gallery, epoch_batches
from models.training.settings import propose

GOOD, BAD = 40, 250
BOXES = np.array([[10, 10, 20, 20], [60, 60, 70, 64], [100, 10, 110, 20], [108, 12, 120, 30]], np.float32)


def sample() -> Sample:
    reference = np.full((128, 128, 1), GOOD, np.uint8)
    image = reference.copy()
    for left, top, right, bottom in BOXES.astype(int):
        image[top:bottom, left:right] = BAD
    return Sample(image, reference, BOXES, np.arange(4, dtype=np.int32))


def test_a_mended_defect_is_gone_from_picture_and_labels_and_the_others_are_whole() -> None:
    seen = set()
    for seed in range(60):
        found = mended(sample(), np.random.default_rng(seed))
        assert found.reference is None
        assert np.array_equal(found.boxes_xyxy, BOXES[found.class_ids])
        expected = np.full((128, 128, 1), GOOD, np.uint8)
        for left, top, right, bottom in found.boxes_xyxy.astype(int):
            expected[top:bottom, left:right] = BAD
        assert np.array_equal(found.image, expected)
        seen.add(tuple(found.class_ids))
    assert seen == {(2, 3), (0, 2, 3), (1, 2, 3), (0, 1, 2, 3)}, "touching defects stay together"


def test_the_given_pictures_are_not_changed() -> None:
    given = sample()
    before = given.image.copy(), given.reference
    for seed in range(10):
        mended(given, np.random.default_rng(seed))
    assert np.array_equal(given.image, before[0])
    assert given.reference is before[1]
    assert given.reference is not None
    assert (given.reference == GOOD).all()


def test_a_picture_without_defects_or_reference_stays_one() -> None:
    plain = replace(sample(), boxes_xyxy=BOXES[:0], class_ids=np.zeros(0, np.int32))
    assert len(mended(plain, np.random.default_rng(0)).boxes_xyxy) == 0
    alone = replace(sample(), reference=None)
    assert mended(alone, np.random.default_rng(0)) is alone


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_dataset(tmp_path_factory.mktemp("pairs"), 8, reference=True)


def test_a_network_that_sees_no_reference_learns_from_mended_pictures(pairs: Dataset) -> None:
    settings = propose(pairs, colour=False, reference=False, size_px=96)
    assert settings.mend is not None
    assert propose(pairs, colour=False, reference=True, size_px=96).mend is None
    gallery = Gallery(pairs, colour=False, reference=True, lenient=True)
    boxes = {}
    for share in (0.0, 1.0):
        how = Augmentation(96, (1.0, 1.0), stretch=1.0, on_defect=0.0)
        batches = list(epoch_batches(gallery, Feeding(4, how, 0.0, 0, share), 0))
        assert {batch.pixels.shape[1] for batch in batches} == {1}
        boxes[share] = sum(int(batch.truth.valid.sum()) for batch in batches)
    assert 0 < boxes[1.0] < boxes[0.0]


def test_a_reference_that_does_not_fit_mends_nothing(pairs: Dataset, tmp_path: Path) -> None:
    first, second, *others = pairs.images
    crossed = replace(first, reference=second.reference)
    gallery = Gallery(
        Dataset(tmp_path, "coco", pairs.classes, (crossed, second, *others)), colour=False, reference=True, lenient=True
    )
    assert gallery[0].reference is None
    assert gallery[1].reference is not None
