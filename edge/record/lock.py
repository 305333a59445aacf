"""One daemon to a data folder: two would close each other's inspections."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.domain.errors import StorageError


@contextmanager
def sole_owner(folder: Path) -> Iterator[None]:
    """Own a station's data folder; the kernel lets go of it when this process ends, however it ends.

    Raises:
        StorageError: another process owns it, or the folder cannot be written.
    """
    path = folder / "daemon.lock"
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
            owner = file.read(20).strip() or "unknown"
            raise StorageError(f"{folder} belongs to a running daemon (pid {owner}): stop that one first") from error
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
