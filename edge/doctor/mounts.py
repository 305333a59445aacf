"""Which file system a path lies on, and how it is mounted, from the kernel's list alone."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: where, its kind, and the options of mount and file system together."""

    point: Path
    kind: str
    options: frozenset[str]


def mount_of(path: Path, mountinfo: str) -> Mount | None:
    """The file system that holds a path; the last of those mounted at one place is the one that is seen.

    Args:
        path: absolute, links followed.
        mountinfo: the text of /proc/self/mountinfo (proc(5): optional fields end at a lone hyphen).
    """
    found: Mount | None = None
    for line in mountinfo.splitlines():
        head, hyphen, tail = line.partition(" - ")
        fields, rest = head.split(), tail.split()
        if not hyphen or len(fields) < 6 or len(rest) < 3:  # noqa: PLR2004 - as proc(5) has them
            continue
        point = Path(fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        if path.is_relative_to(point) and (found is None or len(point.parts) >= len(found.point.parts)):
            found = Mount(point, rest[0], frozenset({*fields[5].split(","), *rest[2].split(",")}))
    return found


def nearest_folder(path: Path) -> Path:
    """The path where it is a folder, else the nearest folder above it that is there."""
    return next((each for each in (path, *path.parents) if os.access(each, os.F_OK) and each.is_dir()), Path("/"))
