"""Each common form of labelled images is read with no code written for the dataset; what is wrong is named."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.dataset.errors import DatasetError
from models.dataset.reading import read_dataset

BOX = [10.0, 20.0, 30.0, 45.0]


def image(path: Path, width: int = 64, height: int = 48, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8))
    return path


def coco(root: Path, file: str = "annotations.json", folder: str = "images", **changes: object) -> Path:
    image(root / folder / "a.png")
    image(root / folder / "b.png", seed=1)
    annotation = {"id": 7, "image_id": 1, "category_id": 5, "bbox": [10, 20, 20, 25], **changes}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "group": "g1"}, {"id": 2, "file_name": "b.png"}],
        "annotations": [annotation],
        "categories": [{"id": 5, "name": "dent"}, {"id": 2, "name": "scratch"}],
    }
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(content))
    return root


def voc(
    root: Path, folder: str = "Annotations", images: str = "JPEGImages", xmax: str = "30", name: str = "dent"
) -> Path:
    image(root / images / "a.jpg")
    (root / folder).mkdir(parents=True, exist_ok=True)
    box = f"<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>{xmax}</xmax><ymax>45</ymax></bndbox>"
    text = f"<annotation><filename>a</filename><object><name>{name}</name>{box}</object></annotation>"
    (root / folder / "a.xml").write_text(text)
    return root


def yolo(root: Path, line: str = "1 0.3125 0.677083 0.3125 0.520833", names: str = "[scratch, dent]") -> Path:
    image(root / "train" / "images" / "a.png")
    image(root / "valid" / "images" / "b.png", seed=1)
    label = root / "train" / "labels" / "a.txt"
    label.parent.mkdir(parents=True)
    label.write_text(line + "\n")
    (root / "data.yaml").write_text(f"names: {names}\n")
    return root


def mvtec(root: Path) -> Path:
    image(root / "train" / "good" / "a.png")
    image(root / "test" / "good" / "a.png", seed=1)
    image(root / "test" / "dent" / "b.png", seed=2)
    mask = np.zeros((48, 64), np.uint8)
    mask[20:45, 10:30] = 255
    mask[0, 0] = 255
    path = root / "ground_truth" / "dent" / "b_mask.png"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), mask)
    return root


FORMS = [
    pytest.param(coco, "coco", id="coco at the root"),
    pytest.param(
        lambda root: coco(root, "annotations/instances_train2017.json", "train2017"), "coco", id="coco by year"
    ),
    pytest.param(lambda root: coco(root, "train/_annotations.coco.json", "train"), "coco", id="coco beside its images"),
    pytest.param(voc, "voc", id="voc"),
    pytest.param(lambda root: voc(root, "annotations", "images"), "voc", id="voc in lower case"),
    pytest.param(yolo, "yolo", id="yolo"),
    pytest.param(
        lambda root: yolo(root, "1 .15625 .41667 .46875 .41667 .46875 .9375 .15625 .9375"), "yolo", id="polygons"
    ),
    pytest.param(mvtec, "folders", id="mvtec"),
]


@pytest.mark.parametrize(("make", "form"), FORMS)
def test_the_form_is_found_out_and_its_box_is_the_same(make: Callable[[Path], Path], form: str, tmp_path: Path) -> None:
    dataset = read_dataset(make(tmp_path))
    assert dataset.form == form
    boxed = [found for found in dataset.images if len(found.truth)]
    assert len(boxed) == 1
    assert np.allclose(boxed[0].truth.boxes_xyxy, [BOX], atol=0.01)
    assert dataset.classes[boxed[0].truth.class_ids[0]] == "dent"
    assert boxed[0].defective


def test_splits_that_a_folder_declares_are_kept(tmp_path: Path) -> None:
    assert {found.name: found.split for found in read_dataset(yolo(tmp_path)).images} == {
        "train/images/a.png": "train",
        "valid/images/b.png": "val",
    }


def test_coco_keeps_groups_and_references(tmp_path: Path) -> None:
    coco(tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["images"][0]["template"] = "golden/a.png"
    image(tmp_path / "golden" / "a.png", seed=3)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    first, second = read_dataset(tmp_path).images
    assert (first.group, first.reference) == ("g1", tmp_path / "golden" / "a.png")
    assert second.reference is None
    assert not read_dataset(tmp_path).has_references


def test_a_heading_is_no_class_and_a_crowd_no_box(tmp_path: Path) -> None:
    coco(tmp_path, iscrowd=1)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["categories"] = [{"id": 0, "name": "defects"}, {"id": 5, "name": "dent", "supercategory": "defects"}]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    dataset = read_dataset(tmp_path)
    assert (dataset.classes, dataset.boxes) == (("dent",), 0)
    assert [found.defective for found in dataset.images].count(True) == 1, "a crowd is a defect without a place"


@pytest.mark.parametrize("size", [pytest.param((32, 24), id="enlarged"), pytest.param((640, 480), id="shrunk")])
def test_coco_labels_drawn_on_another_size_are_a_fault(tmp_path: Path, size: tuple[int, int]) -> None:
    coco(tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["images"][0] |= {"width": size[0], "height": size[1]}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=f"its labels were drawn for {size[0]}x{size[1]}"):
        read_dataset(tmp_path)
    content["images"][0] |= {"width": 48, "height": 64}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert len(read_dataset(tmp_path)) == 2, "turned by its EXIF mark"


def test_folders_below_a_label_change_no_label(tmp_path: Path) -> None:
    image(tmp_path / "train" / "good" / "cam1" / "a.png")
    image(tmp_path / "test" / "good" / "cam1" / "b.png", seed=1)
    image(tmp_path / "test" / "dent" / "cam1" / "c.png", seed=2)
    image(tmp_path / "test" / "dent" / "cam2" / "d.png", seed=3)
    dataset = read_dataset(tmp_path)
    assert dataset.classes == ("dent",)
    assert [found.defective for found in dataset.images] == [True, True, False, False]


def test_folders_that_only_hold_images_are_no_label(tmp_path: Path) -> None:
    image(tmp_path / "train" / "images" / "good" / "a.png")
    image(tmp_path / "test" / "images" / "dent" / "b.png", seed=1)
    image(tmp_path / "test" / "scratch" / "images" / "c.png", seed=2)
    assert read_dataset(tmp_path).classes == ("dent", "scratch")


def test_a_defect_below_a_folder_called_good_is_never_learned_as_good(tmp_path: Path) -> None:
    image(tmp_path / "good" / "a.png")
    image(tmp_path / "dent" / "b.png", seed=1)
    image(tmp_path / "good" / "dent" / "c.png", seed=2)
    with pytest.raises(DatasetError, match=r"c.png lies below 'good' and in 'dent', a defect elsewhere"):
        read_dataset(tmp_path)


def test_masks_are_masks_however_their_folder_is_written(tmp_path: Path) -> None:
    image(tmp_path / "Images" / "Normal" / "a.png")
    image(tmp_path / "Images" / "Anomaly" / "b.png", seed=1)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 20:40] = 255
    (tmp_path / "Masks" / "Anomaly").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "Masks" / "Anomaly" / "b.png"), mask)
    dataset = read_dataset(tmp_path)
    assert (dataset.classes, len(dataset), dataset.boxes) == (("Anomaly",), 2, 1)


def test_a_group_column_of_an_index_counts(tmp_path: Path) -> None:
    mvtec(tmp_path)
    (tmp_path / "index.csv").write_text("file,part\ntest/dent/b.png,p7\n")
    assert {found.name: found.group for found in read_dataset(tmp_path).images}["test/dent/b.png"] == "p7"


@pytest.mark.parametrize("header", ["File,Part", " file , part ", "FILE;PART"])
def test_a_group_column_counts_however_its_header_is_written(tmp_path: Path, header: str) -> None:
    mvtec(tmp_path)
    separator = ";" if ";" in header else ","
    (tmp_path / "index.csv").write_text(f"{header}\ntest/dent/b.png{separator}p7\n")
    assert {found.name: found.group for found in read_dataset(tmp_path).images}["test/dent/b.png"] == "p7"


@pytest.mark.parametrize("entry", ["images/hold-out", "lists/gone.txt"])
def test_a_yolo_split_that_leads_nowhere_is_a_fault(tmp_path: Path, entry: str) -> None:
    """Else what was to be held out would be learned from."""
    yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(f"train: train/images\ntest: {entry}\nnames: [scratch, dent]\n")
    with pytest.raises(DatasetError, match=r"test: '.*' leads to no image"):
        read_dataset(tmp_path)


def test_an_image_in_two_groups_is_a_fault(tmp_path: Path) -> None:
    mvtec(tmp_path)
    (tmp_path / "index.csv").write_text("file,part\ntest/dent/b.png,p7\ntest/dent/b.png,p8\n")
    with pytest.raises(DatasetError, match=r"row 3 puts test/dent/b.png into 'p8', an earlier row into 'p7'"):
        read_dataset(tmp_path)


def test_an_empty_mask_leaves_the_image_defective(tmp_path: Path) -> None:
    mvtec(tmp_path)
    cv2.imwrite(str(tmp_path / "ground_truth" / "dent" / "b_mask.png"), np.zeros((48, 64), np.uint8))
    found = next(item for item in read_dataset(tmp_path).images if item.path.name == "b.png")
    assert found.defective
    assert not len(found.truth)


def truncated(root: Path) -> Path:
    coco(root)
    path = root / "images" / "a.png"
    path.write_bytes(path.read_bytes()[:40])
    return root


def half_a_class(root: Path) -> Path:
    coco(root)
    content = json.loads((root / "annotations.json").read_text())
    content["categories"][0]["id"] += 0.5
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def without(root: Path, name: str) -> Path:
    (root / name).unlink()
    return root


def wrong_mask(root: Path) -> Path:
    mvtec(root)
    cv2.imwrite(str(root / "ground_truth" / "dent" / "b_mask.png"), np.zeros((10, 10), np.uint8))
    return root


def written(name: str, text: str) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        coco(root)
        (root / name).write_text(text)
        return root

    return write


FAULTS = [
    pytest.param(lambda root: root, "known form", id="nothing there"),
    pytest.param(truncated, "a.png is no readable image", id="broken image"),
    pytest.param(
        lambda root: coco(root, bbox=[50, 20, 20, 25]), "annotation 7: box .* lies outside", id="coco box outside"
    ),
    pytest.param(
        lambda root: coco(root, bbox=[5, 5, 0, 9]), "annotation 7: box .* has no area", id="coco box without area"
    ),
    pytest.param(lambda root: coco(root, bbox="x"), "annotation 7: bbox must be", id="coco box that is none"),
    pytest.param(lambda root: coco(root, category_id=9), "category_id 9", id="coco unknown class"),
    pytest.param(lambda root: coco(root, image_id=9), "image 9", id="coco unknown image"),
    pytest.param(written("annotations.json", "{"), "annotations.json is no readable JSON", id="coco no json"),
    pytest.param(lambda root: voc(root, xmax="70"), r"a.xml: object 1: box .* lies outside", id="voc box outside"),
    pytest.param(lambda root: voc(root, xmax="many"), "bndbox must hold", id="voc box that is none"),
    pytest.param(lambda root: voc(root, name=""), "has no name", id="voc without class"),
    pytest.param(lambda root: without(voc(root), "JPEGImages/a.jpg"), "no image of that name", id="voc without image"),
    pytest.param(
        lambda root: yolo(root, "2 0.5 0.5 0.1 0.1"), "a.txt: line 1: class 2 is unknown", id="yolo unknown class"
    ),
    pytest.param(lambda root: yolo(root, "1 0.5 0.5 0.1"), "got 4 numbers", id="yolo line too short"),
    pytest.param(lambda root: yolo(root, "1 0.99 0.5 0.5 0.1"), "lies outside", id="yolo box outside"),
    pytest.param(lambda root: yolo(root, "dent"), "expected numbers", id="yolo no numbers"),
    pytest.param(lambda root: yolo(root, names="{0: a, 2: b}"), "without gaps", id="yolo names with a gap"),
    pytest.param(half_a_class, "a whole number as id", id="coco half a class"),
    pytest.param(wrong_mask, "b_mask.png is 10x10", id="mask of another size"),
]


@pytest.mark.parametrize(("make", "message"), FAULTS)
def test_what_is_wrong_is_named(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_dataset(make(tmp_path))


def test_the_first_fault_is_named_and_the_others_counted(tmp_path: Path) -> None:
    yolo(tmp_path, "dent\n9 .5 .5 .1 .1\n1 2 3")
    with pytest.raises(DatasetError, match=r"line 1: .*and 2 more such faults"):
        read_dataset(tmp_path)


REAL = [
    pytest.param("deeppcb", "coco", 1000, 6873, 6, id="DeepPCB"),
    pytest.param("neu_det", "voc", 1260, 2885, 6, id="NEU-DET"),
    pytest.param("magnetic_tile", "folders", 925, 320, 5, id="magnetic tiles"),
    pytest.param("aliens", "folders", 118, 0, 1, id="aliens"),
]


@pytest.mark.parametrize(("name", "form", "images", "boxes", "classes"), REAL)
def test_real_datasets_are_read_whole(
    name: str, form: str, images: int, boxes: int, classes: int, shared_data: Path
) -> None:
    dataset = read_dataset(shared_data / name)
    assert (dataset.form, len(dataset), dataset.boxes, len(dataset.classes)) == (form, images, boxes, classes)
    assert dataset.has_references == (name == "deeppcb")
