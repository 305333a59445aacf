"""`cloud labels` and `cloud import` as people and scripts call them."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from labels_kit import PRODUCT, blobs_of, have_file, id_of, images, picture, receive, sample
from outboxes import AT, EPOCH, STATION
from typer.testing import CliRunner

from cloud_sync.hub.cli import app
from cloud_sync.hub.labels.drift_desk import DriftDesk
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire.messages import DriftMessage, DriftSigns

HOSTILE = "\x1b[2J\npress-9  online\t\x00"


def cloud(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Two samples, one with its image, one that says evil things."""
    place = str(tmp_path / "store.db")
    receive(
        place, sample(1, 1, ["audit"]), images(1, {"top": picture(1)}), sample(2, 2, part_id=HOSTILE, camera="x\x1b")
    )
    have_file(place, blobs_of(place, tmp_path), picture(1))
    return place


def test_samples_are_exported_labelled_and_imported_by_command(store: str, tmp_path: Path) -> None:
    where = ("--product", PRODUCT, "--store", store)
    assert cloud("labels", "classes", *where, "--add", "crack").stdout == "crack\n"
    listed = [json.loads(line) for line in cloud("labels", "list", "--store", store, "--json").stdout.splitlines()]
    exported = json.loads(cloud("labels", "export", *where, "--out", str(tmp_path / "out"), "--json").stdout)
    file = tmp_path / "out" / "annotations" / "instances_default.json"
    content = json.loads(file.read_text())
    content["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 11]}]
    file.write_text(json.dumps(content))

    first = json.loads(cloud("labels", "import", str(file), *where, "--by", "Ada", "--json").stdout)
    again = cloud("labels", "import", str(file), *where)
    after = cloud("labels", "list", "--store", store, "--reason", "audit").stdout.splitlines()

    assert {item["id"]: (item["image"], item["said"]) for item in listed}[id_of(1)] == ("ready", None)
    assert (exported["images"], exported["waiting"]) == (1, 1)
    assert (first["added"], again.exit_code) == (1, 0)
    assert "was imported before: nothing added" in again.stdout
    assert after[1].split("\t")[5:] == ["audit", "ready", "crack", "Ada (import)"]


def test_a_labelled_folder_is_imported_by_command(store: str, tmp_path: Path) -> None:
    for name, seed in (("good", 7), ("crack", 8)):
        (tmp_path / "h" / name).mkdir(parents=True)
        (tmp_path / "h" / name / "1.png").write_bytes(picture(seed))

    said = cloud("import", str(tmp_path / "h"), "--product", "lid", "--store", store, "--by", "Ada")

    assert (said.exit_code, said.stdout) == (0, "2 images, 2 labels added\n")


REFUSED = [
    pytest.param(
        ("labels", "import", "{dir}/none.json", "--product", "x", "--store", "{store}"), 2, "no readable", id="file"
    ),
    pytest.param(("import", "{dir}/none", "--product", "x", "--store", "{store}"), 2, "is no folder", id="folder"),
    pytest.param(
        ("labels", "classes", "--product", "x", "--store", "{store}", "--add", ".."), 2, "a class is", id="class"
    ),
    pytest.param(("labels", "list", "--store", "{dir}/none.db"), 3, "there is no store", id="store"),
    pytest.param(
        ("labels", "export", "--store", "{store}", "--out", "{dir}", "--product", "x"), 2, "exists", id="taken"
    ),
]


@pytest.mark.parametrize(("words", "code", "why"), REFUSED)
def test_what_cannot_be_done_is_said_plainly(
    store: str, tmp_path: Path, words: tuple[str, ...], code: int, why: str
) -> None:
    said = cloud(*(word.format(dir=tmp_path, store=store) for word in words))

    assert (said.exit_code, said.stdout) == (code, "")
    assert why in said.stderr
    assert isinstance(said.exception, SystemExit)


def test_a_station_writes_no_lines_of_its_own_into_a_list_of_samples(store: str) -> None:
    said = cloud("labels", "list", "--store", store)

    assert len(said.stdout.splitlines()) == 3
    assert "\x1b" not in said.stdout


def test_stations_say_how_many_samples_they_sent_and_what_drifts(store: str) -> None:
    sign = DriftSigns(product="lid", camera="top", sign="focus", alarm=True, statistic=2, limit=1, parts=9)
    message = DriftMessage(at=AT, epoch=EPOCH, signs=[sign])
    with StoreWriter(store) as writer:
        writer.commit(lambda connection: DriftDesk().take(connection, STATION, "drift", message.pack(), 7))
    cloud("labels", "list", "--store", store)  # catches up

    heading, line = cloud("stations", "--store", store).stdout.splitlines()
    said = json.loads(cloud("stations", "--store", store, "--json").stdout)

    assert "samples" in heading
    assert line.endswith("drift lid top focus")
    assert (said["samples"], said["drift"]) == (2, ["lid top focus"])
