"""`edge backup`: the station in one file, beside a running daemon.

- The database is copied by SQLite's own backup in one read transaction: whole, of one moment, and no writer waits.
- Images are held by hard links while they are read, so that none is evicted meanwhile.
- The file appears whole, on disk, under its name, or not at all; one that is there is never overwritten.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cloud_sync.wire.kit import KitManifest, write_kit
from cloud_sync.wire.whole_file import leave_to_owner
from edge.backup.contents import Contents, gather
from edge.config import StationConfig
from edge.domain.errors import ConfigError, StorageError
from edge.record.backup_hold import LOCK, WHOSE, WORK
from edge.record.database import open_reader
from edge.record.lock import sole_owner
from edge.record.spool import database_bytes, free_bytes
from models.durable import sync_directory
from models.progress import Progress

_MARGIN_BYTES = 1 << 20
_SYNC_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What goes in beside what always does: the images; keys and passwords."""

    images: bool = False
    secrets: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """The backup that was made."""

    path: Path
    manifest: KitManifest
    size_bytes: int


def make_backup(config: StationConfig, target: Path, wanted: Wanted, progress: Progress) -> Made:
    """Write a backup of the station.

    Args:
        config: as `load_config` read it.
        target: must not exist.
        wanted: what goes in beside what always does.
        progress: told of the bytes.

    Raises:
        ConfigError: the target exists, or its folder does not.
        StorageError: the disk has no room, or refuses.
        KitError: a file changed while it was read.
    """
    if target.exists():
        raise ConfigError(f"{target} exists and is left as it is: name another file")
    if not target.absolute().parent.is_dir():
        raise ConfigError(f"{target}: its folder is not there")
    data = config.station.data_dir
    with sole_owner(data, LOCK, WHOSE), _work_folder(data) as work:
        contents = gather(config, secrets=wanted.secrets, for_cloud=False)
        _add_database(contents, config, work, progress)
        if wanted.images:
            _add_images(contents, config.images_dir, work)
        manifest = contents.manifest(config.station.id).model_copy(update={"made_at": datetime.now(UTC)})
        floor = config.retention.free_bytes if _on_one_disk(target.absolute().parent, data) else 0
        _check_room(target.absolute().parent, manifest.size_bytes, floor)
        return Made(target, manifest, _write(target, manifest, contents, progress))


def write_whole(target: Path, write: Callable[[BinaryIO], None]) -> int:
    """Put what `write` writes under a name that is free, whole and on disk or not at all; readable by us alone.

    Returns:
        Its size in bytes.

    Raises:
        ConfigError: the name is taken.
        StorageError: the disk refuses.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with create_private(temporary, 0o600) as file:
            write(_Paced(file))  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
        if target.exists():
            raise ConfigError(f"{target} was made meanwhile and is left as it is: name another file")
        temporary.rename(target)
        sync_directory(target.absolute().parent)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return size_bytes


def create_private(path: Path, mode: int) -> BinaryIO:
    """A new file to write, of this mode from its first moment; a link there is not followed. Raises OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb")


def _write(target: Path, manifest: KitManifest, contents: Contents, progress: Progress) -> int:
    progress.stage("written", manifest.size_bytes)
    openers = {name: partial(_opened, source, progress) for name, source in contents.sources.items()}
    return write_whole(target, lambda file: write_kit(file, manifest, openers))


def _opened(source: Path | bytes, progress: Progress) -> BinaryIO:
    content = BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    progress.advance(len(source) if isinstance(source, bytes) else source.stat().st_size)
    return content


def _add_database(contents: Contents, config: StationConfig, work: Path, progress: Progress) -> None:
    path, copy = config.database_path, work / "station.db"
    if not path.exists():
        contents.left_out.append("the database: there is none yet")
        return
    progress.stage("database", 1)
    try:
        _check_room(work, database_bytes(path), config.retention.free_bytes)
        with closing(open_reader(path)) as source, closing(sqlite3.connect(copy, isolation_level=None)) as into:
            into.execute("PRAGMA synchronous = OFF")  # it is read once and deleted: no sync of the station waits for it
            source.backup(into)  # all pages in one step: a step that lets go begins anew whenever somebody writes
            into.execute("PRAGMA journal_mode = DELETE")
            (found,) = into.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StorageError(f"the database {path} is damaged, and a backup of it would be: {found}")
        contents.add("data/station.db", copy)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"cannot copy the database {path}: {error}") from error


def _add_images(contents: Contents, folder: Path, work: Path) -> None:
    try:
        for path in sorted(folder.glob("??/*")):
            held = work / path.name
            if path.suffix == ".part" or not _held(path, held):
                continue
            contents.add(f"data/images/{path.parent.name}/{path.name}", held)
    except OSError as error:
        raise StorageError(f"cannot read the images in {folder}: {error}") from error


def _held(path: Path, held: Path) -> bool:
    """Hold a file by a second name; False where it has just been evicted."""
    try:
        try:
            held.hardlink_to(path)
        except PermissionError:  # a file system without hard links
            shutil.copyfile(path, held)
    except FileNotFoundError:
        return False
    return True


def _check_room(folder: Path, wanted_bytes: int, floor_bytes: int) -> None:
    free = free_bytes(folder)
    if free < wanted_bytes + floor_bytes + _MARGIN_BYTES:
        floor = f" and leaves fewer than retention.free_bytes {floor_bytes}" if floor_bytes else ""
        raise StorageError(
            f"the disk of {folder} has {free} bytes free, this needs {wanted_bytes}{floor}: nothing was written; "
            "make room, or name a file on another disk"
        )


def _on_one_disk(folder: Path, data: Path) -> bool:
    """Whether what is written there takes the room of the station itself, which then lets images go to make some."""
    return folder.stat().st_dev == data.stat().st_dev


class _Paced:
    """A file that is synced as it grows: the station's own commits wait behind little of it, not behind all of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unsynced_bytes = 0

    def write(self, piece: bytes) -> int:
        self._unsynced_bytes += len(piece)
        if self._unsynced_bytes >= _SYNC_BYTES:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._unsynced_bytes = 0
        return self._file.write(piece)


@contextmanager
def _work_folder(data: Path) -> Iterator[Path]:
    """A folder on the station's own disk; what a killed backup left there goes first."""
    try:
        for left in data.glob(f"{WORK}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=WORK, dir=data) as folder:
            leave_to_owner(Path(folder))  # where root is killed, the station's own user clears it away
            yield Path(folder)
    except OSError as error:
        raise StorageError(f"cannot write to {data}: {error.strerror or error}") from error
