"""A ZIP file that is sent while it is made: one piece of it in memory at a time, nothing on the disk."""

import zipfile
from collections.abc import Generator, Iterator
from io import RawIOBase
from typing import IO, cast


class _Pipe(RawIOBase):
    """What was written and not yet taken; it cannot seek, so the ZIP says sizes behind each file."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        data = bytes(cast("bytes", content))
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def zipped(files: Iterator[tuple[str, bytes | Iterator[bytes]]]) -> Generator[bytes]:
    """The bytes of a ZIP of files with their names; pictures are compressed already, so all is only stored.

    Args:
        files: name and content of each; a content in pieces is written piece by piece.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(cast("IO[bytes]", pipe), "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            if isinstance(content, bytes):
                archive.writestr(name, content)
                yield pipe.take()
                continue
            with archive.open(name, "w", force_zip64=True) as entry:
                for piece in content:
                    entry.write(piece)
                    yield pipe.take()
    yield pipe.take()
