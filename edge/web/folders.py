"""Folders of pictures on the station that a page may name: by a key, never by a path that a browser sent."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.config import StationConfig

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_MOST_FOLDERS = 100
_MOST_COUNTED = 20_000


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with pictures.

    Args:
        key: by which a form names it.
        label: for people.
        path: where it is.
        pictures: how many lie in it, counted up to 20,000.
        camera: whose they are, where that is known.
        inside: how many lie in the folders that it holds, where that was asked for.
    """

    key: str
    label: str
    path: Path
    pictures: int
    camera: str = ""
    inside: int = 0


def folders(config: StationConfig, *, nested: bool = False) -> tuple[Folder, ...]:
    """What replay cameras read, what lies beside station.toml, and what lies in `frames` below the data folder.

    Args:
        config: of the station.
        nested: those as well that hold no picture themselves, but folders with some.
    """
    found: dict[Path, Folder] = {}
    for folder in _candidates(config):
        path = folder.path.resolve()
        if path in found or len(found) >= _MOST_FOLDERS:
            continue
        pictures = _count(path)
        inside = sum(map(_count, _inside(path)[:_MOST_FOLDERS])) if nested else 0
        if pictures or inside:
            found[path] = Folder(folder.key, folder.label, path, pictures, folder.camera, inside)
    return tuple(found.values())


def chosen(config: StationConfig, key: str) -> Folder | None:
    """The folder of a key; None where there is none, or none any more."""
    return next((each for each in folders(config) if each.key == key), None)


def _candidates(config: StationConfig) -> Iterator[Folder]:
    for camera in config.camera:
        if isinstance(camera.source, str) and Path(camera.source).is_dir():
            yield Folder(f"camera:{camera.id}", camera.source, Path(camera.source), 0, camera.id)
    own = config.station.data_dir.resolve()
    for word, top in (("frames", own / "frames"), ("beside", config.file.parent)):
        for path in _inside(top):
            if path.resolve() != own:
                yield Folder(f"{word}:{path.name}", str(path), path, 0)


def _inside(top: Path) -> list[Path]:
    try:
        with os.scandir(top) as entries:
            return sorted(Path(each.path) for each in entries if each.is_dir() and _can_be_named(each.name))
    except OSError:  # not there, or not ours to read: nothing to choose
        return []


def _can_be_named(name: str) -> bool:
    """Whether a page can show it: a name that is no UTF-8 would be the end of the whole page."""
    return not name.startswith(".") and name.isprintable()


def _count(path: Path) -> int:
    count = 0
    try:
        with os.scandir(path) as entries:
            for each in entries:
                count += each.name.lower().endswith(_SUFFIXES)
                if count >= _MOST_COUNTED:
                    break
    except OSError:
        return 0
    return count
