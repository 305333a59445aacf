"""Labels out of a COCO file into the store: all of it or nothing, and the same file once.

An image is known by the name that its export gave it, by its sha256, or by the bytes of the file beside the COCO file.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.classes import check_known, declare_classes, known_classes
from cloud_sync.hub.labels.coco_names import digest_named, sample_named
from cloud_sync.hub.labels.coco_reading import Entry, Faults, entries, read_coco, shown, truth_said
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.labelling import NewLabel, add_labels, lock_labels, said_by_number
from cloud_sync.hub.labels.pictures import read_blob, size_px
from cloud_sync.hub.labels.samples import some_of
from cloud_sync.hub.labels.truths import LabelTruth, good
from cloud_sync.hub.labels.writing import read, written
from cloud_sync.hub.store.file_tables import files
from cloud_sync.hub.store.label_tables import label_imports, samples
from models.decoding import read_bytes


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import.

    Args:
        file: the COCO file.
        product: of which product its images are.
        by: who labelled.
        new_classes: names that become classes of the product.
        empty_is_good: an image without annotations is good; else it says nothing.
        at_ms: when, ms since 1970.
    """

    file: Path
    product: str
    by: str
    new_classes: tuple[str, ...] = ()
    empty_is_good: bool = False
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it: labels added; images that said what was known, or nothing; `again`: the file was here before."""

    added: int = 0
    unchanged: int = 0
    silent: int = 0
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Match:
    """A sample that an entry is of, and the label that whoever labelled it had seen; None: not known."""

    sample: str
    seen: int | None


def import_coco(place: str, blobs: Blobs, request: ImportRequest) -> Imported:
    """Add what the file says.

    Raises:
        LabelError: what is wrong with the file, by name: an image that is none of this product's, an unknown class, a
            broken box. Then nothing was imported.
        StoreError, BlobError: the outside world failed.
    """
    content = read_coco(request.file)
    digest = _file_sha256(request.file)
    faults = Faults()
    found = entries(content, faults)
    with read(place) as connection:  # images are looked at here, while nobody waits
        if _imported(connection, request, digest):
            return Imported(again=True)
        matches = _matches(connection, request, found, faults)
        said = _truths(connection, blobs, request, (found, matches), faults)
        _check_classes(connection, request, said.values(), faults)
    faults.raise_if_any(str(request.file))
    new = [_label(request, match, truth) for match, truth in said.items()]
    with written(place) as connection:
        lock_labels(connection)
        if _imported(connection, request, digest):
            return Imported(again=True)
        declare_classes(connection, request.product, request.new_classes, request.by, request.at_ms)
        added = add_labels(connection, _news(connection, new), request.at_ms)
        _note(connection, request, digest)
    return Imported(added, len(new) - added, len(found) - len({match.sample for match in said}))


def _imported(connection: sa.Connection, request: ImportRequest, digest: str) -> bool:
    own = label_imports.c.product == request.product, label_imports.c.sha256 == digest
    return connection.scalar(sa.select(sa.literal(1)).where(*own)) is not None


def _note(connection: sa.Connection, request: ImportRequest, digest: str) -> None:
    row = {"product": request.product, "sha256": digest, "said_by": request.by, "at_ms": request.at_ms}
    connection.execute(sa.insert(label_imports), row)


def _matches(
    connection: sa.Connection, request: ImportRequest, found: Sequence[Entry], faults: Faults
) -> list[tuple[_Match, ...]]:
    """The samples of each entry: one, or all that show the very same image."""
    named = [sample_named(entry.name) for entry in found]
    ids = _ids(connection, request.product, [name[0] for name in named if name])
    digests = [
        "" if name and name[0] in ids else _digest(request, entry) for name, entry in zip(named, found, strict=True)
    ]
    by_digest = _by_digest(connection, request.product, [digest for digest in digests if digest])
    matches: list[tuple[_Match, ...]] = []
    for entry, name, digest in zip(found, named, digests, strict=True):
        if name and name[0] in ids:
            own: tuple[_Match, ...] = (_Match(*name),)
        else:
            own = tuple(_Match(sample, None) for sample in by_digest.get(digest, ()))
        if not own:
            faults.add(
                f"image {shown(entry.name)} is no sample of product {request.product!r}: remove it from the file"
            )
        matches.append(own)
    counted = Counter(match.sample for own in matches for match in own)
    for entry, own in zip(found, matches, strict=True):
        if any(counted[match.sample] > 1 for match in own):
            faults.add(f"image {shown(entry.name)}: the file lists its image twice: keep one")
    return matches


def _ids(connection: sa.Connection, product: str, ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for some in some_of(ids):
        query = sa.select(samples.c.id).where(samples.c.id.in_(some), samples.c.product == product)
        found |= set(connection.scalars(query))
    return found


def _by_digest(connection: sa.Connection, product: str, digests: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for some in some_of(digests):
        query = sa.select(samples.c.sha256, samples.c.id).where(
            samples.c.sha256.in_(some), samples.c.product == product
        )
        for digest, sample in connection.execute(query.order_by(samples.c.id)):
            found[digest].append(sample)
    return found


def _digest(request: ImportRequest, entry: Entry) -> str:
    """The image's sha256, as the entry, its name or the file beside says; "" where nothing does."""
    return entry.sha256 or digest_named(entry.name) or _digest_beside(request.file, entry.name)


def _digest_beside(file: Path, name: str) -> str:
    """Of the image beside the COCO file; never of a file outside its data set's folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or "\0" in name or not _is_text(name):
        return ""
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    for folder in (file.parent, root, root / "images", root / "images" / "default"):
        path = folder.joinpath(*parts)
        if path.resolve().is_relative_to(root.resolve()) and (content := read_bytes(path)) is not None:
            return hashlib.sha256(content).hexdigest()
    return ""


def _is_text(name: str) -> bool:
    """Whether it can be written in UTF-8: half a surrogate pair, as JSON may escape one, cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _truths(
    connection: sa.Connection,
    blobs: Blobs,
    request: ImportRequest,
    entries_and_matches: tuple[Sequence[Entry], Sequence[tuple[_Match, ...]]],
    faults: Faults,
) -> dict[_Match, LabelTruth]:
    """What is said of each sample, boxes inside the image as it really is."""
    found, matches = entries_and_matches
    stored = _stored(connection, [own[0].sample for own in matches if own])
    said: dict[_Match, LabelTruth] = {}
    for entry, own in zip(found, matches, strict=True):
        if not own or (not entry.annotations and not request.empty_is_good):
            continue
        size = _true_size(blobs, stored.get(own[0].sample), entry, faults) if entry.annotations else (1, 1)
        if size is None:
            continue
        truth = truth_said(entry, size, faults) if entry.annotations else good()
        said |= dict.fromkeys(own, truth) if truth else {}
    return said


def _stored(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Digest and size in bytes of the samples' images, of those that have one."""
    found: dict[str, tuple[str, int]] = {}
    for some in some_of(ids):
        sent = (files.c.station == samples.c.station) & (files.c.sha256 == samples.c.sha256)
        size = sa.case((samples.c.station == "", samples.c.size_bytes), else_=files.c.size_bytes)
        query = sa.select(samples.c.id, samples.c.sha256, size).select_from(samples.outerjoin(files, sent))
        for sample, sha256, size_bytes in connection.execute(query.where(samples.c.id.in_(some))):
            if sha256 and size_bytes:
                found[sample] = (sha256, size_bytes)
    return found


def _true_size(blobs: Blobs, stored: tuple[str, int] | None, entry: Entry, faults: Faults) -> tuple[int, int] | None:
    if stored is None or not blobs.holds(stored[0]):
        faults.add(f"image {shown(entry.name)} did not arrive here yet, so its labels cannot be checked: import later")
        return None
    size = size_px(read_blob(blobs, *stored))
    if size is None:
        faults.add(f"image {shown(entry.name)} is no readable image")
    elif entry.size_px not in {None, size}:
        faults.add(f"image {shown(entry.name)} is {size[0]}x{size[1]}, its labels were drawn for {entry.size_px}")
        return None
    return size


def _check_classes(
    connection: sa.Connection, request: ImportRequest, said: Iterable[LabelTruth], faults: Faults
) -> None:
    try:
        known = (*known_classes(connection, request.product), *request.new_classes)
        check_known(known, {name for truth in said for name in truth.names})
    except LabelError as error:
        faults.add(str(error))


def _label(request: ImportRequest, match: _Match, truth: LabelTruth) -> NewLabel:
    return NewLabel(match.sample, truth, "import", request.by, request.at_ms, match.seen)


def _news(connection: sa.Connection, new: Sequence[NewLabel]) -> list[NewLabel]:
    """Without what only repeats the label that its person had before him: nobody said that anew."""
    numbers = sorted({label.seen for label in new if label.seen})
    before = {number: said for some in some_of(numbers) for number, said in said_by_number(connection, some).items()}
    return [label for label in new if before.get(label.seen or 0) != (label.sample, label.truth)]


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
