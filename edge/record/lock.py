"""One process to a folder: two daemons would close each other's inspections."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.domain.errors import StorageError


class OwnedError(StorageError):
    """Another process owns the station's data folder."""


@contextmanager
def sole_owner(folder: Path, lock: str = "daemon.lock", owner: str = "a running daemon") -> Iterator[None]:
    """Own a station's data folder; the kernel lets go of it when this process ends, however it ends.

    Args:
        folder: made where it is missing.
        lock: the file in it that says so.
        owner: what the other process is, for the error.

    Raises:
        StorageError: the folder cannot be written.
        OwnedError: another process owns it.
    """
    path = folder / lock
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read(20).strip() or "unknown"
            raise OwnedError(f"{folder} belongs to {owner} (pid {pid}): stop that one first") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


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
