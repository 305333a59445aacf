"""Labels leave as COCO: whole, as they are asked for, with names that come back to the same labels."""

import hashlib
import json
from pathlib import Path

import pytest
from coco_kit import TRUTHS, Cloud
from labels_kit import PRODUCT, have_file, id_of, images, picture, receive, sample
from stores import ask, engine

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.labels.coco_export import ANNOTATIONS, IMAGES, PROPOSALS
from cloud_sync.hub.labels.coco_import import Imported
from cloud_sync.hub.labels.coco_names import digest_named, sample_named
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.listing import Wanted
from cloud_sync.hub.labels.projecting import catch_up
from models.dataset.coco import read as read_form


def test_what_is_exported_comes_back_as_the_same_labels_in_an_empty_store(tmp_path: Path, place: str) -> None:
    cloud = Cloud(place, tmp_path)
    out, done = cloud.export()
    other = Cloud(str(tmp_path / "other.db"), tmp_path)
    with engine(other.place).begin() as connection:
        for table in ("labels", "label_imports"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - our own table
        connection.exec_driver_sql("UPDATE samples SET label = NULL")

    taken = other.take(out / ANNOTATIONS)

    assert (done.images, done.waiting, done.annotations, done.proposals) == (5, 1, 5, 5)
    assert taken == Imported(added=4, unchanged=0, silent=1)
    assert other.says() == cloud.says() == TRUTHS


def test_an_export_that_nobody_touched_adds_nothing_and_neither_does_the_same_file_again(cloud: Cloud) -> None:
    out, _ = cloud.export()

    assert cloud.take(out / ANNOTATIONS) == Imported(added=0, unchanged=4, silent=1)
    assert cloud.take(out / ANNOTATIONS) == Imported(again=True)
    assert ask(cloud.place, "SELECT count(*) FROM labels") == [(4,)]


def test_an_export_says_whose_each_image_is_and_lays_the_models_boxes_beside(cloud: Cloud) -> None:
    out, _ = cloud.export()
    said, proposed = (json.loads((out / path).read_text()) for path in (ANNOTATIONS, PROPOSALS))

    first = next(entry for entry in said["images"] if entry["inspectd"]["seq"] == 2)
    about = first["inspectd"]
    assert (about["sample"], about["camera"], about["reasons"], about["by"]) == (id_of(2), "top", ["novel"], "Ada")
    assert hashlib.sha256((out / IMAGES / first["file_name"]).read_bytes()).hexdigest() == about["sha256"]
    assert [entry["name"] for entry in said["categories"]] == ["crack", "dent", "good", "unsure"]
    assert [(entry["bbox"], entry["score"]) for entry in proposed["annotations"]] == [([4.0, 5.0, 16.0, 20.0], 0.4)] * 5
    assert proposed["categories"][-1]["name"] == "scratch"
    assert not any("segmentation" in entry for entry in said["annotations"] + proposed["annotations"])


def test_our_own_reader_of_coco_takes_an_export(cloud: Cloud) -> None:
    out, _ = cloud.export()

    drafts = read_form(out)

    assert drafts is not None
    assert len(drafts.images) == 5
    assert sum(len(draft.boxes) for draft in drafts.images) == 5


def test_what_is_exported_is_what_is_asked_for_and_a_folder_that_is_there_stays(cloud: Cloud) -> None:
    _, done = cloud.export("some", Wanted(PRODUCT, unlabelled=True))
    assert (done.images, done.waiting) == (1, 1)
    with pytest.raises(LabelError, match="exists and is left as it is"):
        cloud.export("some")
    with pytest.raises(LabelError, match="say which with --product"):
        cloud.export("all", Wanted())


@pytest.mark.parametrize("side", ["null", "NaN", "Infinity", "1e308", "-1e200"])
def test_a_station_that_sends_no_image_and_boxes_of_nothing_spoils_no_export(cloud: Cloud, side: str) -> None:
    junk = b"#!/bin/sh\n" * 9
    receive(cloud.place, sample(8, 8), images(8, {"top": junk}))
    have_file(cloud.place, cloud.blobs, junk, 8)
    catch_up(cloud.place)
    with engine(cloud.place).begin() as connection:
        content = f"UPDATE samples SET champion = replace(champion, '4.0', '{side}') WHERE seq = 1"  # noqa: S608 - our own words
        connection.exec_driver_sql(content)

    out, done = cloud.export()

    assert done.unreadable == (id_of(8),)
    assert (done.images, done.proposals) == (5, 4)
    assert len(list((out / IMAGES).iterdir())) == 5


def test_an_image_that_was_damaged_in_the_blob_store_leaves_no_export(cloud: Cloud) -> None:
    digest = hashlib.sha256(picture(3)).hexdigest()
    (cloud.folder / "store.blobs" / digest[:2] / digest).write_bytes(b"x" * len(picture(3)))

    with pytest.raises(LabelError, match="is damaged"):
        cloud.export()

    assert isinstance(cloud.blobs, FolderBlobs)
    assert not list(cloud.folder.glob("*out*"))


NAMES = [
    pytest.param(f"{'a' * 32}-17.png", ("a" * 32, 17), id="as we gave it"),
    pytest.param(f"images/12345678-{'a' * 32}-0.jpg", ("a" * 32, 0), id="Label Studio's"),
    pytest.param(f"C:\\x\\{'a' * 32}-0.PNG", ("a" * 32, 0), id="Windows"),
    pytest.param(f"b{'a' * 32}-0.png", None, id="longer"),
    pytest.param(f"{'a' * 32}.png", None, id="no number"),
    pytest.param(f"{'a' * 32}-{'9' * 30}.png", None, id="too large a number"),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_a_name_that_we_gave_is_known_again(name: str, expected: tuple[str, int] | None) -> None:
    assert sample_named(name) == expected
    assert digest_named(f"x/{'0a' * 32}.png") == "0a" * 32


def test_a_station_that_says_a_wrong_size_of_its_image_stops_no_export(cloud: Cloud) -> None:
    with engine(cloud.place).begin() as connection:
        connection.exec_driver_sql("UPDATE samples SET size_bytes = 7")

    out, done = cloud.export()

    assert done.images == 5
    assert cloud.take(out / ANNOTATIONS).unchanged == 4
