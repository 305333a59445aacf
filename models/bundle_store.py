"""Where a station keeps its bundles: `<root>/<id>/v<N>`, and which one is active.

- `active` and `previous` are symlinks beside the versions; each changes by one rename, so a reader sees old or new.
- `previous` is set before `active` moves: a kill between the two leaves the active bundle as it was.
- Activating opens the bundle first: what does not verify, or what its gate refused, cannot become active.
- A version is taken away by one rename, and only where no link names it. Who chooses one, be it to activate it or to
  take it away, holds the id's lock until it is done: what was chosen is there, and is what was chosen. On a disk that
  has no locks on folders, as NFS has none, one chooses without: better than that no version could be chosen at all.
- What is not called `v<N>` is no version: an interrupted write is never listed, activated or counted.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.bundle import MANIFEST, Bundle, file_entries, open_bundle, open_for_line, write_bundle
from models.durable import sync_directory
from models.errors import BusyError, ModelError
from models.manifest import Manifest
from models.scratch import MAKING, NO_LOCKS, left_in, scratch_folder, sweep

ACTIVE = "active"
PREVIOUS = "previous"
_GONE = ".gone-"
_PATIENCE_S = 30.0
_LOOKS_EVERY_S = 0.02
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """One version on disk; not verified yet."""

    id: str
    version: int
    path: Path
    active: bool
    previous: bool


def version_path(root: Path, bundle_id: str, version: int) -> Path:
    """Where this version lies or will lie.

    Raises:
        ModelError: the id is none.
    """
    return _folder(root, bundle_id) / f"v{version}"


def next_version(root: Path, bundle_id: str) -> int:
    """One more than the highest version on disk; 1 if there is none."""
    return max(_versions(_folder(root, bundle_id)), default=0) + 1


def write_next(root: Path, bundle_id: str, fill: Callable[[Path, int], Manifest]) -> Bundle:
    """The next version of an id, whole or not at all; not active.

    Args:
        root: of the store.
        bundle_id: of the new version.
        fill: puts every file into the empty folder that it is given, beside the version, and returns their manifest.

    Raises:
        ModelError: the id is none, or what was written does not verify.
    """
    version = next_version(root, bundle_id)
    target = version_path(root, bundle_id, version)
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    with scratch_folder(target.parent, MAKING) as own:
        scratch = own / "files"
        scratch.mkdir()
        return write_bundle(scratch, target, fill(scratch, version))


def copy_next(
    root: Path,
    bundle_id: str,
    source: Bundle,
    made_at: datetime,
    add: Callable[[Path, int], None] | None = None,
    parent: str | None = None,
) -> Bundle:
    """Another bundle's files as they are, as the next version of an id; its parent is that bundle.

    A draft, which lies outside the store and never ran, is taken over by `adopt_next` instead.

    Args:
        root: of the store.
        bundle_id: of the new version.
        source: opened, so every hash is verified.
        made_at: when.
        add: puts further files into the folder that it is given, beside the version.
        parent: digest of the bundle that the source was made from on the way here.

    Raises:
        ModelError: as `write_next`, or the files changed since they were verified.
    """
    changes = {"parent": parent or source.model_id.sha256, "created_at": made_at}
    return _take_next(root, bundle_id, source, changes, add)


def adopt_next(root: Path, bundle_id: str, draft: Bundle, add: Callable[[Path, int], None]) -> Bundle:
    """A draft's files and what is added to them, as the next version of an id; once, however often it is called.

    Where the newest version was made of this very draft already, as a killed run leaves it, that one is given.

    Args:
        root: of the store.
        bundle_id: of the new version.
        draft: opened, so every hash is verified.
        add: puts further files into the folder that it is given, beside the version.

    Raises:
        ModelError: as `copy_next`.
    """
    made = _adopted(root, bundle_id, draft.manifest)
    return _take_next(root, bundle_id, draft, {}, add) if made is None else made


def _adopted(root: Path, bundle_id: str, draft: Manifest) -> Bundle | None:
    newest = next_version(root, bundle_id) - 1
    if not newest:
        return None
    try:
        found = open_bundle(version_path(root, bundle_id, newest))
    except ModelError:
        return None
    whole = draft.files.items() <= found.manifest.files.items()
    return found if whole and found.manifest.created_at == draft.created_at else None


def _take_next(
    root: Path,
    bundle_id: str,
    source: Bundle,
    changes: dict[str, object],
    add: Callable[[Path, int], None] | None,
) -> Bundle:
    def fill(scratch: Path, version: int) -> Manifest:
        shutil.copytree(source.path, scratch, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
        if file_entries(scratch) != source.manifest.files:
            raise ModelError(f"bundle: what was copied from {source.path} is not what was verified there: try again")
        if add is not None:
            add(scratch, version)
        own = {"id": bundle_id, "version": version, "files": file_entries(scratch)}
        return source.manifest.model_copy(update=changes | own)

    return write_next(root, bundle_id, fill)


def activate(root: Path, bundle_id: str, version: int) -> Path:
    """Make a verified version the active one; the one active until now becomes `previous`.

    Raises:
        ModelError: no such version, or it does not verify; then nothing has changed.
        GateError: its INT8 graph was refused by its gate, or never seen by one; nothing has changed.
        BusyError: another process has held the store for half a minute; nothing has changed.
    """
    folder = _folder(root, bundle_id)
    with _held(folder, _PATIENCE_S):
        return _activate(folder, folder / f"v{version}")


def rollback(root: Path, bundle_id: str) -> Path:
    """Make the previous version active again, verified first; rolling back twice returns.

    Raises:
        ModelError: there is no previous version, or it does not verify.
        BusyError: another process has held the store for half a minute; nothing has changed.
    """
    folder = _folder(root, bundle_id)
    with _held(folder, _PATIENCE_S):
        previous = _linked(folder, PREVIOUS)
        if previous is None:
            raise ModelError(f"bundle {bundle_id!r} has no previous version in {root}: activate one by its number")
        return _activate(folder, previous)


def _activate(folder: Path, target: Path) -> Path:
    open_for_line(target)
    current = _linked(folder, ACTIVE)
    if current is not None and current != target:
        _link(folder, PREVIOUS, current)
    _link(folder, ACTIVE, target)
    return target


def prune(root: Path, bundle_id: str, keep: Collection[int]) -> list[int]:
    """Take away versions of an id; never the active or previous one, nor the highest number: none is given twice.

    While one is being activated none goes: whoever prunes comes again.

    Args:
        root: of the store.
        bundle_id: whose versions.
        keep: numbers that stay too.

    Returns:
        The numbers that went.

    Raises:
        ModelError: the id is none, or a link names no version.
        OSError: the disk refuses.
    """
    folder = _folder(root, bundle_id)
    try:
        with _held(folder, 0):
            return _prune(folder, keep)
    except BusyError:
        return []


def _prune(folder: Path, keep: Collection[int]) -> list[int]:
    for left in folder.glob(f"{_GONE}*"):  # of a run that was killed
        shutil.rmtree(left)
    stored = _list(folder) if folder.is_dir() else []
    old = [one for one in stored[:-1] if not (one.active or one.previous or one.version in keep)]
    for one in old:
        gone = folder / f"{_GONE}{one.path.name}"
        one.path.rename(gone)
        sync_directory(folder)
        shutil.rmtree(gone)
    return [one.version for one in old]


@contextmanager
def _held(folder: Path, wait_s: float) -> Iterator[None]:
    """Choose among the versions of an id as the only one that does; the kernel lets go where the process ends.

    Raises:
        BusyError: another one holds it, for longer than `wait_s` seconds.
    """
    if not folder.is_dir():  # nothing to choose from, and whoever opens a version there says so
        yield
        return
    lock, until_s = os.open(folder, os.O_RDONLY | os.O_DIRECTORY), time.monotonic() + wait_s
    try:
        while not _locked(lock):
            if time.monotonic() >= until_s:
                raise BusyError(f"another process has been changing {folder} for {wait_s:g} s: try again, or end it")
            time.sleep(_LOOKS_EVERY_S)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def unfinished(root: Path) -> list[Path]:
    """Folders that imports and calibrations left in the store when they were killed; none that one works in."""
    return [path for folder in _folders(root) for path in left_in(folder)]


def clear_unfinished(root: Path) -> list[Path]:
    """Take these away; what went."""
    return [path for folder in _folders(root) for path in sweep(folder)]


def active_bundle(root: Path, bundle_id: str) -> Path:
    """The active version's own directory (not the symlink, which may move at any time).

    Raises:
        ModelError: none is active.
    """
    active = _linked(_folder(root, bundle_id), ACTIVE)
    if active is None:
        raise ModelError(f"bundle {bundle_id!r} has no active version in {root}: run `edge calibrate` or activate one")
    return active


def list_bundles(root: Path) -> list[StoredBundle]:
    """Every version in the store, by id and number."""
    return [bundle for folder in _folders(root)[1:] for bundle in _list(folder)]


def _folders(root: Path) -> list[Path]:
    """The store's folder, then that of each id."""
    found = sorted(path for path in root.iterdir() if _NAME.fullmatch(path.name)) if root.is_dir() else []
    return [root, *(path for path in found if path.is_dir())]


def _list(folder: Path) -> list[StoredBundle]:
    active, previous = _linked(folder, ACTIVE), _linked(folder, PREVIOUS)
    paths = {version: folder / f"v{version}" for version in sorted(_versions(folder))}
    return [
        StoredBundle(folder.name, version, path, active=path == active, previous=path == previous)
        for version, path in paths.items()
    ]


def _folder(root: Path, bundle_id: str) -> Path:
    if not _NAME.fullmatch(bundle_id):
        raise ModelError(f"bundle id must be 1 to 64 of a-z 0-9 . _ -, got {bundle_id!r}")
    return root.absolute() / bundle_id


def _versions(folder: Path) -> list[int]:
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [int(match[1]) for name in names if (match := _VERSION.fullmatch(name))]


def _linked(folder: Path, name: str) -> Path | None:
    """The version a link names, or None; a link that names anything else is an error, not a guess."""
    link = folder / name
    if not link.is_symlink():
        return None
    target = str(link.readlink())
    if not _VERSION.fullmatch(target) or not (folder / target).is_dir():
        raise ModelError(f"bundle: {link} names {target!r}, which is no version there: activate one by its number")
    return folder / target


def _link(folder: Path, name: str, target: Path) -> None:
    fresh = folder / f".{name}-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    fresh.replace(folder / name)
    sync_directory(folder)
