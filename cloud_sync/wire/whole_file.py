"""Files that are whole or not there: temporary file, fsync, rename, fsync of the folder.

What root makes belongs to the owner of the folder that it lies in: a service finds what an administrator made for it.
"""

import contextlib
import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put the content at the path, or leave what is there. Raises OSError.

    Args:
        path: its folder exists.
        content: all of it.
        mode: its permissions, from the first byte on.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            _leave_opened_to_owner(handle, path.parent)
            file.write(content)
            file.flush()
            os.fsync(handle)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def make_private_folder(folder: Path) -> None:
    """The folder, for its owner alone, if it is not there. Raises OSError."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    leave_to_owner(folder)


def leave_to_owner(path: Path) -> None:
    """Where we are root: the path belongs to the owner of its folder. Raises OSError."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _leave_opened_to_owner(handle: int, folder: Path) -> None:
    """By its handle: under its name the folder's owner may have put something else meanwhile."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
