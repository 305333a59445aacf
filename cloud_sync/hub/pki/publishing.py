"""Puts the broker's files where the broker reads them: whole, and only what changed.

The broker may read them, by its group, and not write them: what it believes is not its own choice.
"""

import os
import pwd
from pathlib import Path

from cloud_sync.hub.pki.errors import RequestError
from cloud_sync.hub.pki.folder import BROKER_FILES, PkiFolder
from cloud_sync.wire.whole_file import write_whole

_MODE = 0o640


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
        OSError: the disk refuses.
    """
    group = _group(reader)
    to.mkdir(mode=0o750, parents=True, exist_ok=True)
    _give(to, group)
    changed = []
    for name in BROKER_FILES:
        content = (folder.broker / name).read_bytes()
        if _held(to / name) == content:
            continue
        write_whole(to / name, content, _MODE)
        _give(to / name, group)
        changed.append(name)
    return changed


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
