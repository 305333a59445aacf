"""How a database of an earlier version is brought forward, and what stays of it: the way back.

- The steps run in one transaction: killed anywhere, the database is of the old version or of the new one.
- Before them it is copied whole, by SQLite's own backup, to `station.db.before-N`, N being the new version. An earlier
  inspectd can be given that copy again; what was recorded since is not in it.
- Where the disk has no room for the copy nothing is changed, and the station says so instead of starting.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

from edge.domain.errors import StorageError
from models.durable import sync_directory

log = structlog.get_logger()
_MARGIN_BYTES = 16 << 20  # for the log of the steps themselves, beside a share of the database
_SHARE = 0.5
_KEPT_S = 30 * 86_400

FROM_1 = """
CREATE TABLE epochs (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE);
INSERT INTO epochs SELECT 1, value FROM meta WHERE key = 'epoch';
ALTER TABLE inspections ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1;
ALTER TABLE records ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1;
ALTER TABLE outbox ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1;
ALTER TABLE images ADD COLUMN good INTEGER NOT NULL DEFAULT 0;
UPDATE images SET good = 1 WHERE seq IN (SELECT seq FROM inspections WHERE verdict = 'PASS');
DELETE FROM meta WHERE key = 'epoch';
UPDATE meta SET value = '2' WHERE key = 'schema';
"""


def copy_path(path: Path, version: int) -> Path:
    """Where the copy lies that was made before a database was brought to this version."""
    return path.with_name(f"{path.name}.before-{version}")


def keep_copy(path: Path, version: int) -> None:
    """Copy a database before it is brought to this version, in place of what an earlier try or upgrade left.

    Raises:
        StorageError: the disk has no room, or refuses; the database is as it was.
    """
    target = copy_path(path, version)
    part = target.with_name(f".{target.name}.part")
    try:
        _check_room(path)
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part, isolation_level=None)) as into:
            source.backup(into)
            into.execute("PRAGMA journal_mode = DELETE")
        part.chmod(path.stat().st_mode & 0o777)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(target)
        sync_directory(target.parent)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"cannot copy {path} before it is brought to schema {version}: {error}: it is as it was"
        ) from error
    log.warning("the database is brought forward; a copy of it as it was stays", copy=str(target), schema=version)


def forget_copy(path: Path, version: int, now_s: float) -> bool:
    """Delete the copy of an upgrade that has held for 30 days; says whether it did. Raises StorageError.

    Args:
        path: the database.
        version: its version.
        now_s: seconds since 1970.
    """
    copy = copy_path(path, version)
    try:
        if not copy.exists() or now_s - copy.stat().st_mtime < _KEPT_S:
            return False
        copy.unlink()
    except OSError as error:
        raise StorageError(f"cannot delete {copy}: {error.strerror}") from error
    return True


def newer_ways_out(path: Path, found: str) -> str:
    """What to do about a database that a newer program wrote."""
    ways = ["nothing was changed; install the newer inspectd again"]
    if (copy := copy_path(path, int(found))).exists():
        ways.append(f"or `edge restore {copy}`: the database as it was before the upgrade, without the parts since")
    ways.append("or `edge restore` a backup from before the upgrade, or `edge factory-reset`")
    return ", ".join(ways)


def _check_room(path: Path) -> None:
    wal = path.with_name(f"{path.name}-wal")
    size = path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    wanted, found = int(size * (1 + _SHARE)) + _MARGIN_BYTES, os.statvfs(path.parent)
    free = found.f_bavail * found.f_frsize
    if free < wanted:
        raise StorageError(
            f"{path} is of an earlier version, and bringing it forward, a copy kept, wants {wanted} bytes on "
            f"its disk; {free} are free: nothing was changed; make room, then start again"
        )
