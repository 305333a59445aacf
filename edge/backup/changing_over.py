"""Puts what a restore unpacked in place of what was there: all of it, or, after a kill, the rest at the next call.

- Until `changeover.json` stands in the data folder nothing was touched; from then on there is no way back, only on.
- What is replaced is moved aside, never deleted. Every step may be done again.
- While that file stands no daemon starts: half a station is none.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.domain.errors import StorageError
from edge.record.lock import UNFINISHED
from models.durable import replace_file, sync_directory

STAGING = ".restoring"
DATABASE = ("station.db", "station.db-wal", "station.db-shm")
REPLACED = (*DATABASE, "bundles", "plans", "masters", "scales", "checks", "drift.json", "status.json")


@dataclass(frozen=True, slots=True)
class Changeover:
    """What is to be done.

    Args:
        work: for who asks why the station does not start.
        kit_sha256: of the kit's manifest.
        aside: the folder in the data folder that takes what is replaced.
        brought: top-level names in the data folder that the kit brings.
        replaced: further ones that go aside, if they are there.
        config: the station.toml to write, whole path.
        identity: the folder for the identity, whole path.
    """

    work: str
    kit_sha256: str
    aside: str
    brought: tuple[str, ...]
    replaced: tuple[str, ...]
    config: str
    identity: str


def begin(data: Path, plan: Changeover) -> None:
    """From here on there is no way back. Raises OSError."""
    replace_file(data / UNFINISHED, json.dumps(asdict(plan)))


def unfinished(data: Path) -> Changeover | None:
    """What an earlier call began and did not end. Raises StorageError where its file cannot be read."""
    path = data / UNFINISHED
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("work") != "restore":
            return None
        names = {name: tuple(content[name]) for name in ("brought", "replaced")}
        return Changeover(**(content | names))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def finish(data: Path, plan: Changeover) -> None:
    """Do what is left of it. Raises OSError."""
    staged, aside = data / STAGING, data / plan.aside
    aside.mkdir(exist_ok=True)
    _own_as(aside, data)
    if "images" not in plan.brought:
        _hold_images(data / "images", _place_for_images(data / "images", aside), data)
    for name in dict.fromkeys((*plan.replaced, *plan.brought)):
        fresh, old = staged / "data" / name, data / name
        waits = os.path.lexists(fresh)
        if os.path.lexists(old) and (waits or name not in plan.brought):
            old.rename(aside / name)
        if waits:
            fresh.rename(old)
    sync_directory(aside)
    sync_directory(data)
    if (staged / "identity").exists():
        _make_folder(Path(plan.identity), data, 0o700)
    _bring(staged / "identity", Path(plan.identity), aside / "identity")
    _bring(staged / "beside", Path(plan.config).parent, aside / "beside")
    _bring_config(staged / "station.toml", Path(plan.config), aside)
    if not any(aside.iterdir()):
        aside.rmdir()
    (data / UNFINISHED).unlink()
    sync_directory(data)
    shutil.rmtree(staged)


def _place_for_images(images: Path, aside: Path) -> Path:
    """On the images' own file system: they may have a disk to themselves, and no link leads to another one."""
    if not images.is_dir() or images.stat().st_dev == aside.stat().st_dev:
        return aside / "images"
    if any(images.glob("??/*")) and not os.path.lexists(aside / "images"):
        (aside / "images").symlink_to(images.absolute() / aside.name)
    return images / aside.name


def _hold_images(images: Path, aside: Path, like: Path) -> None:
    """Keep every image for the database that goes aside: the daemon deletes those that the new one does not know."""
    for path in images.glob("??/*"):
        held = aside / path.parent.name / path.name
        if not held.exists():
            for folder in (aside, held.parent):
                _make_folder(folder, like, 0o750)
            held.hardlink_to(path)


def _bring(staged: Path, target: Path, aside: Path) -> None:
    """Each file of a folder to its place, whole; what it replaces is kept."""
    for path in sorted(staged.rglob("*")) if staged.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            _bring_file(path, target / path.relative_to(staged), aside / path.relative_to(staged))


def _bring_file(staged: Path, target: Path, aside: Path) -> None:
    content = staged.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    if target.exists() and not aside.exists():
        _make_folder(aside.parent, staged, 0o700)
        shutil.copy2(target, aside)
    fresh = target.with_name(f".{target.name}.part")
    _make_folder(fresh.parent, staged, 0o755)
    fresh.unlink(missing_ok=True)
    held = staged.stat()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        if os.geteuid() == 0:  # by its handle: the folder may be another user's
            os.fchown(file.fileno(), held.st_uid, held.st_gid)
        os.fchmod(file.fileno(), held.st_mode & 0o777)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
    sync_directory(target.parent)


def _make_folder(path: Path, like: Path, mode: int) -> None:
    if not path.exists():
        path.mkdir(mode=mode, parents=True)
        _own_as(path, like)


def _bring_config(staged: Path, target: Path, aside: Path) -> None:
    if not staged.exists():
        return
    if target.exists():
        held = target.stat()
        staged.chmod(held.st_mode & 0o777)
        _give_to(staged, held.st_uid, held.st_gid)
    else:
        _give_to(staged, os.geteuid(), staged.stat().st_gid)  # the daemon may read what it goes by, not change it
    _bring_file(staged, target, aside / target.name)


def _own_as(path: Path, like: Path) -> None:
    held = like.stat()
    _give_to(path, held.st_uid, held.st_gid)


def _give_to(path: Path, user: int, group: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, user, group, follow_symlinks=False)
