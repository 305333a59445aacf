"""Folders for work that is half done: each goes with the process that works in it, however that ends.

- Who works in one holds the kernel's lock on the folder itself. It ends with the process, so what nobody holds is left.
- A sweep takes away only what it could lock itself, and holds it until it is gone: never what is in use.
- Where the disk has no locks on folders, as NFS has none, one works without, and no sweep takes anything.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNPACKED, UNPACKING, MAKING, WRITING = ".unpacked-", ".unpacking-", ".making-", ".writing-"
FETCHING, COMING, CROPPED, TRAINING = ".fetching-", ".coming-", ".cropped-", ".training-"
NO_LOCKS = frozenset({errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})  # NFS says the first
PREFIXES = (UNPACKED, UNPACKING, MAKING, WRITING, FETCHING, COMING, CROPPED, TRAINING)


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new, empty folder, one's own, that is gone at the end; what was renamed meanwhile stays. Raises OSError.

    Args:
        parent: must exist.
        prefix: one of `PREFIXES`, so that a sweep knows it.
    """
    path, lock = _made(parent, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)  # what the disk keeps of it is the next sweep's
        os.close(lock)


def left_in(parent: Path) -> list[Path]:
    """Folders below a parent that a process left there when it was killed; what cannot be opened is another user's."""
    found = []
    for path in _named(parent):
        lock = _locked(path)
        if lock is not None:
            os.close(lock)
            found.append(path)
    return found


def sweep(parent: Path) -> list[Path]:
    """Take away what killed processes left below a parent; what went. What the disk keeps stays for the next sweep."""
    gone = []
    for path in _named(parent):
        lock = _locked(path)
        if lock is None:
            continue
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
        gone += [] if path.exists() else [path]
    return gone


def size_bytes(folder: Path) -> int:
    """What the files below a folder take."""
    files = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in files if path.is_symlink() or path.exists())


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    """A folder that is locked, and the lock; one that a sweep took in between is made again."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = _opened(path)
        except FileNotFoundError:
            continue
        _wait_for(lock)
        if path.exists():
            return path, lock
        os.close(lock)


def _wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            os.close(lock)
            raise


def _named(parent: Path) -> list[Path]:
    """Those that one may know of; a folder that cannot be read is another user's, and one that went has none."""
    try:
        paths = sorted(parent.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.name.startswith(PREFIXES) and path.is_dir() and not path.is_symlink()]


def _locked(path: Path) -> int | None:
    """The lock on a folder that nobody works in; None where somebody does or might, or it is not ours to open."""
    try:
        lock = _opened(path)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is held, or the disk has no locks
        os.close(lock)
        return None
    return lock


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
