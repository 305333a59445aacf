"""No part on both sides, every class on each where possible, nothing by chance alone."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures_kit import painted_dataset

from models.dataset.errors import DatasetError
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset, LabelledImage, Truth
from models.dataset.snapshot import digest, freeze, open_snapshot
from models.dataset.splits import leaks, split_dataset


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 parts, each photographed three times."""
    folder = tmp_path_factory.mktemp("grouped")
    base = painted_dataset(folder, 120)
    images = [
        LabelledImage(
            image.name, image.path, image.width, image.height, image.truth, image.defective, group=f"part{index // 3}"
        )
        for index, image in enumerate(base.images)
    ]
    return Dataset(folder, "coco", base.classes, tuple(images))


@pytest.mark.parametrize("seed", range(5))
def test_no_part_lies_on_both_sides(grouped: Dataset, seed: int) -> None:
    splits = split_dataset(grouped, seed=seed)
    assert splits.by == "group"
    assert not leaks(splits.train, splits.test)
    assert not leaks(splits.train, splits.val)
    assert not leaks(splits.val, splits.test)
    assert sum(len(part) for _, part in splits) == len(grouped)
    assert 0.6 < len(splits.train) / len(grouped) < 0.85
    for _, part in splits:
        assert {int(c) for image in part.images for c in image.truth.class_ids} == {0, 1}


def test_the_same_seed_gives_the_same_split_and_another_one_another(grouped: Dataset) -> None:
    first, again, other = (split_dataset(grouped, seed=seed).test for seed in (1, 1, 2))
    assert [image.name for image in first.images] == [image.name for image in again.images]
    assert [image.name for image in first.images] != [image.name for image in other.images]


def test_leaks_are_seen_where_there_are_some(grouped: Dataset) -> None:
    assert leaks(grouped.take([0, 1]), grouped.take([2, 3])) == [("001.png", "002.png")]


@pytest.mark.parametrize("seed", range(5))
def test_equal_pictures_stay_together_whatever_the_groups_say(tmp_path: Path, seed: int) -> None:
    base = painted_dataset(tmp_path, 30)
    shutil.copy(base.images[3].path, base.images[17].path)
    splits = split_dataset(base, "prefix:3", seed)
    assert not leaks(splits.train, splits.test) + leaks(splits.train, splits.val) + leaks(splits.val, splits.test)


def test_near_twins_stay_together(tmp_path: Path) -> None:
    images = []
    for index in range(30):
        picture = np.random.default_rng(index // 2).integers(0, 255, (64, 64), np.uint8)
        path = tmp_path / f"{index:02}.png"
        cv2.imwrite(str(path), cv2.add(picture, index % 2 * 9))
        images.append(LabelledImage(path.name, path, 64, 64, Truth.none(), defective=False))
    dataset = Dataset(tmp_path, "folders", ("dent",), tuple(images))
    splits = split_dataset(dataset)
    assert splits.by == "twins"
    sides = {name: {int(image.name[:2]) // 2 for image in part.images} for name, part in splits}
    assert not sides["train"] & sides["test"]
    assert not sides["train"] & sides["val"]


def test_declared_splits_are_kept_and_what_lacks_is_taken_from_train(grouped: Dataset) -> None:
    images = [
        LabelledImage(
            image.name,
            image.path,
            image.width,
            image.height,
            image.truth,
            image.defective,
            group=image.group,
            split="test" if index < 30 else "train",
        )
        for index, image in enumerate(grouped.images)
    ]
    splits = split_dataset(Dataset(grouped.root, "coco", grouped.classes, tuple(images)))
    assert splits.by == "declared"
    assert {image.name for image in splits.test.images} == {image.name for image in images[:30]}
    assert len(splits.val) > 0
    assert not leaks(splits.train, splits.val)


FAULTS = [
    pytest.param("declared", "declares no train split", id="nothing declared"),
    pytest.param("prefix:1", "stays empty", id="one group only"),
    pytest.param("moon", "cannot divide by 'moon'", id="unknown way"),
    pytest.param("prefix:0", "cannot divide", id="no prefix"),
]


@pytest.mark.parametrize(("by", "message"), FAULTS)
def test_a_split_that_cannot_be_made_says_why(tmp_path: Path, by: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        split_dataset(painted_dataset(tmp_path, 10), by)


def test_a_class_that_train_never_saw_is_an_error(tmp_path: Path) -> None:
    base = painted_dataset(tmp_path, 20)
    images = [
        LabelledImage(i.name, i.path, i.width, i.height, Truth.none(), defective=False, group=i.group)
        for i in base.images
    ]
    odd = images[0]
    truth = Truth(np.array([[1, 1, 9, 9]], np.float32), np.zeros(1, np.int32))
    images[0] = LabelledImage(odd.name, odd.path, odd.width, odd.height, truth, defective=True, group="0", split="test")
    images[1:] = [
        LabelledImage(i.name, i.path, i.width, i.height, i.truth, i.defective, group=i.group, split="train")
        for i in images[1:]
    ]
    with pytest.raises(DatasetError, match="'disc' is in test"):
        split_dataset(Dataset(tmp_path, "coco", base.classes, tuple(images)), "declared")


def test_a_snapshot_gives_back_what_was_frozen(grouped: Dataset, tmp_path: Path) -> None:
    splits = split_dataset(grouped)
    named = freeze(splits, tmp_path / "snapshot.json")
    assert named == digest(splits)
    opened = open_snapshot(tmp_path / "snapshot.json", grouped.root)
    assert {name: len(part) for name, part in opened.items()} == {name: len(part) for name, part in splits}
    before = {image.name: image.truth.boxes_xyxy.tolist() for image in splits.test.images}
    assert {image.name: image.truth.boxes_xyxy.tolist() for image in opened["test"].images} == before


def test_a_snapshots_name_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    first, second = painted_dataset(tmp_path / "here", 30), painted_dataset(tmp_path / "there", 30)
    assert digest(split_dataset(first)) == digest(split_dataset(second))
    other = painted_dataset(tmp_path / "other", 30, seed=1)
    assert digest(split_dataset(other)) != digest(split_dataset(first))


def test_a_changed_or_missing_image_is_named(tmp_path: Path) -> None:
    dataset = painted_dataset(tmp_path / "images", 30)
    freeze(split_dataset(dataset), tmp_path / "snapshot.json")
    path = dataset.images[4].path
    raw = bytearray(path.read_bytes())
    raw[-20] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DatasetError, match=r"004.png has changed"):
        open_snapshot(tmp_path / "snapshot.json", dataset.root)
    path.unlink()
    with pytest.raises(DatasetError, match=r"004.png is missing"):
        open_snapshot(tmp_path / "snapshot.json", dataset.root)


def test_a_changed_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    freeze(split_dataset(painted_dataset(tmp_path / "images", 30)), path)
    path.write_text(path.read_text().replace('"disc"', '"dent"'))
    with pytest.raises(DatasetError, match="not what was frozen"):
        open_snapshot(path, tmp_path / "images")


@pytest.mark.long
def test_the_two_equal_patches_of_neu_det_never_part(shared_data: Path) -> None:
    dataset = read_dataset(shared_data / "neu_det")
    for seed in range(3):
        splits = split_dataset(dataset, "prefix:99", seed)
        assert not leaks(splits.train, splits.test) + leaks(splits.train, splits.val) + leaks(splits.val, splits.test)
