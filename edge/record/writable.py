"""Whether the file system under a folder still takes changes."""

import os
from pathlib import Path


def check_writable(folder: Path) -> None:
    """Raises OSError where it takes no changes any more: then what was synced may be in memory alone.

    A change of a time must pass the journal: the first one makes ext4 see that it has given up, the second is told.
    """
    for _ in range(2):
        os.utime(folder)
