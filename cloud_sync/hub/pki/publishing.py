"""Puts the broker's files where the broker reads them: whole, and only what changed.

The broker may read them, by its group, and not write them: what it believes is not its own choice.
"""

import os
import pwd
import stat
from pathlib import Path

from cloud_sync.hub.pki.errors import PkiError, RequestError
from cloud_sync.hub.pki.folder import BROKER_FILES, PkiFolder
from cloud_sync.wire.whole_file import write_whole

_MODE = 0o640
_LIMIT_BYTES = 64 * 1024**2  # a revocation list of a million


def publish(folder: PkiFolder, to: Path, reader: str = "") -> list[str]:
    """Copy what differs.

    Args:
        folder: the authority's.
        to: made if absent.
        reader: a system user, whose group may read them; "" leaves them to our own.

    Returns:
        The names of what changed.

    Raises:
        RequestError: there is no such user.
        PkiError: a file is a link, or another user's.
        OSError: the disk refuses.
    """
    group = _group(reader)
    to.mkdir(mode=0o750, parents=True, exist_ok=True)
    _give(to, group)
    changed = []
    for name in BROKER_FILES:
        content = _published(folder, name)
        if _held(to / name) != content:
            write_whole(to / name, content, _MODE)
            changed.append(name)
        _give(to / name, group)  # also where an earlier call ended before it came to that
    return changed


def _published(folder: PkiFolder, name: str) -> bytes:
    """The file's content; we may be root, and its folder belongs to a service that strangers speak with.

    So it has to be its owner's own: a link to a file of root's would hand that to the broker.
    """
    path, place = folder.broker / name, folder.path.lstat()
    owner = (folder.path.stat() if place.st_uid == os.geteuid() else place).st_uid  # a link is believed if it is ours
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        held = os.fstat(file.fileno())
        if not stat.S_ISREG(held.st_mode) or held.st_uid != owner:
            raise PkiError(f"{path} is no plain file of its folder's owner (user {owner}): nothing of it is published")
        content = file.read(_LIMIT_BYTES + 1)
    if len(content) > _LIMIT_BYTES:
        raise PkiError(f"{path} has more than {_LIMIT_BYTES} bytes: it is none of ours")
    return content


def _group(reader: str) -> int | None:
    if not reader:
        return None
    try:
        return pwd.getpwnam(reader).pw_gid
    except KeyError as error:
        raise RequestError(f"there is no user {reader!r} on this machine: install the broker first") from error


def _give(path: Path, group: int | None) -> None:
    if group is not None:
        os.chown(path, -1, group)


def _held(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
