"""A labelled folder into the store: the first training can begin with what there was before the first station.

An image is known by its content: the same folder again adds nothing, and nothing that a person said since is replaced.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.classes import checked_class, declare_classes
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.imported import NewImage, add_imported
from cloud_sync.hub.labels.labelling import NewLabel, add_labels
from cloud_sync.hub.labels.samples import imported_id, some_of
from cloud_sync.hub.labels.truths import LabelBox, LabelTruth, boxed, defect, good, truth_of, unsure
from cloud_sync.hub.labels.writing import written
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.label_tables import labels, memberships, samples
from models.dataset.reading import read_dataset
from models.dataset.records import Dataset, LabelledImage

_ROLES = {"train": "learned", "val": "learned", "test": "holdout"}


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What to import.

    Args:
        folder: anything that `read_dataset` knows.
        product: of which product the images are.
        by: who vouches for the labels.
        at_ms: when, ms since 1970.
        keep_splits: what the folder declares as test is held out for ever, what it declares as train or val counts as
            learned from; for a folder that a model in use was made of.
    """

    folder: Path
    product: str
    by: str
    at_ms: int
    keep_splits: bool = False


@dataclass(frozen=True, slots=True)
class HistoryImported:
    """What came of it: images in the folder; labels added; labels that people changed since, left as they are."""

    images: int
    added: int
    kept: int


@dataclass(frozen=True, slots=True)
class _Found:
    """One image of the folder."""

    name: str
    sha256: str
    size_bytes: int
    truth: LabelTruth
    belongs: str
    split: str


def import_history(
    place: str, blobs: Blobs, request: HistoryRequest, advance: Callable[[int, int], None] | None = None
) -> HistoryImported:
    """Put images into the blob store, samples and labels into the store.

    Raises:
        DatasetError: the folder cannot be read.
        LabelError: a class's name is none, or one image is labelled in two ways.
        StoreError, BlobError, OSError: the outside world failed.
    """
    dataset = read_dataset(request.folder)
    names = [checked_class(name) for name in dataset.classes]
    found: dict[str, _Found] = {}
    for done, image in enumerate(dataset.images, 1):
        _add(found, _find(image, dataset, blobs))
        if advance:
            advance(done, len(dataset))
    listed = list(found.values())
    with written(place) as connection:
        declare_classes(connection, request.product, names, request.by, request.at_ms)
        news = [NewImage(item.sha256, item.size_bytes, item.belongs) for item in listed]
        add_imported(connection, request.product, news, request.at_ms)
        added, kept = _label(connection, request, listed)
        if request.keep_splits:
            _keep_splits(connection, request, listed)
    return HistoryImported(len(dataset), added, kept)


def _find(image: LabelledImage, dataset: Dataset, blobs: Blobs) -> _Found:
    content = image.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if not blobs.holds(digest):
        blobs.put(digest, BytesIO(content))
    belongs = f"{dataset.root.name}/{image.group}" if image.group else ""
    return _Found(image.name, digest, len(content), truth_in(image, dataset), belongs, image.split)


def truth_in(image: LabelledImage, dataset: Dataset) -> LabelTruth:
    """The label in a data set's image; a defective one of which nobody says more is `unsure`."""
    if len(image.truth):
        pairs = zip(image.truth.boxes_xyxy.tolist(), image.truth.class_ids.tolist(), strict=True)
        boxes = [LabelBox(dataset.classes[number], (box[0], box[1], box[2], box[3])) for box, number in pairs]
        return boxed(list(dict.fromkeys(boxes)))
    if image.label:
        return defect(image.label)
    return unsure() if image.defective else good()


def _add(found: dict[str, _Found], image: _Found) -> None:
    other = found.setdefault(image.sha256, image)
    if other.truth != image.truth:
        raise LabelError(f"{image.name} and {other.name} are the same image and labelled differently: mend one of them")


def _label(connection: sa.Connection, request: HistoryRequest, listed: Sequence[_Found]) -> tuple[int, int]:
    """Labels added, and labels of people that stay."""
    said = _said(connection, request.product, listed)
    new = [
        NewLabel(sample, item.truth, "import", request.by, request.at_ms)
        for item in listed
        if (sample := imported_id(request.product, item.sha256)) not in said
    ]
    changed = sum(said.get(imported_id(request.product, item.sha256), item.truth) != item.truth for item in listed)
    return add_labels(connection, new, request.at_ms), changed


def _said(connection: sa.Connection, product: str, listed: Sequence[_Found]) -> Mapping[str, LabelTruth]:
    """What counts now, of those that are labelled."""
    found: dict[str, LabelTruth] = {}
    newest = samples.join(labels, labels.c.seq == samples.c.label)
    for some in some_of([imported_id(product, item.sha256) for item in listed]):
        query = sa.select(samples.c.id, labels.c.says, labels.c.classes, labels.c.boxes).select_from(newest)
        for row in connection.execute(query.where(samples.c.id.in_(some))):
            found[row.id] = truth_of(row.says, row.classes, row.boxes)
    return found


def _keep_splits(connection: sa.Connection, request: HistoryRequest, listed: Sequence[_Found]) -> None:
    for item in listed:
        if role := _ROLES.get(item.split):
            row = {"product": request.product, "sample": imported_id(request.product, item.sha256), "role": role}
            add_absent(connection, memberships, row | {"audit": False, "since_ms": request.at_ms})
