"""The station's side: what it believes, and from whom. tuf's client over any way of fetching; the disk is here.

- All trust begins at the root that was pinned; every root after it is signed by its forerunner and by itself.
- What is on the disk only makes it quicker, and remembers the newest that was seen: a file that is damaged or half
  written is fetched anew, beginning at the pinned root, and so the station is never locked out by its own disk.
- Where anything is wrong nothing is taken, and a TrustError says why; nothing else is ever raised.
- A refresh is good for a day: what was signed may be taken back, and has to be asked again.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from models.durable import replace_file, sync_directory
from models.trust.errors import TrustError
from models.trust.targets import Target, check_admitted, check_file

if TYPE_CHECKING:
    from models.trust.client import TrustClient

__all__ = ["FRESH_S", "Fetch", "Target", "TrustStore", "check_admitted", "check_file"]

Fetch = Callable[[str, int], bytes | None]

FRESH_S = 86_400.0
TAKEN = "taken.json"
_ROOTS = "root_history"
_ROOT = "root.json"
_FILES = ("timestamp.json", "snapshot.json", "targets.json", TAKEN)
_logger = logging.getLogger(__name__)


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
        self._client: TrustClient | None = None
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
        from models.trust.client import TrustClient

        self._client = None
        with _disk():
            self._tidy()
        try:
            client = TrustClient(self._folder, self._root, fetch)
        finally:
            with _disk():
                self._sync()
        self._client, self._fresh_until_s = client, self._clock() + FRESH_S

    def target(self, name: str) -> Target:
        """A signed release. Raises RefusedError where none has the name; TrustError before a refresh that went well."""
        if self._client is None or self._clock() > self._fresh_until_s:
            raise TrustError("what is signed is not known just now: refresh first")
        return self._client.target(name)

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
            with _disk():
                replace_file(self._folder / TAKEN, json.dumps(taken, sort_keys=True))

    def _taken(self) -> dict[str, int]:
        return read_taken(self._folder / TAKEN)

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


def read_taken(path: Path) -> dict[str, int]:
    """Of each bundle the newest version that was taken, out of `TAKEN`; what cannot be read says nothing."""
    try:
        found = json.loads(path.read_bytes())
        return {str(bundle): int(version) for bundle, version in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        _logger.error("%s is damaged, which releases were taken before is not known any more: %s", path, error)
        return {}


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrustError(f"cannot keep signed metadata: {error}") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
