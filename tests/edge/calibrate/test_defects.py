"""Labelled defects: a folder of images, or one with a folder per class."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from plates_kit import labelled_plates, plate

from edge.calibrate.frames.collect import collect
from edge.calibrate.frames.defects import read_defects
from edge.domain.errors import ConfigError
from models.progress import SilentProgress


def test_folders_name_classes_and_those_of_good_parts_and_masks_are_not_read(tmp_path: Path) -> None:
    found = read_defects(labelled_plates(tmp_path / "parts", 3, 2))
    assert sorted(set(found.kinds)) == ["scratch", "stain"]
    assert found.names == ("scratch/000.png", "scratch/001.png", "stain/000.png", "stain/001.png")
    assert found.refused == ()


def test_images_of_the_folder_itself_have_no_class(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), plate(1))
    (tmp_path / "dent").mkdir()
    cv2.imwrite(str(tmp_path / "dent" / "b.png"), plate(2))
    found = read_defects(tmp_path)
    assert (found.names, found.kinds) == (("a.png", "dent/b.png"), ("", "dent"))


def test_what_is_good_too_twice_or_no_image_is_refused_by_name(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
    cv2.imwrite(str(good / "1.png"), plate(1))
    for name, seed in (("same.png", 1), ("own.png", 2), ("own_again.png", 2)):
        cv2.imwrite(str(bad / name), plate(seed))
    (bad / "text.png").write_text("no image", encoding="utf-8")
    found = read_defects(bad, collect(good, SilentProgress()).digests)
    assert found.names == ("own.png",)
    assert {refusal.name: refusal.reason for refusal in found.refused} == {
        "same.png": "duplicate: same pixels as a good frame",
        "own_again.png": "duplicate: same pixels as own.png",
        "text.png": "unreadable: no image, or cut short",
    }


@pytest.mark.parametrize(("name", "said"), [("absent", "is no folder"), ("empty", "no usable image")], ids=str)
def test_a_folder_without_a_defect_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    cv2.imwrite(str(tmp_path / "not-in-there.png"), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ConfigError, match=said):
        read_defects(tmp_path / name)
