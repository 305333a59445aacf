"""Whatever stands in a COCO file that comes in, it is read or refused by name, and a refused one changes nothing."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from coco_kit import ENDLESS, TRUTHS, Cloud, Content, as_cvat, as_label_studio, coco
from labels_kit import picture, put_directly
from stores import ask

from cloud_sync.hub.labels.coco_reading import KEYS, Faults, entries, truth_said
from cloud_sync.hub.labels.errors import LabelError


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
