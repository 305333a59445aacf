"""Labels come back out of COCO as whoever wrote it meant them: a tool, a person in a hurry, two at once."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from coco_kit import TRUTHS, Cloud, Content, as_cvat, as_label_studio, coco
from labels_kit import id_of, picture, say
from stores import ask, engine

from cloud_sync.hub.labels.coco_export import ANNOTATIONS
from cloud_sync.hub.labels.coco_import import Imported
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.truths import LabelBox, boxed, defect, good


@pytest.mark.parametrize("written", [as_cvat, as_label_studio])
def test_what_a_tool_writes_is_understood(cloud: Cloud, written: Callable[[], Content]) -> None:
    taken = cloud.take(cloud.given(written()))

    assert taken == Imported(added=2, unchanged=0, silent=1)
    assert cloud.says() == TRUTHS | {5: boxed([LabelBox("crack", (3.5, 4, 8.5, 10))]), 2: good()}


WHOLE: list[Any] = [
    pytest.param({}, id="no box"),
    pytest.param({"bbox": []}, id="empty box"),
    pytest.param({"bbox": None}, id="null"),
    pytest.param({"bbox": [0, 0, 0, 0]}, id="all zero"),
    pytest.param({"bbox": [0, 0, 48, 32]}, id="around all"),
    pytest.param({"bbox": [5, 5, 9, 9], "attributes": {"image_level": True}}, id="says so"),
]


@pytest.mark.parametrize("annotation", WHOLE)
def test_an_annotation_of_no_place_is_of_the_whole_image(cloud: Cloud, annotation: Content) -> None:
    cloud.take(cloud.given(coco(annotation)))

    assert cloud.says()[5] == defect("crack")


def test_an_image_without_annotations_is_good_only_where_that_is_said(cloud: Cloud) -> None:
    assert cloud.take(cloud.given(coco())).silent == 1
    assert 5 not in cloud.says()

    cloud.take(cloud.given(coco() | {"info": {}}), empty_is_good=True)

    assert cloud.says()[5] == good()


def test_an_image_is_known_by_its_content_wherever_it_lies(cloud: Cloud) -> None:
    (cloud.folder / "images").mkdir()
    (cloud.folder / "images" / "IMG_1.png").write_bytes(picture(5))
    content = coco({"bbox": [1, 1, 9, 9]})
    content["images"][0]["file_name"] = "IMG_1.png"

    assert cloud.take(cloud.given(content)).added == 1
    content["images"][0] |= {"file_name": "elsewhere.png", "sha256": hashlib.sha256(picture(5)).hexdigest()}
    content["annotations"][0]["bbox"] = [1, 1, 8, 8]
    assert cloud.take(cloud.given(content)).added == 1


def test_a_review_that_came_while_others_labelled_in_a_tool_is_not_replaced_unseen(cloud: Cloud) -> None:
    out, _ = cloud.export()
    say(cloud.place, id_of(2), defect("dent"), "Cy")  # after the export
    content = json.loads((out / ANNOTATIONS).read_text())

    cloud.take(out / ANNOTATIONS)
    assert cloud.says()[2] == defect("dent")  # whoever exported it said nothing of it

    crack = next(entry for entry in content["annotations"] if entry["image_id"] == _image(content, 2))
    crack["category_id"] = 3  # good
    cloud.take(cloud.given(content))
    conflict = ask(cloud.place, "SELECT conflict FROM samples WHERE seq = 2")
    assert bool(conflict[0][0])
    assert cloud.says()[2] == good()


def _image(content: Content, seq: int) -> int:
    return next(entry["id"] for entry in content["images"] if entry["inspectd"]["seq"] == seq)


def test_a_new_class_is_one_only_where_that_is_said(cloud: Cloud) -> None:
    content = coco({"bbox": [1, 1, 9, 9]}, names=("stain",))

    with pytest.raises(LabelError, match="unknown class 'stain', known are crack, dent"):
        cloud.take(cloud.given(content))
    cloud.take(cloud.given(content), new_classes=("stain",))

    assert cloud.says()[5] == boxed([LabelBox("stain", (1, 1, 10, 10))])
    assert ask(cloud.place, "SELECT name FROM label_classes WHERE name = 'stain'") == [("stain",)]


def test_the_same_file_imported_twice_at_once_is_imported_once(tmp_path: Path, place: str) -> None:
    cloud = Cloud(place, tmp_path)
    file = cloud.given(coco({"bbox": [1, 1, 9, 9]}))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    with ThreadPoolExecutor(3) as pool:
        with engine(place).begin() as busy:
            busy.exec_driver_sql("UPDATE label_counter SET value = value")
            done = [pool.submit(cloud.take, file) for _ in range(3)]
            if "://" in place:
                eventually(lambda: ask(place, waiting) == [(3,)])
        taken = [future.result() for future in done]

    assert sorted(taken, key=lambda item: item.again) == [Imported(added=1), Imported(again=True), Imported(again=True)]
