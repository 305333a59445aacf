"""A signed release, and what may be done with it. Needs no tuf."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from models.trust.about import ReleaseAbout
from models.trust.errors import ForgedError, RefusedError, TrustError

_PIECE_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Target:
    """A signed release.

    Args:
        name: the file's name.
        size_bytes: the file's size.
        sha256: the file's hash, hex.
        about: what it is, and for whom.
    """

    name: str
    size_bytes: int
    sha256: str
    about: ReleaseAbout


def check_admitted(about: ReleaseAbout, station: str, bundles: Collection[str], newest_taken: int) -> None:
    """Whether a station may take this release. Pure. Raises RefusedError.

    Args:
        about: what was signed of it.
        station: this station's id.
        bundles: the ids of the bundles that its products use.
        newest_taken: the highest version of this bundle that it ever took, 0 for none.
    """
    if about.stations and station not in about.stations:
        raise RefusedError(f"{about.name!r} is for {', '.join(about.stations)[:200]}, and this is {station!r}")
    if about.bundle not in bundles:
        known = ", ".join(sorted(bundles)) or "no bundle"
        raise RefusedError(f"{about.name!r} is of bundle {about.bundle!r}, and the products here use {known[:200]}")
    if about.version < newest_taken:
        raise RefusedError(f"{about.name!r} is older than version {newest_taken}, which was taken here before")


def check_file(target: Target, path: Path) -> None:
    """Whether a file is what was signed. Raises ForgedError where not, TrustError where it cannot be read."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while size_bytes <= target.size_bytes and (piece := file.read(_PIECE_BYTES)):
                digest.update(piece)
                size_bytes += len(piece)
    except OSError as error:
        raise TrustError(f"cannot read {path}: {error.strerror}") from error
    if size_bytes != target.size_bytes:
        more = "more" if size_bytes > target.size_bytes else f"only {size_bytes}"
        raise ForgedError(f"{target.name!r} is signed with {target.size_bytes} bytes, the file has {more}")
    if digest.hexdigest() != target.sha256:
        raise ForgedError(f"{target.name!r}: its bytes are not those that were signed")
