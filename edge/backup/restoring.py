"""`edge restore`: a station from a kit, on this machine or on another one.

- Everything is unpacked and checked beside the station first; what is refused has changed nothing.
- A database from a kit begins a new epoch. What waited in it goes up under its old identity, with the same content, so
  that the cloud has it once; parts from now on are counted anew, and nothing contradicts what was sent meanwhile.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from cloud_sync.wire.kit import CONFIG, KitManifest, Member, open_kit
from edge.backup.changing_over import DATABASE, REPLACED, STAGING, Changeover, begin, finish, unfinished
from edge.backup.making import create_private
from edge.backup.places import check_names, check_places
from edge.backup.trusting import keep_seen
from edge.config import StationConfig, load_config
from edge.domain.errors import ConfigError, StorageError
from edge.record.database import begin_epoch, open_database
from edge.record.inspections import leave_to_earlier_life
from edge.record.lock import UNFINISHED, sole_owner
from edge.record.spool import free_bytes
from models.bundle import open_bundle, sync_tree
from models.progress import Progress

_MARGIN_BYTES = 1 << 20
_SQLITE = b"SQLite format 3\x00"
_IS_STATION = ("station.db", "bundles")


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it.

    Args:
        station: its id.
        data_dir: where it lies.
        epoch: the one it begins; "" where the kit holds no database: the first start makes one.
        was_open: inspections of the backup of whose end it knows nothing; the cloud may.
        aside: the folder that holds what was replaced; None where nothing was.
        left_out: what the kit does not hold, in words.
        finished: whether this call only ended what an earlier one began.
    """

    station: str
    data_dir: Path
    epoch: str
    was_open: int
    aside: Path | None
    left_out: tuple[str, ...]
    finished: bool = False


def restore(kit: Path, config_path: Path, progress: Progress, *, force: bool, data_dir: Path | None = None) -> Restored:
    """Make this machine the station in the kit.

    Args:
        kit: what `edge backup` or `cloud spare` wrote.
        config_path: where station.toml goes; the data folder is the one that the kit's station.toml names from there.
        progress: told of the bytes.
        force: replace a station that is here; it is moved aside.
        data_dir: a data folder that is meant, where it is none that `check_places` knows.

    Raises:
        ConfigError: a station is here and `force` is not given, or the kit's station.toml is not good here.
        KitError: the file is no kit of ours, is damaged, or is from a newer version.
        ModelError: a bundle in it does not verify.
        StorageError: a daemon runs here, or the disk has no room or refuses.
    """
    try:
        with kit.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                return _put_back(kit, config_path, progress, force=force)
            file.seek(0)
            return _from_kit(file, config_path, data_dir, progress, force=force)
    except OSError as error:
        raise StorageError(f"cannot restore {kit}: {error.strerror or error}: {error.filename or ''}") from error


def _from_kit(file: BinaryIO, config_path: Path, data_dir: Path | None, progress: Progress, *, force: bool) -> Restored:
    with open_kit(file) as (manifest, members):
        folder = config_path.absolute().parent
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f".{CONFIG}.restoring"
        try:
            config = _read_config(scratch, members, manifest)
            text = scratch.read_bytes()
        finally:
            scratch.unlink(missing_ok=True)
        check_places(config, config_path, data_dir)
        check_names(config, manifest)
        data = config.station.data_dir
        with sole_owner(data, finishes=True):
            mark = sha256(manifest.pack()).hexdigest()
            if (left := unfinished(data)) is not None:
                _check_same_places(left, config, config_path)
                return _go_on(data, left, manifest, mark)
            _check_free(config, config_path, force=force)
            with _staging(data):
                _write(data / STAGING / CONFIG, text)
                _unpack(members, manifest, data, progress)
                keep_seen(config.trust_dir, data / STAGING / "data" / config.trust_dir.name)
                epoch, was_open = _renew(data / STAGING)
                plan = _plan(config, config_path, mark, data)
                _check_movable(data, plan)
                _own(data)
                sync_tree(data / STAGING)
                begin(data, plan)
            finish(data, plan)
    aside = data / plan.aside
    kept = aside if aside.exists() else None
    return Restored(manifest.station, data, epoch, was_open, kept, tuple(manifest.left_out))


def _put_back(copy: Path, config_path: Path, progress: Progress, *, force: bool) -> Restored:
    """A copied database in place of the one here, and nothing else; it begins a new epoch as well."""
    config = load_config(config_path)
    data = config.station.data_dir
    with sole_owner(data, finishes=True):
        if (left := unfinished(data)) is not None:
            _check_same_places(left, config, config_path)
            finish(data, left)
        if config.database_path.exists() and not force:
            raise ConfigError(f"{config.database_path} exists: --force moves it aside, nothing is deleted")
        with _staging(data):
            progress.stage("database", 1)
            target = data / STAGING / "data" / "station.db"
            shutil.copyfile(copy, target)
            epoch, was_open = _renew(data / STAGING)
            plan = _plan(config, config_path, "", data, DATABASE)
            _own(data)
            sync_tree(data / STAGING)
            begin(data, plan)
        finish(data, plan)
    aside = data / plan.aside
    return Restored(config.station.id, data, epoch, was_open, aside if aside.exists() else None, ())


def _go_on(data: Path, left: Changeover, manifest: KitManifest, mark: str) -> Restored:
    """End what an earlier call began. Raises ConfigError where that was another kit."""
    finish(data, left)
    if left.kit_sha256 != mark:
        raise ConfigError("an earlier `edge restore` of another kit was ended first: call this one again, with --force")
    aside = data / left.aside
    return Restored(
        manifest.station, data, "", 0, aside if aside.exists() else None, tuple(manifest.left_out), finished=True
    )


def _check_same_places(left: Changeover, config: StationConfig, config_path: Path) -> None:
    """The data folder's user may write what is left to do; we may be root. Raises ConfigError."""
    if (left.config, left.identity) != (str(config_path.absolute()), str(config.identity_dir)):
        raise ConfigError(
            f"an earlier `edge restore` ended half way, for {left.config} and {left.identity}: call it with that "
            f"configuration, or remove {config.station.data_dir / UNFINISHED} if nobody began one"
        )


def _read_config(scratch: Path, members: Iterator[Member], manifest: KitManifest) -> StationConfig:
    """The kit's station.toml, its paths taken from where it will lie. Raises ConfigError, KitError, OSError."""
    member = next(members, None)
    if member is None or member.name != CONFIG:
        raise ConfigError(f"the kit does not begin with {CONFIG}: it was not made by this product")
    try:
        with create_private(scratch, 0o640) as file:
            member.copy(file)
        config = load_config(scratch)
    except ConfigError as error:
        raise ConfigError(
            f"the kit was made by inspectd {manifest.version or 'of unknown version'}, and its {CONFIG} is not good "
            f"here: {error}: nothing was changed; install that version, or a newer one"
        ) from error
    if config.station.id != manifest.station:
        raise ConfigError(f"the kit is of station {manifest.station!r}, its {CONFIG} of {config.station.id!r}")
    return config


def _check_free(config: StationConfig, config_path: Path, *, force: bool) -> None:
    """Raises ConfigError where a station is here, or the data folder is somebody else's."""
    data = config.station.data_dir
    found = [data / name for name in _IS_STATION if (data / name).exists()]
    found += [config_path] if config_path.exists() else []
    if found and not force:
        raise ConfigError(
            f"{found[0]} exists: a station is here, and nothing was changed; --force moves it aside, nothing is deleted"
        )


@contextlib.contextmanager
def _staging(data: Path) -> Iterator[None]:
    """An empty folder beside the station; it goes again where what follows fails."""
    shutil.rmtree(data / STAGING, ignore_errors=True)
    (data / STAGING / "data").mkdir(parents=True)
    try:
        yield
    except BaseException:
        if unfinished(data) is None:
            shutil.rmtree(data / STAGING, ignore_errors=True)
        raise


def _write(path: Path, content: bytes) -> None:
    with create_private(path, 0o640) as file:
        file.write(content)


def _unpack(members: Iterator[Member], manifest: KitManifest, data: Path, progress: Progress) -> None:
    free, wanted = free_bytes(data), manifest.size_bytes + _MARGIN_BYTES
    if free < wanted:
        raise StorageError(f"the disk of {data} has {free} bytes free, this kit needs {wanted}: nothing was changed")
    progress.stage("unpacked", manifest.size_bytes)
    for member in members:
        path = data / STAGING / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with create_private(path, 0o640 if path.is_relative_to(data / STAGING / "data") else 0o600) as file:
            member.copy(file)
        progress.advance(member.expected.size_bytes)
    for link, version in manifest.links.items():
        place = data / STAGING / link
        open_bundle(place.parent / version)
        place.symlink_to(version)


def _renew(staged: Path) -> tuple[str, int]:
    """Begin a new epoch in the kit's database, if there is one; the epoch, and how many inspections were open."""
    path = staged / "data" / "station.db"
    if not path.exists():
        return "", 0
    with closing(open_database(path, keeps_copy=False)) as connection:
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise StorageError(f"the kit's database is damaged: {found}")
            connection.execute("BEGIN IMMEDIATE")
            epoch, was_open = begin_epoch(connection), leave_to_earlier_life(connection)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StorageError(f"the kit's database cannot be used: {error}") from error
    return epoch, was_open


def _plan(
    config: StationConfig, config_path: Path, mark: str, data: Path, replaced: tuple[str, ...] = REPLACED
) -> Changeover:
    brought = tuple(sorted(path.name for path in (data / STAGING / "data").iterdir()))
    stem, number = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}", 1
    aside = stem
    while (data / aside).exists():
        aside, number = f"{stem}-{number}", number + 1
    places = str(config_path.absolute()), str(config.identity_dir)
    return Changeover("restore", mark, aside, brought, replaced, *places)


def _check_movable(data: Path, plan: Changeover) -> None:
    """Raises StorageError where what has to go aside cannot: later, that would leave it half done."""
    for name in (*plan.replaced, *plan.brought):
        if (data / name).is_dir() and os.path.ismount(data / name):  # overlayfs: a file looks like one
            raise StorageError(
                f"{data / name} is a mount point and cannot be moved aside: nothing was changed; unmount it, call this "
                "again, then move what it holds to where it belongs"
            )


def _own(data: Path) -> None:
    """What root unpacks belongs to whom the data folder belongs to."""
    if os.geteuid() != 0:
        return
    held = data.stat()
    for root, folders, files in os.walk(data / STAGING):
        for name in (".", *folders, *files):
            os.chown(Path(root) / name, held.st_uid, held.st_gid, follow_symlinks=False)
