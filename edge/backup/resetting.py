"""`edge factory-reset`: nothing of this station is left but, if wanted, its station.toml.

- Only what is ours by name goes: a data folder may hold other people's files too.
- The file that says what is to be done goes last: ended anywhere, the next call does the rest, and no daemon starts.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.backup.changing_over import REPLACED, STAGING, unfinished
from edge.config import StationConfig
from edge.domain.errors import ConfigError, StorageError
from edge.record.lock import UNFINISHED, sole_owner
from edge.record.spool import read_spool
from models.durable import replace_file, sync_directory

_WORK = "factory-reset"
_PAGES = ("pages.db", "pages.db-wal", "pages.db-shm", "pages")
_OURS = (
    *REPLACED,
    *_PAGES,
    "images",
    "cache",
    "releases",
    "release.json",
    "release.part",
    "trust",
    STAGING,
    "changeover.part",
)
_OURS_LIKE = ("before-restore-*", ".backup-*", "station.db.before-*", ".station.db.before-*")
_IDENTITY = ("identity.pem", "pending.key", "renewal.key", "ca.crt", "enrolment", "root.json")


@dataclass(frozen=True, slots=True)
class Reset:
    """What came of it.

    Args:
        removed: every file and folder that went, whole paths.
        waiting: records and images that wait for the cloud; above 0, nothing was removed.
        revoke: whether a key was removed whose certificate still holds.
    """

    removed: list[str] = field(default_factory=list)
    waiting: int = 0
    revoke: bool = False


def reset(config: StationConfig, confirm: str, *, lose_waiting: bool, config_too: bool) -> Reset:
    """Remove the station.

    Args:
        config: of the station.
        confirm: must be its id.
        lose_waiting: also where the cloud does not have everything yet.
        config_too: station.toml as well.

    Raises:
        ConfigError: it is not confirmed.
        StorageError: a daemon runs, what waits cannot be read, ours lies behind a link, or the disk refuses.
    """
    if confirm != config.station.id:
        raise ConfigError(
            f"--confirm must be this station's id, {config.station.id!r}, got {confirm!r}: nothing removed"
        )
    data = config.station.data_dir
    if not data.is_dir():
        return Reset()
    with sole_owner(data, finishes=True):
        begun = _begun(data)
        if not begun and not lose_waiting and (waiting := _waiting(config)):
            return Reset(waiting=waiting)
        _check_within(config)
        try:
            if not begun:
                replace_file(data / UNFINISHED, json.dumps({"work": _WORK}))
            return _remove_all(config, config_too=config_too)
        except OSError as error:
            raise StorageError(
                f"cannot remove {error.filename}: {error.strerror}: mend that and call `edge factory-reset` again, it "
                "goes on where it was"
            ) from error


def _begun(data: Path) -> bool:
    """Whether an earlier call began; a restore that ended half way is none: it goes with everything else."""
    return unfinished(data) is None and (data / UNFINISHED).exists()


def _check_within(config: StationConfig) -> None:
    """Raises StorageError where a link would go, and what is ours behind it stay."""
    for path in _doomed(config):
        if path.is_symlink() and path.exists():
            raise StorageError(
                f"{path} is a link to {path.resolve()}, which may hold what is not ours: remove what it leads to and "
                "the link by hand, then call this again: nothing more was removed"
            )


def _waiting(config: StationConfig) -> int:
    """What waits for the cloud in the station's database, and in those that a restore moved aside."""
    data = config.station.data_dir
    if unfinished(data) is not None:
        raise StorageError("an `edge restore` ended half way: call that again first, or --lose-waiting-records goes on")
    found = [config.database_path, *sorted(data.glob("before-restore-*/station.db"))]
    return sum(_waiting_in(path) for path in found if path.exists())


def _waiting_in(path: Path) -> int:
    try:
        spool = read_spool(path)
    except StorageError as error:
        raise StorageError(
            f"{error}: what waits for the cloud cannot be told; --lose-waiting-records goes on"
        ) from error
    return spool.rows + spool.uploads + sum(spool.dead.values())


def _remove_all(config: StationConfig, *, config_too: bool) -> Reset:
    data, removed = config.station.data_dir, []
    had_key = (config.identity_dir / "identity.pem").exists()
    for path in _doomed(config):
        if not os.path.lexists(path):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        sync_directory(path.parent)
        removed.append(str(path))
    if config_too and config.file.exists():
        config.file.unlink()
        sync_directory(config.file.parent)
        removed.append(str(config.file))
    (data / UNFINISHED).unlink()
    sync_directory(data)
    return Reset(removed, revoke=had_key)


def _doomed(config: StationConfig) -> Iterator[Path]:
    """The key first, so that a reset that is cut off leaves none behind; then all else of ours."""
    data = config.station.data_dir
    for name in _IDENTITY:
        yield config.identity_dir / name
        yield from sorted(config.identity_dir.glob(f".{name}.*"))  # what was being written when somebody was killed
    yield from (data / name for name in _OURS)
    for pattern in _OURS_LIKE:
        yield from sorted(data.glob(pattern))
