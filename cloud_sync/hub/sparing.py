"""`cloud spare`: the kit of a dead server, from what its station sent while it lived."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.station_desks import last_health
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.file_tables import files
from cloud_sync.wire.kit import MANIFEST_LIMIT_BYTES, KitManifest, read_manifest, write_kit
from models.durable import sync_directory

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Spare:
    """The kit that was made.

    Args:
        manifest: what is in it.
        size_bytes: of the archive.
        waited: records and images that waited at the station when it was last heard: they died with it.
    """

    manifest: KitManifest
    size_bytes: int
    waited: int


def make_spare(store: str, blobs: Blobs, station: str, out: Path) -> Spare:
    """Write the last kit of a station that the cloud has whole.

    Args:
        store: the store's path or URL.
        blobs: where the files lie.
        station: which one.
        out: the archive to write; must not exist.

    Raises:
        StoreError: there is no such kit, or `out` is taken or cannot be written.
        BlobError: the blob store fails.
        KitError: a file in it is damaged, or the kit is of a newer version.
    """
    if out.exists():
        raise StoreError(f"{out} exists and is left as it is: name another file")
    manifest, waited = last_kit(store, blobs, station)
    openers: dict[str, Callable[[], BinaryIO]] = {
        name: partial(_opened, blobs, file.sha256, file.size_bytes) for name, file in manifest.files.items()
    }
    return Spare(manifest, _write(out, lambda file: write_kit(file, manifest, openers)), waited)


def last_kit(store: str, blobs: Blobs, station: str) -> tuple[KitManifest, int]:
    """The last kit of a station that the cloud has whole, and how much waited there; raises as `make_spare`."""
    engine = open_engine(store, create=False)
    try:
        with engine.connect() as connection:
            said = last_health(connection, station)
            mine = files.c.station == station, files.c.state == "complete"
            query = sa.select(files.c.sha256, files.c.size_bytes).where(*mine)
            held = {row.sha256: row.size_bytes for row in connection.execute(query)}
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"cannot read the store: {error}") from error
    finally:
        engine.dispose()
    kit = None if said is None else said.kit
    if said is None or kit is None:
        raise StoreError(
            f"station {station!r} never sent all that would make another machine this station: is sync.spare_kit on, "
            "and its inspectd new enough? Use its last `edge backup`"
        )
    if not 0 < held.get(kit, 0) <= MANIFEST_LIMIT_BYTES:
        raise StoreError(f"the kit {kit} of station {station!r} is not in this store")
    manifest = read_manifest(blobs.read(kit, 0, held[kit]))
    if manifest.station != station:
        raise StoreError(f"the kit {kit} is of station {manifest.station!r}, not of {station!r}")
    wrong = [name for name, file in manifest.files.items() if file.size_bytes != held.get(file.sha256, 0)]
    if wrong:
        raise StoreError(f"station {station!r} never sent {wrong[0]} and {len(wrong) - 1} more of its kit")
    return manifest, sum(said.outbox.values()) + said.uploads


def _opened(blobs: Blobs, sha256: str, size_bytes: int) -> BinaryIO:
    if not size_bytes:
        return BytesIO()  # nothing is no file on the wire
    return BufferedReader(_Blob(blobs, sha256, size_bytes), _PIECE_BYTES)


def _write(out: Path, write: Callable[[BinaryIO], None]) -> int:
    """Whole and on disk under its name, or not at all; readable by us alone. Raises StoreError."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
        temporary.rename(out)
        sync_directory(out.absolute().parent)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return size_bytes


class _Blob(RawIOBase):
    """A blob, read piece by piece."""

    def __init__(self, blobs: Blobs, sha256: str, size_bytes: int) -> None:
        self._blobs = blobs
        self._sha256 = sha256
        self._size_bytes = size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self._at + len(buffer), self._size_bytes)
        if end == self._at:
            return 0
        piece = self._blobs.read(self._sha256, self._at, end)
        buffer[: len(piece)] = piece
        self._at = end
        return len(piece)
