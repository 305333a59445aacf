"""A release on its way onto the station's disk: half a file beside its place, then the whole one in it."""

import hashlib
import os
import shutil
from enum import Enum, auto
from pathlib import Path

from cloud_sync.wire.messages import BLOCK_BYTES

_SYNC_BYTES = 1024**2
_CHECK_BYTES = 8 * 1024**2


class Progress(Enum):
    """How a file stands: bytes are missing, its hash is being made, it is what its name says, it is not."""

    MISSING = auto()
    CHECKING = auto()
    WHOLE = auto()
    DAMAGED = auto()


class ReleaseFile:
    """One file that is being fetched, block after block. Raises OSError where the disk refuses.

    Args:
        folder: where it goes; made where absent.
        name: a file's name, never a path (`ReleaseName`).
        size_bytes: its size.
        sha256: its content's hash.
    """

    def __init__(self, folder: Path, name: str, size_bytes: int, sha256: str) -> None:
        self.held_bytes = 0
        self._path = folder / name
        self._part = folder / f".{name}.part"
        self._size_bytes = size_bytes
        self._sha256 = sha256
        self._unsynced_bytes = 0
        self._digest = hashlib.sha256()
        self._checked_bytes = 0

    def obstacle(self, spare_bytes: int) -> str | None:
        """Why it cannot be fetched at all; None where it can, and leaves `spare_bytes` of the disk free."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size != self._size_bytes:
            return f"{self._path.name} is here already, with {self._path.stat().st_size} bytes"
        held_bytes = self._part.stat().st_size if self._part.exists() else 0
        missing_bytes = 0 if self._path.exists() else max(0, self._size_bytes - held_bytes)
        free_bytes = shutil.disk_usage(self._path.parent).free
        if missing_bytes + spare_bytes > free_bytes:
            return f"the disk has {free_bytes} bytes left, {missing_bytes} are missing, {spare_bytes} stay free"
        return None

    def open(self) -> int:
        """Take up what is there, down to the last whole block; says how many bytes that is. Other parts go."""
        for other in self._part.parent.glob(".*.part"):
            if other != self._part:
                other.unlink(missing_ok=True)
        if self._path.exists() and not self._part.exists():
            self.held_bytes = self._size_bytes
            return self.held_bytes
        held_bytes = self._part.stat().st_size if self._part.exists() else 0
        if held_bytes != self._size_bytes:
            held_bytes = held_bytes - held_bytes % BLOCK_BYTES if held_bytes < self._size_bytes else 0
        self._cut(held_bytes)
        return self.held_bytes

    def append(self, block: bytes) -> None:
        """Write the next block; it is on the disk for good within the next MiB."""
        with self._part.open("r+b") as file:
            file.seek(self.held_bytes)
            file.write(block)
            file.flush()
            self.held_bytes += len(block)
            self._unsynced_bytes += len(block)
            if self._unsynced_bytes >= _SYNC_BYTES:
                os.fdatasync(file.fileno())
                self._unsynced_bytes = 0

    def check(self) -> Progress:
        """How it stands; of a whole file each call reads a little, until its hash is known."""
        if self.held_bytes < self._size_bytes:
            return Progress.MISSING
        with (self._part if self._part.exists() else self._path).open("rb") as file:
            file.seek(self._checked_bytes)
            piece = file.read(_CHECK_BYTES)
        self._digest.update(piece)
        self._checked_bytes += len(piece)
        if piece and self._checked_bytes < self._size_bytes:
            return Progress.CHECKING
        return Progress.WHOLE if self._digest.hexdigest() == self._sha256 else Progress.DAMAGED

    def finish(self) -> None:
        """The file is whole: put it in its place, for good."""
        if self._part.exists():
            with self._part.open("rb") as file:
                os.fsync(file.fileno())
            self._part.rename(self._path)
            _sync_folder(self._path.parent)

    def discard_part(self) -> None:
        """Nobody wants the rest: what is half fetched goes, a whole file stays."""
        self._part.unlink(missing_ok=True)

    def start_over(self) -> None:
        """Begin at the first byte; a file that lies in the place stays there until a whole one replaces it."""
        self._cut(0)

    def _cut(self, held_bytes: int) -> None:
        with self._part.open("r+b" if self._part.exists() else "w+b") as file:
            file.truncate(held_bytes)
        self.held_bytes, self._unsynced_bytes, self._checked_bytes = held_bytes, 0, 0
        self._digest = hashlib.sha256()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
