"""Datasets as exporters really write them are read; what would be lost silently is a fault that names the file."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.dataset.errors import DatasetError
from models.dataset.image_files import picture_sha256
from models.dataset.reading import read_dataset

VOC = (
    "<annotation><filename>{}</filename><size><width>9</width><height>9</height></size><object><name>dent</name><bndbox>"
    "<xmin>{}</xmin><ymin>21</ymin><xmax>30</xmax><ymax>45</ymax></bndbox></object></annotation>"
)
YOLO = "1 0.3125 0.677083 0.3125 0.520833\n"
COCO = {
    "images": [{"id": 1, "file_name": "images\\a.png"}],
    "annotations": [{"id": 7, "image_id": 1, "category_id": 0, "bbox": [10, 20, 20, 25]}],
    "categories": [{"id": 0, "name": "dent"}],
}
Make = Callable[[Path], Path]


def image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8))
    return path


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding)
    return path


def coco(root: Path, **changes: object) -> Path:
    image(root / "images" / "a.png")
    text(root / "annotations.json", json.dumps({**COCO, **changes}))
    return root


def coco_with_keypoints(root: Path) -> Path:
    coco(root)
    text(root / "person_keypoints_val2017.json", json.dumps(COCO))
    return root


def voc_beside(root: Path) -> Path:
    for number, split in enumerate(("train", "valid")):
        image(root / split / "a.jpg", number)
        text(root / split / "a.xml", VOC.format("a.jpg", 11))
    return root


def voc_in_class_folders(root: Path) -> Path:
    image(root / "train" / "images" / "dents" / "a.jpg")
    text(root / "train" / "annotations" / "a.xml", VOC.format("C:\\other\\name.jpg", 11))
    return root


def voc_by_filename(root: Path) -> Path:
    image(root / "JPEGImages" / "shot_1.PNG")
    text(root / "Annotations" / "0001.xml", VOC.format("C:\\line\\shot_1.PNG", 11))
    return root


def yolo_beside(root: Path, label: str = YOLO) -> Path:
    image(root / "obj_train_data" / "a.png")
    text(root / "obj_train_data" / "a.txt", label)
    text(root / "obj.names", "scratch\r\ndent\r\n", "utf-8-sig")
    image(root / "curve.png", 5)
    return root


def yolo_in_images(root: Path) -> Path:
    image(root / "images" / "a.png")
    text(root / "images" / "a.txt", YOLO)
    text(root / "classes.txt", "scratch\ndent\n")
    return root


def yolo_by_yaml(root: Path, names: str = "[scratch, dent]") -> Path:
    image(root / "lot7" / "images" / "a.png")
    image(root / "lot8" / "images" / "b.png", 1)
    text(root / "lot7" / "labels" / "a.txt", YOLO)
    text(root / "lists" / "val.txt", "/home/me/set/lot8/images/b.png\n")
    text(root / "data.yaml", f"train: ../lot7/images\nval: lists/val.txt\nnames: {names}\n")
    return root


def products(root: Path) -> Path:
    mask = np.zeros((48, 64), np.uint8)
    mask[20:45, 10:30] = 255
    for number, product in enumerate(("bolt", "nut")):
        image(root / product / "train" / "good" / "a.png", number)
        image(root / product / "test" / "dent" / "b.png", 2 + number)
        path = root / product / "ground_truth" / "dent" / "b_mask.png"
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), mask if number else np.zeros_like(mask))
    return root


STRANGERS = [
    pytest.param(coco, "coco", {"images/a.png": ""}, id="coco from Windows"),
    pytest.param(coco_with_keypoints, "coco", {"images/a.png": ""}, id="coco with another task beside"),
    pytest.param(voc_beside, "voc", {"train/a.jpg": "train", "valid/a.jpg": "val"}, id="voc beside its images"),
    pytest.param(voc_in_class_folders, "voc", {"train/images/dents/a.jpg": "train"}, id="voc, images by class"),
    pytest.param(voc_by_filename, "voc", {"JPEGImages/shot_1.PNG": ""}, id="voc by the name inside"),
    pytest.param(yolo_beside, "yolo", {"obj_train_data/a.png": ""}, id="yolo as Darknet and CVAT write it"),
    pytest.param(yolo_in_images, "yolo", {"images/a.png": ""}, id="yolo, labels among the images"),
    pytest.param(
        yolo_by_yaml, "yolo", {"lot7/images/a.png": "train", "lot8/images/b.png": "val"}, id="yolo splits by yaml"
    ),
]


@pytest.mark.parametrize(("make", "form", "splits"), STRANGERS)
def test_what_exporters_write_is_read(make: Make, form: str, splits: dict[str, str], tmp_path: Path) -> None:
    dataset = read_dataset(make(tmp_path))
    assert (dataset.form, {found.name: found.split for found in dataset.images}) == (form, splits)
    boxes = [found.truth.boxes_xyxy for found in dataset.images if len(found.truth)]
    assert boxes
    assert all(np.allclose(box, [[10, 20, 30, 45]], atol=0.01) for box in boxes)
    assert {dataset.classes[c] for found in dataset.images for c in found.truth.class_ids} == {"dent"}


def test_several_products_are_read_as_one_each_with_its_own_masks(tmp_path: Path) -> None:
    dataset = read_dataset(products(tmp_path))
    assert {found.name: len(found.truth) for found in dataset.images} == {
        "bolt/train/good/a.png": 0,
        "bolt/test/dent/b.png": 0,
        "nut/train/good/a.png": 0,
        "nut/test/dent/b.png": 1,
    }


def test_voc_lists_say_the_split(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        image(tmp_path / "JPEGImages" / f"{name}.png", number)
        text(tmp_path / "Annotations" / f"{name}.xml", VOC.format(name, 11))
    text(tmp_path / "ImageSets" / "Main" / "trainval.txt", "a\nb\n")
    text(tmp_path / "ImageSets" / "Main" / "val.txt", "b\n")
    text(tmp_path / "ImageSets" / "Main" / "test.txt", "c.png\n")
    assert [found.split for found in read_dataset(tmp_path).images] == ["train", "val", "test"]
    text(tmp_path / "ImageSets" / "Main" / "test.txt", "b\n")
    with pytest.raises(DatasetError, match=r"test.txt: b is listed for val too"):
        read_dataset(tmp_path)


def test_a_voc_box_that_counts_from_0_is_left_at_0(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png")
    text(tmp_path / "annotations" / "a.xml", VOC.format("a.png", 0))
    assert read_dataset(tmp_path).images[0].truth.boxes_xyxy.tolist() == [[0, 20, 30, 45]]


def test_an_image_has_the_size_that_training_sees_after_its_orientation_tag(tmp_path: Path) -> None:
    path = image(tmp_path / "good" / "a.jpg")
    tag = bytes.fromhex("ffe100224578696600004d4d002a00000008000101120003000000010006000000000000")
    path.write_bytes(b"\xff\xd8" + tag + path.read_bytes()[2:])
    found = read_dataset(tmp_path).images[0]
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert (found.height, found.width) == pixels.shape[:2] == (64, 48)


def test_one_picture_in_two_encodings_has_one_name(tmp_path: Path) -> None:
    first = image(tmp_path / "a.png")
    second = tmp_path / "b.bmp"
    cv2.imwrite(str(second), np.asarray(cv2.imread(str(first))))
    assert picture_sha256(first) == picture_sha256(second) != picture_sha256(image(tmp_path / "c.png", 1))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_an_index_from_a_spreadsheet_says_what_belongs_together_in_any_form(separator: str, tmp_path: Path) -> None:
    row = separator.join(("obj_train_data\\a.png", "p7"))
    text(yolo_beside(tmp_path) / "index.csv", f"file{separator}part\n{row}\n", "utf-8-sig")
    assert [found.group for found in read_dataset(tmp_path).images] == ["p7"]


def cut_jpeg(share: float) -> Make:
    def make(root: Path) -> Path:
        path = image(root / "good" / "a.jpg")
        raw = path.read_bytes()
        thumbnail = b"\xff\xe1\x00\x08Exif\xff\xd9"
        path.write_bytes(raw[:2] + thumbnail + raw[2 : int(share * len(raw))])
        return root

    return make


def cut(path: str, share: float) -> Make:
    def make(root: Path) -> Path:
        file = image(root / path)
        raw = file.read_bytes()
        file.write_bytes(raw[: int(share * len(raw))])
        return image(root / "good" / "whole.png").parents[1]

    return make


def beside(make: Make, path: str, content: str, encoding: str = "utf-8") -> Make:
    def both(root: Path) -> Path:
        text(make(root) / path, content, encoding)
        return root

    return both


def gone(make: Make, path: str) -> Make:
    def less(root: Path) -> Path:
        (make(root) / path).unlink()
        return root

    return less


TWICE = [{"id": 0, "name": "dent"}, {"id": 1, "name": "dent"}]
FAULTS = [
    pytest.param(cut_jpeg(0.4), "a.jpg is no readable image", id="jpeg cut early"),
    pytest.param(cut_jpeg(0.97), "a.jpg is no readable image", id="jpeg cut late, thumbnail whole"),
    pytest.param(cut("good/a.png", 0.9), "a.png is no readable image", id="png cut"),
    pytest.param(cut("good/a.bmp", 0.9), "a.bmp is no readable image", id="bmp cut"),
    pytest.param(cut("good/a.png", 0), "a.png is no readable image", id="empty file"),
    pytest.param(lambda root: coco(root, annotations=[1]), "'annotations' must be a list", id="coco, no objects"),
    pytest.param(lambda root: coco(root, categories=TWICE), "one class name to two ids", id="coco, a class twice"),
    pytest.param(
        lambda root: coco(root, images=COCO["images"] * 2), "two images have the id 1", id="coco, an image id twice"
    ),
    pytest.param(
        lambda root: coco(root, annotations=[{**COCO["annotations"][0], "category_id": [0]}]),
        r"category_id \[0\]",
        id="coco, a class that is none",
    ),
    pytest.param(
        beside(voc_by_filename, "Annotations/b.xml", "<annotation>"), "b.xml is no readable XML", id="voc cut"
    ),
    pytest.param(
        beside(voc_by_filename, "Annotations/b.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>"),
        "b.xml is no readable XML",
        id="voc with entities",
    ),
    pytest.param(lambda root: yolo_beside(root, "nan .5 .5 .1 .1"), "class nan is unknown", id="yolo, class nan"),
    pytest.param(lambda root: yolo_beside(root, "1 nan .5 .1 .1"), "lies outside", id="yolo, place nan"),
    pytest.param(lambda root: yolo_beside(root, "1 .5 .5 0 .1"), "has no area", id="yolo without area"),
    pytest.param(lambda root: yolo_by_yaml(root, "[dent, dent]"), "'dent' to two classes", id="yolo, a class twice"),
    pytest.param(beside(yolo_beside, "obj.names", "a\n\nb\n"), "class 1 has no name", id="yolo, a gap among the names"),
    pytest.param(
        gone(yolo_by_yaml, "lot7/images/a.png"), "labels/a.txt: there is no image", id="yolo label without its image"
    ),
    pytest.param(
        beside(yolo_beside, "obj.names", "Stoß", "latin-1"), "save it as UTF-8", id="names in another encoding"
    ),
    pytest.param(gone(products, "nut/ground_truth/dent/b_mask.png"), "b.png has no mask b_mask.png", id="mask lost"),
    pytest.param(gone(products, "nut/test/dent/b.png"), "b_mask.png is a mask without", id="mask without its image"),
    pytest.param(
        beside(yolo_beside, "index.csv", "file,part\nother.png,p7\n"),
        "row 2 is for 'other.png'",
        id="group of no image",
    ),
    pytest.param(beside(yolo_beside, "index.csv", "name,part\na,b\n"), "none of", id="groups of nothing"),
]


@pytest.mark.parametrize(("make", "message"), FAULTS)
def test_what_would_be_lost_is_a_fault(make: Make, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_dataset(make(tmp_path))


def test_a_stray_xml_or_json_makes_no_form(tmp_path: Path) -> None:
    text(products(tmp_path) / "settings.xml", "<project/>")
    text(tmp_path / "notes.json", "[1]")
    assert read_dataset(tmp_path).form == "folders"
