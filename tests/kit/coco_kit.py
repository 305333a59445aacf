"""A cloud whose samples go out as COCO and come back, and COCO files as we and labelling tools write them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from labels_kit import (
    PRODUCT,
    blobs_of,
    declare,
    have_file,
    id_of,
    images,
    picture,
    receive,
    sample,
    say,
)
from stores import ask, engine

from cloud_sync.hub.labels.coco_export import Exported, export_coco
from cloud_sync.hub.labels.coco_import import Imported, ImportRequest, import_coco
from cloud_sync.hub.labels.coco_names import file_name
from cloud_sync.hub.labels.labelling import said_by_number
from cloud_sync.hub.labels.listing import Wanted
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.truths import LabelBox, LabelTruth, boxed, defect, good, unsure

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
