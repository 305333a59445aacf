"""Samples as COCO, for whoever labels them: images in files, labels, and what the model proposes beside them.

- `annotations/instances_default.json` and `images/default/` are what CVAT calls "COCO 1.0", and what Label Studio's
  converter reads. Labels of a whole image are a box around it all that says `image_level`; `good` and `unsure` are
  categories for that.
- A box has no `segmentation`, not even an empty one, on which Label Studio's converter fails.
- `proposals/default/instances_default.json` is the same in form, with the model's boxes and a `score` to each: to be
  taken as annotations to begin with.
- An image says under `inspectd` whose it is, why it was kept and who labelled it.
- Nothing is held in memory but one page of samples; the folder is there whole or not at all.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TextIO

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.classes import known_classes
from cloud_sync.hub.labels.coco_names import file_name
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.listing import SampleView, Wanted, list_samples
from cloud_sync.hub.labels.pictures import read_blob, size_px, suffix_of
from cloud_sync.hub.labels.truths import GOOD, UNSURE, LabelTruth

ANNOTATIONS = "annotations/instances_default.json"
PROPOSALS = "proposals/default/instances_default.json"
IMAGES = "images/default"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: images, annotations, proposals; `waiting` have no image here, `unreadable` are none."""

    images: int
    annotations: int
    proposals: int
    waiting: int
    unreadable: tuple[str, ...]


def export_coco(connection: sa.Connection, blobs: Blobs, wanted: Wanted, out: Path) -> Exported:
    """Write the samples that are wanted of one product.

    Args:
        connection: to the store; `wanted.product` must be said.
        blobs: where the images lie.
        wanted: which samples.
        out: the folder; must not exist.

    Raises:
        LabelError: `out` is taken, or an image in the blob store is damaged.
        BlobError, SQLAlchemyError, OSError: the outside world failed.
    """
    if out.exists():
        raise LabelError(f"{out} exists and is left as it is: name another folder")
    if wanted.product is None:
        raise LabelError("an export is of one product: say which with --product")
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        (beside / IMAGES).mkdir(parents=True)
        with CocoLists(beside, known_classes(connection, wanted.product)) as lists:
            for name, content in lists.pictures(list_samples(connection, wanted), partial(read_picture, blobs)):
                (beside / name).write_bytes(content)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return lists.done


def read_picture(blobs: Blobs, sample: SampleView) -> bytes:
    """A sample's picture, which is there. Raises BlobError, LabelError where it is damaged."""
    return read_blob(blobs, str(sample.sha256), sample.size_bytes or 0)


class CocoLists:
    """The two COCO files of an export, which grow picture by picture; whole once this is left.

    Args:
        folder: where they are written, below it as an export has them.
        classes: of the product.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder = folder
        self._names = (*classes, GOOD, UNSURE)
        self._waiting = 0
        self._unreadable: list[str] = []
        self._files = ExitStack()

    def __enter__(self) -> Self:
        """Open them. Raises OSError."""
        self._said, self._proposed = (
            _Instances(self._folder / path, self._names, self._files) for path in (ANNOTATIONS, PROPOSALS)
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close them, whole unless something failed. Raises OSError."""
        with self._files:
            if kind is None:
                self._said.close()
                self._proposed.close()

    def pictures(
        self, samples: Iterable[SampleView], fetch: Callable[[SampleView], bytes]
    ) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of each picture, listed with its labels; what is no picture, or not here, is only counted.

        Args:
            samples: of the product.
            fetch: a sample's picture, which is in the blob store; no bytes: it is left out.
        """
        for sample in samples:
            if sample.image != "ready" or sample.sha256 is None or not sample.size_bytes:
                self._waiting += 1
                continue
            content = fetch(sample)
            name = _list(sample, content, (self._said, self._proposed))
            if name:
                yield f"{IMAGES}/{name}", content
            else:
                self._unreadable.append(sample.id)

    @property
    def done(self) -> Exported:
        """What there is so far."""
        said, proposed = self._said, self._proposed
        counts = said.images, said.annotations, proposed.annotations, self._waiting
        return Exported(*counts, tuple(self._unreadable))


class _Instances:
    """One COCO file, written entry by entry; closed with its categories."""

    def __init__(self, path: Path, names: Sequence[str], stack: ExitStack) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file: TextIO = stack.enter_context(path.open("w", encoding="utf-8"))
        self._beside: TextIO = stack.enter_context(path.with_suffix(".part").open("w+", encoding="utf-8"))
        self._ids = {name: number for number, name in enumerate(names, 1)}
        self.images = self.annotations = 0
        self._file.write('{"info": {"description": "inspectd", "version": "1"}, "licenses": [], "images": [')

    def image(self, entry: Mapping[str, object]) -> int:
        """Its id."""
        self.images += 1
        self._file.write((",\n" if self.images > 1 else "\n") + _json({"id": self.images, **entry}))
        return self.images

    def annotate(self, image: int, name: str, corners_px: Sequence[float], **more: object) -> None:
        """A box; a name that is no category yet becomes one."""
        self.annotations += 1
        left, top, right, bottom = corners_px
        width, height = right - left, bottom - top
        entry = {
            "id": self.annotations,
            "image_id": image,
            "category_id": self._ids.setdefault(name, len(self._ids) + 1),
            "bbox": [left, top, width, height],
            "area": width * height,
            "iscrowd": 0,
        }
        self._beside.write((",\n" if self.annotations > 1 else "\n") + _json(entry | more))

    def close(self) -> None:
        """Put both lists and the categories together."""
        self._beside.seek(0)
        self._file.write('], "annotations": [')
        shutil.copyfileobj(self._beside, self._file)
        categories = [{"id": number, "name": name, "supercategory": ""} for name, number in self._ids.items()]
        self._file.write('], "categories": ' + _json(categories) + "}\n")
        self._path.with_suffix(".part").unlink()


def _list(sample: SampleView, content: bytes, into: tuple[_Instances, _Instances]) -> str:
    """The picture's name in the export; empty where these bytes are no picture."""
    size, suffix = size_px(content), suffix_of(content)
    if size is None or not suffix:
        return ""
    said, proposed = into
    name = file_name(sample.id, sample.label, suffix)
    entry: dict[str, object] = {"width": size[0], "height": size[1], "file_name": name}
    number = said.image(entry | {"inspectd": _about(sample)})
    for label, corners_px, more in _annotations(sample.truth, size):
        said.annotate(number, label, corners_px, **more)
    number = proposed.image(entry)
    for found in sample.proposals.get("champion", {}).get("detections", []):
        proposed.annotate(number, found["label"], found["box_xyxy"], score=found["score"])
    return name


def _annotations(
    truth: LabelTruth | None, size: tuple[int, int]
) -> Iterator[tuple[str, Sequence[float], dict[str, object]]]:
    if truth is None:
        return
    whole = (0.0, 0.0, float(size[0]), float(size[1]))
    if truth.says != "boxes":
        yield truth.name or truth.says, whole, {"attributes": {"image_level": True}}
    for box in truth.boxes:
        yield box.name, box.corners_px, {"attributes": {"image_level": False}}


def _about(sample: SampleView) -> dict[str, Any]:
    same = ("station", "epoch", "seq", "camera", "part_id", "sha256", "reasons", "source", "by", "conflict")
    about: dict[str, Any] = {"sample": sample.id, "label": sample.label}
    about |= {name: getattr(sample, name) for name in same}
    about["operators"] = [
        {"verdict": word.verdict, "right": word.is_right, "label": word.label, "by": word.by} for word in sample.words
    ]
    return about


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
