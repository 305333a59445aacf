"""Files that are on disk whole or not at all, whatever ends the process or the power."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes | memoryview | str) -> None:
    """Put content in place of a file: written beside it, synced, renamed. Its folder is made. Raises OSError.

    Args:
        path: of the file; what another run left beside it as `.part` is overwritten.
        content: text is written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names inside a directory durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
