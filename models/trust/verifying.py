"""The station's side: what it believes, and from whom. tuf's client over any way of fetching; the disk is here.

- All trust begins at the root that was pinned; every root after it is signed by its forerunner and by itself.
- What is on the disk only makes it quicker, and remembers the newest that was seen: a file that is damaged or half
  written is fetched anew, beginning at the pinned root, and so the station is never locked out by its own disk.
- Where anything is wrong nothing is taken, and a TrustError says why; nothing else is ever raised.
- A refresh is good for a day: what was signed may be taken back, and has to be asked again.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from models.durable import replace_file, sync_directory
from models.trust.about import ReleaseAbout
from models.trust.errors import ExpiredError, ForgedError, RefusedError, TrustError, UnreachableError

Fetch = Callable[[str, int], bytes | None]

FRESH_S = 86_400.0
_CONFIG = UpdaterConfig(
    root_max_length=64 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=64 * 1024,
    targets_max_length=4 * 1024 * 1024,
)
_BASE = "wire:/"
_TAKEN = "taken.json"
_ROOTS = "root_history"
_ROOT = "root.json"
_FILES = ("timestamp.json", "snapshot.json", "targets.json", _TAKEN)
_PIECE_BYTES = 1024**2
_ABSENT = 404
_logger = logging.getLogger(__name__)


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


class TrustStore:
    """What a station believes. For one thread.

    Args:
        folder: where signed metadata is kept; made where absent, nobody else's.
        root: the root that was pinned, as a file.
        clock: seconds that only rise.
    """

    def __init__(self, folder: Path, root: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._root = root
        self._clock = clock
        self._updater: Updater | None = None
        self._fresh_until_s = 0.0

    def refresh(self, fetch: Fetch) -> None:
        """Learn the newest that was signed.

        Args:
            fetch: gives the file of a name such as `3.root.json`, of so many bytes at most, or None where there is
                none; may raise anything.

        Raises:
            ExpiredError: run on, take nothing new.
            UnreachableError: ask again later.
            ForgedError: what came is not to be believed.
            TrustError: the disk refuses, or the pinned root is none.
        """
        self._updater = None
        with _as_trust_errors():
            self._tidy()
            updater = Updater(str(self._folder), _BASE, fetcher=_Fetcher(fetch), config=_CONFIG, bootstrap=self._root)
            try:
                updater.refresh()
            finally:
                self._sync()
        self._updater, self._fresh_until_s = updater, self._clock() + FRESH_S

    def target(self, name: str) -> Target:
        """A signed release. Raises RefusedError where none has the name; TrustError before a refresh that went well."""
        if self._updater is None or self._clock() > self._fresh_until_s:
            raise TrustError("what is signed is not known just now: refresh first")
        with _as_trust_errors():
            found = self._updater.get_targetinfo(name)
        if found is None:
            raise RefusedError(f"{name!r} is no release that anybody signed")
        sha256 = found.hashes.get("sha256")
        if sha256 is None:
            raise ForgedError(f"{name!r} is signed without its sha256")
        about = ReleaseAbout.from_json(found.custom)
        if about.name != name:
            raise ForgedError(f"{name!r} is signed as {about.name!r}")
        return Target(name, found.length, sha256, about)

    def admitted(self, name: str, station: str, bundles: Collection[str]) -> Target:
        """A signed release that this station may take.

        Args:
            name: the file's name.
            station: this station's id.
            bundles: the ids of the bundles that its products use.

        Raises:
            RefusedError: it is another station's, of another product, or older than what was taken before.
            TrustError: as `target`.
        """
        target = self.target(name)
        check_admitted(target.about, station, bundles, self.newest_taken(target.about.bundle))
        return target

    def newest_taken(self, bundle: str) -> int:
        """The highest version of a bundle that was ever taken here; 0 where none was."""
        return self._taken().get(bundle, 0)

    def note_taken(self, target: Target) -> None:
        """It is taken, and nothing older will be: say so before it decides for the first time. Raises TrustError.

        To go back to the bundle before it, which lies on this station and was verified, is no matter of this.
        """
        taken = self._taken()
        if taken.get(target.about.bundle, 0) < target.about.version:
            taken[target.about.bundle] = target.about.version
            with _as_trust_errors():
                replace_file(self._folder / _TAKEN, json.dumps(taken, sort_keys=True))

    def _taken(self) -> dict[str, int]:
        path = self._folder / _TAKEN
        try:
            found = json.loads(path.read_bytes())
            return {str(bundle): int(version) for bundle, version in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            _logger.error("%s is damaged, which releases were taken before is not known any more: %s", path, error)
            return {}

    def _tidy(self) -> None:
        """Take away what is not ours, or not of its kind: what a kill or a failing disk left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            is_kept = path.name in _FILES and path.is_file() and not path.is_symlink()
            if not is_kept and not (path.name == _ROOTS and path.is_dir()) and path.name != _ROOT:
                _remove(path)
        if (self._folder / _ROOT).is_dir():
            _remove(self._folder / _ROOT)
        for path in (self._folder / _ROOTS).glob("*"):
            if not path.is_file() or path.is_symlink():
                _remove(path)

    def _sync(self) -> None:
        """Make durable what tuf wrote, so that a power cut takes back nothing that was seen."""
        for path in [*self._folder.iterdir(), *(self._folder / _ROOTS).glob("*")]:
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        for folder in (self._folder / _ROOTS, self._folder):
            if folder.is_dir():
                sync_directory(folder)


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


class _Fetcher(FetcherInterface):
    """tuf's way out to the network, which here is a function; the limit goes with the question."""

    def __init__(self, fetch: Fetch) -> None:
        self._ask = fetch

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """See `FetcherInterface`."""
        name = url.removeprefix(_BASE)
        try:
            content = self._ask(name, max_length)
        except Exception as error:
            raise DownloadError(f"cannot fetch {name}: {error}") from error
        if content is None:
            raise DownloadHTTPError(f"the cloud has no {name}", _ABSENT)
        if len(content) > max_length:
            raise DownloadLengthMismatchError(f"{name} has more than {max_length} bytes")
        return content

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, _CONFIG.targets_max_length)


@contextmanager
def _as_trust_errors() -> Iterator[None]:
    try:
        yield
    except TrustError:
        raise
    except ExpiredMetadataError as error:
        raise ExpiredError(
            f"{error}: the station runs on with what it has and takes nothing new; in the cloud: `cloud keys renew`"
        ) from error
    except DownloadLengthMismatchError as error:
        raise ForgedError(f"{error}: it is endless, or not ours") from error
    except DownloadError as error:
        raise UnreachableError(str(error)) from error
    except RepositoryError as error:
        raise ForgedError(f"the signed metadata is not to be believed: {error}") from error
    except OSError as error:
        raise TrustError(f"cannot keep signed metadata: {error}") from error
    except Exception as error:
        raise TrustError(f"the signed metadata cannot be used: {type(error).__name__}: {error}") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
