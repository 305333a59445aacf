"""What a backup takes of the station's disk while it reads: links that keep files which have gone meanwhile."""

import shutil
import stat
from pathlib import Path

from edge.record.lock import OwnedError, sole_owner

WORK = ".backup-"
LOCK = "backup.lock"
WHOSE = "another `edge backup`"


def held_bytes(data: Path) -> int:
    """How much its end will give back; 0 where none runs: what a killed one left goes now.

    Raises:
        OSError: it cannot be read.
        StorageError: the folder cannot be written.
    """
    if not (folders := list(data.glob(f"{WORK}*"))):
        return 0
    try:
        with sole_owner(data, LOCK, WHOSE):
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)  # root's, of before it was handed over
    except OwnedError:
        return sum(_bytes_alone(path) for folder in folders for path in folder.glob("*"))
    return 0


def _bytes_alone(path: Path) -> int:
    """The size of a file that has no other name any more."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 else 0
