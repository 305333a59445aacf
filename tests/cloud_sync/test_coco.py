"""Labels leave as COCO and come back out of it: as we write it, as CVAT and Label Studio do, as an attacker does."""

import hashlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from brokers import eventually
from labels_kit import (
    PRODUCT,
    blobs_of,
    declare,
    have_file,
    id_of,
    images,
    picture,
    put_directly,
    receive,
    sample,
    say,
)
from stores import ask, engine

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.labels.coco_export import ANNOTATIONS, IMAGES, PROPOSALS, Exported, export_coco
from cloud_sync.hub.labels.coco_import import Imported, ImportRequest, import_coco
from cloud_sync.hub.labels.coco_names import digest_named, file_name, sample_named
from cloud_sync.hub.labels.coco_reading import KEYS, Faults, entries, truth_said
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.labelling import said_by_number
from cloud_sync.hub.labels.listing import Wanted
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.truths import LabelBox, LabelTruth, boxed, defect, good, unsure
from models.dataset.coco import read as read_form

Content = dict[str, Any]
ENDLESS = "a number beyond all that a float holds"
TRUTHS = {
    1: good(),
    2: defect("crack"),
    3: boxed([LabelBox("crack", (1, 2, 9.5, 12)), LabelBox("dent", (20, 4, 30, 31))]),
    4: unsure(),
}


class Cloud:
    """A store with six samples of 48 x 32 pixels: four labelled, one not, one without its image."""

    def __init__(self, place: str, folder: Path, *, fill: bool = True) -> None:
        self.place = place
        self.folder = folder
        self.blobs = blobs_of(place, folder)
        if fill:
            self._fill(place)

    def _fill(self, place: str) -> None:
        pictures = {seq: picture(seq) for seq in range(1, 6)}
        receive(place, *(sample(seq, seq, ["novel"]) for seq in range(1, 7)))
        receive(place, *(images(seq, {"top": content}) for seq, content in pictures.items()))
        for seq, content in pictures.items():
            have_file(place, self.blobs, content, seq)
        catch_up(place)
        declare(place, "crack", "dent")
        for seq, truth in TRUTHS.items():
            say(place, id_of(seq), truth)

    def export(self, name: str = "out", wanted: Wanted | None = None) -> tuple[Path, Exported]:
        out = self.folder / name
        with engine(self.place).connect() as connection:
            return out, export_coco(connection, self.blobs, wanted or Wanted(PRODUCT), out)

    def take(self, file: Path, new_classes: tuple[str, ...] = (), *, empty_is_good: bool = False) -> Imported:
        request = ImportRequest(file, PRODUCT, "Bo", new_classes, empty_is_good)
        return import_coco(self.place, self.blobs, request)

    def given(self, content: Content | str, name: str = "in.json") -> Path:
        path = self.folder / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text.replace(f'"{ENDLESS}"', "1e999"))
        return path

    def says(self) -> dict[int, LabelTruth]:
        """What counts, by inspection."""
        rows = ask(self.place, "SELECT seq, label FROM samples WHERE label IS NOT NULL AND station <> ''")
        with engine(self.place).connect() as connection:
            said = said_by_number(connection, [int(str(row[1])) for row in rows])
        return {int(str(row[0])): said[int(str(row[1]))][1] for row in rows}


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: the tests work on copies."""
    folder = tmp_path_factory.mktemp("filled")
    Cloud(str(folder / "store.db"), folder)
    return folder


@pytest.fixture
def cloud(filled: Path, tmp_path: Path) -> Cloud:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return Cloud(str(tmp_path / "store.db"), tmp_path, fill=False)


def named(seq: int, label: int = 0) -> str:
    return file_name(id_of(seq), label, ".png")


def coco(*annotations: Content, seqs: tuple[int, ...] = (5,), names: tuple[str, ...] = ("crack",)) -> Content:
    """A file as short as can be."""
    return {
        "images": [
            {"id": number, "width": 48, "height": 32, "file_name": named(seq)} for number, seq in enumerate(seqs, 1)
        ],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, **one} for number, one in enumerate(annotations, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
    }


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


def test_a_station_that_sends_no_image_and_boxes_of_nothing_spoils_no_export(cloud: Cloud) -> None:
    junk = b"#!/bin/sh\n" * 9
    receive(cloud.place, sample(8, 8), images(8, {"top": junk}))
    have_file(cloud.place, cloud.blobs, junk, 8)
    catch_up(cloud.place)
    with engine(cloud.place).begin() as connection:
        connection.exec_driver_sql("UPDATE samples SET champion = replace(champion, '4.0', 'null') WHERE seq = 1")

    out, done = cloud.export()

    assert done.unreadable == (id_of(8),)
    assert (done.images, done.proposals) == (5, 4)
    assert len(list((out / IMAGES).iterdir())) == 5


# How tools write it. CVAT's "COCO 1.0" as Datumaro exports it; Label Studio's as its converter does, both read in their
# sources: no such tool is installed here.
def as_cvat() -> Content:
    entry = {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0, "width": 48, "height": 32}
    box = {"segmentation": [], "iscrowd": 0, "attributes": {"occluded": False, "rotation": 0.0}}
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [{"id": 1, "name": "crack", "supercategory": ""}, {"id": 2, "name": "good", "supercategory": ""}],
        "images": [
            {"id": 1, "file_name": "default/" + named(5), **entry},
            {"id": 2, "file_name": named(2, 2), **entry},
            {"id": 3, "file_name": named(1, 1), **entry},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "area": 30.0, "bbox": [3.5, 4.0, 5.0, 6.0], **box},
            {"id": 2, "image_id": 2, "category_id": 2, "area": 1536.0, "bbox": [0.0, 0.0, 48.0, 32.0], **box},
        ],
    }


def as_label_studio() -> Content:
    box = {"segmentation": [], "ignore": 0, "iscrowd": 0}
    size = {"width": 48, "height": 32}
    return {
        "images": [
            {**size, "id": 0, "file_name": "images\\a1b2c3d4-" + named(5)},
            {**size, "id": 1, "file_name": "/data/local-files/?d=pictures%2F" + named(2, 2)},
            {"width": None, "height": None, "id": 2, "file_name": "images/ffffffff-" + named(1, 1)},
        ],
        "categories": [{"id": 0, "name": "crack"}, {"id": 1, "name": "Good"}],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 0, "bbox": [3.5, 4.0, 5.0, 6.0], "area": 30.0, **box},
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0.1, 0.0, 47.9, 32.0], "area": 1532.0, **box},
        ],
        "info": {"year": 2026, "version": "1.0", "description": "", "contributor": "Label Studio", "url": ""},
    }


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


def _other(key: str, value: object) -> Callable[[Content], object]:
    return lambda content: content["images"][0].update({key: value})


def _twice(content: Content, key: str) -> None:
    content[key].append(dict(content[key][0]))


HOSTILE: list[Any] = [
    pytest.param(_other("file_name", "../../../etc/passwd"), "is no sample of product", id="a name that climbs"),
    pytest.param(_other("file_name", "/etc/passwd"), "is no sample of product", id="an absolute name"),
    pytest.param(_other("file_name", "a\0b"), "is no sample of product", id="a name with a NUL"),
    pytest.param(_other("file_name", ["x"]), "is no sample of product", id="a name that is a list"),
    pytest.param(_other("file_name", "x" * 10**6), "is no sample of product", id="a huge name"),
    pytest.param(
        lambda c: c["images"][0].update(file_name="x", sha256="\ud800"), "is no sample of product", id="a broken sha256"
    ),
    pytest.param(_other("width", 49), "is 48x32, its labels were drawn for", id="another size"),
    pytest.param(lambda c: _twice(c, "images"), "another one has its id", id="image id twice"),
    pytest.param(lambda c: c["images"].append(c["images"][0] | {"id": 9}), "lists its image twice", id="image twice"),
    pytest.param(lambda c: _twice(c, "annotations"), "another one has its id", id="annotation id twice"),
    pytest.param(
        lambda c: c["categories"].append({"id": 1, "name": "dent"}), "another one has its id", id="category twice"
    ),
    pytest.param(lambda c: c["categories"].append({"id": "x"}), "no whole number as id", id="category of no id"),
    pytest.param(lambda c: c["annotations"][0].update(bbox=[1, 1, ENDLESS, 1]), "bbox must be", id="endless box"),
    pytest.param(lambda c: c["annotations"][0].update(bbox=[1, 1, 10**400, 1]), "bbox must be", id="huge number"),
    pytest.param(
        lambda c: c["annotations"][0].update(bbox=[1, 1, -5, 5]), "a box is left < right", id="negative width"
    ),
    pytest.param(lambda c: c["annotations"][0].update(bbox=[1, 1, 90, 5]), "outside its image", id="box outside"),
    pytest.param(lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "bbox must be", id="three numbers"),
    pytest.param(lambda c: c["annotations"][0].update(bbox="1234"), "bbox must be", id="box is text"),
    pytest.param(lambda c: c["annotations"][0].update(bbox={"x": 1}), "bbox must be", id="box is an object"),
    pytest.param(lambda c: c["annotations"][0].update(category_id=7), "none of the file's", id="category unknown"),
    pytest.param(lambda c: c["annotations"][0].update(image_id=7), "does not list", id="image unknown"),
    pytest.param(lambda c: c["categories"][0].update(name="../x"), "unknown class", id="class is a path"),
    pytest.param(
        lambda c: c["annotations"].append({"id": 2, "image_id": 1, "category_id": 2}),
        "is said to be good",
        id="good and bad",
    ),
    pytest.param(
        lambda c: c["annotations"].append({"id": 2, "image_id": 1, "category_id": 3}),
        "as a whole",
        id="a place and a whole",
    ),
]


@pytest.mark.parametrize(("spoil", "words"), HOSTILE)
def test_a_file_that_is_wrong_anywhere_is_refused_by_name_and_nothing_of_it_is_taken(
    cloud: Cloud, spoil: Callable[[Content], object], words: str
) -> None:
    content = coco({"bbox": [1, 1, 9, 9]}, seqs=(5, 1), names=("crack", "good", "dent"))
    spoil(content)

    with pytest.raises(LabelError, match=words) as raised:
        cloud.take(cloud.given(content))

    assert len(str(raised.value)) < 5000
    assert cloud.says() == TRUTHS
    assert ask(cloud.place, "SELECT count(*) FROM label_imports") == [(0,)]


NOT_COCO = [
    pytest.param("", "no readable COCO", id="empty"),
    pytest.param("[" * 100_000, "no readable COCO", id="deep"),
    pytest.param('{"images": [NaN], "annotations": [], "categories": []}', "NaN is no number", id="NaN"),
    pytest.param('{"images": [1], "annotations": [], "categories": []}', "list of objects 'images'", id="numbers"),
    pytest.param('{"images": [], "annotations": []}', "list of objects 'categories'", id="no categories"),
    pytest.param('"images"', "list of objects", id="text"),
]


@pytest.mark.parametrize(("content", "words"), NOT_COCO)
def test_what_is_no_coco_is_refused(cloud: Cloud, content: str, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        cloud.take(cloud.given(content))


def test_a_link_out_of_the_folder_is_not_followed(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("secret") / "secret.png"
    elsewhere.write_bytes(picture(5))
    folder = cloud.folder / "given"
    folder.mkdir()
    (folder / "x.png").symlink_to(elsewhere)
    content = coco({"bbox": [1, 1, 9, 9]})
    content["images"][0]["file_name"] = "x.png"

    with pytest.raises(LabelError, match="is no sample"):
        cloud.take(cloud.given(content, "given/in.json"))


def test_the_images_of_another_product_are_not_labelled(cloud: Cloud) -> None:
    put_directly(cloud.place, [("a" * 32, picture(50))], product="lid")
    content = coco({"bbox": [1, 1, 9, 9]})
    content["images"][0]["file_name"] = f"{'a' * 32}-0.png"

    with pytest.raises(LabelError, match="is no sample of product 'cell'"):
        cloud.take(cloud.given(content))


def test_labels_of_an_image_that_is_not_here_cannot_be_checked(cloud: Cloud) -> None:
    with pytest.raises(LabelError, match="did not arrive here yet"):
        cloud.take(cloud.given(coco({"bbox": [1, 1, 9, 9]}, seqs=(6,))))


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


JUNK: tuple[object, ...] = (
    None,
    True,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "\ud800",
    [],
    [[]],
    {},
    {"id": 1},
    [1, 2, 3, 4],
    float("inf"),
)


def spoiled(node: object, chance: Random) -> object:
    """The same with something else somewhere."""
    if chance.random() < 0.08:
        return chance.choice(JUNK)
    if isinstance(node, dict):
        return {key: spoiled(value, chance) for key, value in node.items() if chance.random() > 0.03}
    return [spoiled(value, chance) for value in node] if isinstance(node, list) else node


def test_whatever_stands_in_a_file_it_is_read_or_refused_and_no_box_of_it_leaves_its_image() -> None:
    chance, read_whole, refused = Random(5), 0, 0
    for _ in range(3000):
        faults = Faults()
        whole = as_cvat() if chance.random() < 0.5 else as_label_studio()
        given = {key: [spoiled(entry, chance) for entry in whole[key]] for key in KEYS}
        lists = {key: [entry for entry in listed if isinstance(entry, dict)] for key, listed in given.items()}
        for entry in entries(lists, faults):
            truth = truth_said(entry, (48, 32), faults)
            for box in truth.boxes if truth else ():
                assert 0 <= box.corners_px[0] < box.corners_px[2] <= 48
                assert 0 <= box.corners_px[1] < box.corners_px[3] <= 32
        read_whole += not faults.found
        refused += bool(faults.found)
    assert min(read_whole, refused) > 100
