"""A frozen data set as files of the blob store: its images lie there already, so a snapshot is little more than a list.

Any worker can lay it out again, and so can whoever asks in a year what a model was trained by.
"""

import hashlib
import io
import json
import shutil
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cloud_sync.hub.files.blobs import Blobs, file_sha256
from cloud_sync.hub.retraining.errors import RetrainingError

_SCHEMA = "inspectd/snapshot/1"
_PIECE_BYTES = 8 * 1024**2


class Kept(NamedTuple):
    """A file of the blob store."""

    sha256: str
    size_bytes: int


def keep_snapshot(folder: Path, blobs: Blobs) -> Kept:
    """Put all files of a folder, and their list, into the blob store; the list. Raises BlobError, OSError."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {str(path.relative_to(folder)): keep_file(path, blobs) for path in paths}
    return _keep_bytes(json.dumps({"schema": _SCHEMA, "files": files}, sort_keys=True).encode(), blobs)


def lay_out(snapshot: Kept, blobs: Blobs, folder: Path) -> None:
    """Make the folder again, whole or not at all.

    Raises:
        BlobError, OSError: the outside world failed.
        RetrainingError: the list is none of ours.
    """
    content = json.loads(blobs.read(snapshot.sha256, 0, snapshot.size_bytes))
    if content.get("schema") != _SCHEMA:
        raise RetrainingError(f"{snapshot.sha256} is a snapshot of {content.get('schema')!r}, expected {_SCHEMA!r}")
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    for name, (sha256, size_bytes) in content["files"].items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise RetrainingError(f"the snapshot {snapshot.sha256} names {name!r}, which leads out of it")
        fetch(Kept(sha256, size_bytes), blobs, beside / name)
    beside.replace(folder)


def keep_file(path: Path, blobs: Blobs) -> Kept:
    """Put a file into the blob store. Raises BlobError, OSError."""
    sha256, size_bytes = file_sha256(path)
    if not blobs.holds(sha256):
        with path.open("rb") as content:
            blobs.put(sha256, content)
    return Kept(sha256, size_bytes)


def fetch(kept: Kept, blobs: Blobs, into: Path) -> None:
    """A file out of the blob store, checked, whole or not at all. Raises BlobError, OSError, RetrainingError."""
    into.parent.mkdir(parents=True, exist_ok=True)
    beside, digest = into.with_name(f".{into.name}.new"), hashlib.sha256()
    with beside.open("wb") as file:
        for first in range(0, kept.size_bytes, _PIECE_BYTES):
            piece = blobs.read(kept.sha256, first, min(first + _PIECE_BYTES, kept.size_bytes))
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != kept.sha256:
        raise RetrainingError(f"the blob store holds other content under {kept.sha256}: see to its disk")
    beside.replace(into)


def _keep_bytes(content: bytes, blobs: Blobs) -> Kept:
    sha256 = hashlib.sha256(content).hexdigest()
    if not blobs.holds(sha256):
        blobs.put(sha256, io.BytesIO(content))
    return Kept(sha256, len(content))
