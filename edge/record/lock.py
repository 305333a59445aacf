"""One process to a folder: two daemons would close each other's inspections."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.domain.errors import StorageError

UNFINISHED = "changeover.json"  # stands in the data folder while a restore or a reset is half done
_DAEMONS = "daemon.lock"


class OwnedError(StorageError):
    """Another process owns the station's data folder."""


@contextmanager
def sole_owner(
    folder: Path, lock: str = _DAEMONS, owner: str = "a running daemon", *, finishes: bool = False
) -> Iterator[None]:
    """Own a station's data folder; the kernel lets go of it when this process ends, however it ends.

    Args:
        folder: made where it is missing.
        lock: the file in it that says so.
        owner: what the other process is, for the error.
        finishes: whether the caller ends what a restore or a reset left half done.

    Raises:
        StorageError: the folder cannot be written, or holds a station that is half restored or half removed.
        OwnedError: another process owns it.
    """
    path = folder / lock
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="ascii", opener=_no_link)  # noqa: SIM115 - closed below
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    with file:
        _hand_over(file.fileno(), folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read(20).strip() or "unknown"
            raise OwnedError(f"{folder} belongs to {owner} (pid {pid}): stop that one first") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        if lock == _DAEMONS and not finishes:
            _check_whole(folder)
        yield


def _no_link(path: str, flags: int) -> int:
    """The folder is its user's, and we may be root: a link there would give away, and empty, whatever it leads to."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def _hand_over(lock: int, folder: Path) -> None:
    """What root makes belongs to whom the folder belongs to, or the station's own user could never take it again."""
    owner = folder.stat()
    if os.geteuid() == 0 and os.fstat(lock).st_uid != owner.st_uid:
        os.fchown(lock, owner.st_uid, owner.st_gid)


def _check_whole(folder: Path) -> None:
    try:
        work = json.loads((folder / UNFINISHED).read_text(encoding="utf-8")).get("work", "restore")
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError):
        work = "restore"
    raise StorageError(f"{folder}: an `edge {work}` ended half way: call it again, it goes on where it was")


def owner_of(folder: Path) -> str | None:
    """The process that owns a station's data folder, as far as it can be read; None where nobody does.

    The kernel's list of locks is read, because trying the lock could refuse a daemon that starts just then.
    """
    path = folder / "daemon.lock"
    try:
        held = f":{path.stat().st_ino} "
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        owner = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return (owner or "unknown") if any("FLOCK" in line and held in line for line in locks) else None
