"""Whole groups, shares kept, every class on each side wherever there are groups enough."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures_kit import painted_dataset

from models.dataset.dealing import IMAGES, deal
from models.dataset.errors import DatasetError
from models.dataset.learnable import Division, split_learnable
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset, Truth
from models.dataset.snapshot import freeze
from models.dataset.splits import SHARES, Splits, leaks, split_dataset


def groups(seed: int, rare: int) -> dict[str, Counter[str]]:
    """40 groups of 1 to 8 images, one common class, and a rare one in `rare` of them."""
    rng = np.random.default_rng(seed)
    counts = {f"g{index}": Counter({IMAGES: int(rng.integers(1, 9)), "common": 2}) for index in range(40)}
    for index in rng.permutation(40)[:rare]:
        counts[f"g{index}"]["rare"] = 1
    return counts


@pytest.mark.parametrize("rare", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("seed", range(20))
def test_a_rare_class_reaches_as_many_splits_as_it_has_groups(seed: int, rare: int) -> None:
    counts = groups(seed, rare)
    dealt = deal(counts, SHARES)
    assert dealt.keys() == counts.keys()
    reached = {dealt[key] for key, count in counts.items() if "rare" in count}
    assert reached >= set(("train", "test", "val")[:rare])
    total = sum(count[IMAGES] for count in counts.values())
    for name, share in SHARES.items():
        got = sum(counts[key][IMAGES] for key, own in dealt.items() if own == name)
        assert abs(got / total - share) < 0.07


def in_splits(dataset: Dataset, names: dict[int, str], groups: dict[int, str] | None = None) -> Dataset:
    """The same images, declared for these splits, and in these groups."""
    images = [
        replace(image, split=names.get(index, "train"), group=(groups or {}).get(index, ""))
        for index, image in enumerate(dataset.images)
    ]
    return replace(dataset, images=tuple(images))


def all_leaks(splits: Splits) -> list[tuple[str, str]]:
    return leaks(splits.train, splits.test) + leaks(splits.train, splits.val) + leaks(splits.val, splits.test)


def test_a_declared_test_stays_as_it_is_and_its_twin_in_train_is_left_out(tmp_path: Path) -> None:
    base = painted_dataset(tmp_path, 30)
    cv2.imwrite(str(base.images[20].path), np.asarray(cv2.imread(str(base.images[2].path))))
    splits = split_dataset(in_splits(base, dict.fromkeys(range(10), "test"), {9: "part", 25: "part"}))
    assert splits.by == "declared"
    assert [image.name for image in splits.test.images] == [image.name for image in base.images[:10]]
    assert splits.left_out == ("020.png", "025.png")
    assert not all_leaks(splits)


@pytest.mark.parametrize("by", ["prefix:3", "twins"])
def test_groups_stay_together_whatever_else_divides(by: str, tmp_path: Path) -> None:
    base = in_splits(painted_dataset(tmp_path, 40), {}, {index: f"part{index % 2}" for index in range(12)})
    for seed in range(5):
        splits = split_dataset(base, by, seed)
        assert not all_leaks(splits)
        assert len(splits.train) + len(splits.val) + len(splits.test) == len(base)


def test_one_picture_in_two_encodings_is_a_leak(tmp_path: Path) -> None:
    base = painted_dataset(tmp_path, 2)
    pixels = np.asarray(cv2.imread(str(base.images[0].path)))
    cv2.imwrite(str(base.images[1].path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert base.images[0].path.read_bytes() != base.images[1].path.read_bytes()
    assert leaks(base.take([0]), base.take([1])) == [("000.png", "001.png")]


def test_a_class_that_a_split_lacks_is_told(tmp_path: Path) -> None:
    base = painted_dataset(tmp_path, 30)
    odd = Truth(np.array([[1, 1, 9, 9]], np.float32), np.array([2], np.int32))
    images = (base.images[0].with_truth(odd), *base.images[1:])
    splits = split_dataset(replace(base, classes=(*base.classes, "rare"), images=images))
    assert splits.gaps == (("val", "rare"), ("test", "rare"))
    assert split_dataset(base).gaps == ()


FAULTS = [
    pytest.param("prefix:N", None, "cannot divide", id="the placeholder itself"),
    pytest.param("prefix:\N{SUPERSCRIPT TWO}", None, "cannot divide", id="a digit that is no number"),
    pytest.param("twins", {"train": 1.0}, "give all three", id="a share missing"),
    pytest.param("twins", {"train": 0.9, "val": 0.1, "test": 0.0}, "above 0", id="a share of nothing"),
]


@pytest.mark.parametrize(("by", "shares", "message"), FAULTS)
def test_what_cannot_be_dealt_says_why(by: str, shares: dict[str, float] | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        split_dataset(painted_dataset(tmp_path, 10), by, shares=shares)


def test_a_snapshot_of_nothing_or_of_files_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nothing to freeze"):
        freeze([], tmp_path / "snapshot.json")
    dataset = painted_dataset(tmp_path / "images", 3)
    with pytest.raises(DatasetError, match=r"000.png lies outside"):
        freeze([("all", replace(dataset, root=tmp_path / "elsewhere"))], tmp_path / "snapshot.json")
    assert not (tmp_path / "snapshot.json").exists()


@pytest.mark.long
def test_real_tiles_part_by_tile_with_every_defect_on_each_side(shared_data: Path) -> None:
    dataset = read_dataset(shared_data / "magnetic_tile")
    for seed in range(2):
        splits = split_dataset(dataset, seed=seed)
        assert (splits.by, splits.groups, splits.gaps) == ("group", 150, ())
        assert not all_leaks(splits)


@pytest.mark.long
def test_boards_part_by_the_prefix_of_their_names(shared_data: Path) -> None:
    splits = split_dataset(read_dataset(shared_data / "deeppcb"), "prefix:5")
    boards = [{image.path.name[:5] for image in part.images} for _, part in splits]
    assert sum(map(len, boards)) == len(set().union(*boards)) == splits.groups == 7
    assert splits.gaps == ()


def test_a_test_share_is_kept_and_half_as_much_chooses_the_threshold(tmp_path: Path) -> None:
    dataset = painted_dataset(tmp_path, 60)
    splits = split_learnable(dataset, Division(test_share=0.10))
    assert {name: len(part) for name, part in splits} == {"train": 51, "val": 3, "test": 6}
    assert Division().shares == pytest.approx(SHARES)


@pytest.mark.parametrize("share", [0.0, -0.1, 0.7, 1.0, float("nan")])
def test_a_test_share_that_leaves_nothing_to_learn_from_is_refused(share: float) -> None:
    with pytest.raises(DatasetError, match="choose one between"):
        _ = Division(test_share=share).shares
