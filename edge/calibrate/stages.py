"""A calibration's working folder: each finished stage is kept, whole or not at all, so that `--resume` goes on from it.

Invariants:
- A stage appears by one rename, with the digest of everything that it was made from and of every file that it holds.
- It is read back only for the same digest and unharmed; else it is made anew. A fresh run reads what it just wrote, so
  that a resumed one takes no other way.
- One process to a folder; the kernel lets go of it however that process ends.
- Frames that a camera took are never thrown away by a start that did not ask for it.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edge.domain.errors import ConfigError, StorageError
from edge.record.lock import sole_owner
from models.bundle import file_entries, sync_tree
from models.durable import replace_file
from models.errors import ModelError

FRAMES = "frames"
_REQUEST, _FINISHED, _STAGE = "request.json", "finished.json", "stage.json"
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one calibration.

    Args:
        folder: the working folder, owned while this is used.
        reused: names of the stages that were read instead of made.
    """

    folder: Path
    reused: list[str] = field(default_factory=list)

    @property
    def frames(self) -> Path:
        """Where a camera's frames lie."""
        return self.folder / FRAMES

    def once(self, name: str, made_from: object, make: Callable[[Path], None], read: Callable[[Path], _Made]) -> _Made:
        """A stage's result: read where it is finished, made first where it is not.

        Args:
            name: of the stage.
            made_from: everything the result depends on, as plain values for JSON.
            make: fills the empty folder that it is given.
            read: reads such a folder.

        Raises:
            StorageError: the folder cannot be written.
        """
        kept, key = self.folder / name, _digest(made_from)
        if _is_whole(kept, key):
            try:
                result = read(kept)
            except (ModelError, ValueError, KeyError):  # written by another version: what it means has changed
                shutil.rmtree(kept)
            else:
                self.reused.append(name)
                return result
        self._make(kept, key, make)
        return read(kept)

    def tell(self, name: str, facts: dict[str, object]) -> None:
        """Leave word of something that is known already, for who looks on: `NAME.json` in the folder."""
        _write_json(self.folder / f"{name}.json", facts)

    def finish(self, facts: dict[str, object]) -> None:
        """Nothing is left to resume."""
        _write_json(self.folder / _FINISHED, facts)

    def _make(self, kept: Path, key: str, make: Callable[[Path], None]) -> None:
        scratch = Path(tempfile.mkdtemp(prefix=f".{kept.name}-", dir=self.folder))
        try:
            make(scratch)
            files = {name: entry.sha256 for name, entry in file_entries(scratch).items()}
            (scratch / _STAGE).write_text(json.dumps({"key": key, "files": files}, indent=1), encoding="utf-8")
            sync_tree(scratch)
            shutil.rmtree(kept, ignore_errors=True)
            scratch.rename(kept)
        except OSError as error:
            raise StorageError(
                f"calibrate: cannot keep {kept}: {error.strerror}: free the disk, then --resume"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def open_stages(folder: Path, request: dict[str, object], *, resume: bool, anew: bool = False) -> Iterator[Stages]:
    """Own the working folder, cleared unless a calibration is resumed.

    Args:
        folder: made where it is missing.
        request: what is calibrated, as plain values; kept for `read_request`.
        resume: go on with what is finished.
        anew: throw away even frames that a camera took for a calibration that was not finished.

    Raises:
        ConfigError: nothing to resume; or an unfinished calibration with a camera's frames is there, and neither
            was asked for.
        StorageError: another calibration runs, or the folder cannot be written.
    """
    with sole_owner(folder, "calibrate.lock", "another `edge calibrate` of this product"):
        if resume:
            _check_unfinished(folder)
        else:
            _clear(folder, anew=anew)
            _write_json(folder / _REQUEST, request)
        _sweep(folder)
        yield Stages(folder)


def read_request(folder: Path) -> dict[str, object]:
    """What the unfinished calibration in this folder was asked for.

    Raises:
        ConfigError: there is none.
    """
    _check_unfinished(folder)
    try:
        found = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"calibrate: {folder / _REQUEST} cannot be read ({error}): start anew with --anew") from error
    return dict(found)


def _check_unfinished(folder: Path) -> None:
    if (folder / _FINISHED).is_file():
        raise ConfigError(f"calibrate: nothing to resume, the last one is finished (see {folder / _FINISHED})")
    if not (folder / _REQUEST).is_file():
        raise ConfigError(f"calibrate: nothing to resume in {folder}: start without --resume")


def _clear(folder: Path, *, anew: bool) -> None:
    frames, finished = folder / FRAMES, (folder / _FINISHED).is_file()
    taken = sum(1 for path in frames.glob("*.png")) if frames.is_dir() else 0
    if taken and not finished and not anew:
        raise ConfigError(
            f"calibrate: an unfinished calibration with {taken} frames from the camera lies in {folder}: go on with "
            "--resume, or throw it away with --anew"
        )
    for path in folder.iterdir():
        if path.name != "calibrate.lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sweep(folder: Path) -> None:
    """What a killed run left half made."""
    for path in folder.glob(".*-*"):
        shutil.rmtree(path, ignore_errors=True)


def _is_whole(kept: Path, key: str) -> bool:
    try:
        said = json.loads((kept / _STAGE).read_text(encoding="utf-8"))
        found = {name: entry.sha256 for name, entry in file_entries(kept).items() if name != _STAGE}
    except (OSError, ValueError, ModelError):
        return False
    return bool(said == {"key": key, "files": found})


def _digest(made_from: object) -> str:
    return hashlib.sha256(json.dumps(made_from, sort_keys=True, default=str).encode()).hexdigest()


def _write_json(path: Path, content: dict[str, object]) -> None:
    replace_file(path, json.dumps(content, indent=1, default=str) + "\n")
