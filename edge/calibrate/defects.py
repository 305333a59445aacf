"""Images of bad parts, from a folder: all of one kind, or a folder for each kind of defect."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edge.calibrate.collect import SUFFIXES, pixel_digest
from edge.domain.errors import CameraError, ConfigError
from models.errors import ModelError
from models.scoring import read_image

_ONE_KIND = "defect"


@dataclass(frozen=True, slots=True)
class Defects:
    """Files of bad parts' images and, alike long, the kind of defect that each shows; the digest names the set."""

    paths: tuple[Path, ...] = ()
    kinds: tuple[str, ...] = ()
    digest: str = ""


def read_defects(folder: Path | None, good: frozenset[str]) -> Defects:
    """Every image below the folder, by kind and name; none without a folder.

    Args:
        folder: images, or folders of images named by kind.
        good: sha256 of the good frames' pixels as `pixel_digest` gives: a part cannot be both.

    Raises:
        ConfigError: no such folder, no image in it, a file that is no image, or one that lies among the good frames.
        CameraError: the folder cannot be read.
    """
    if folder is None:
        return Defects()
    found = _files(folder)
    if not found:
        raise ConfigError(f"calibrate: {folder} holds no image: give images of bad parts, or leave --defects out")
    lines = []
    for kind, path in found:
        digest = _digest(path)
        if digest in good:
            raise ConfigError(f"calibrate: {path} is one of the good frames too: is that part good or bad?")
        lines.append(f"{kind} {path.name} {digest}\n")
    kinds, paths = zip(*found, strict=True)
    return Defects(paths, kinds, hashlib.sha256("".join(lines).encode()).hexdigest())


def _files(folder: Path) -> list[tuple[str, Path]]:
    if not folder.is_dir():
        raise ConfigError(f"calibrate: {folder} is no folder: give a folder with images of bad parts")
    try:
        folders = [(_ONE_KIND, folder), *((path.name, path) for path in sorted(folder.iterdir()) if path.is_dir())]
        return [(kind, path) for kind, inner in folders for path in sorted(inner.iterdir()) if _is_image(path)]
    except OSError as error:
        raise CameraError(f"calibrate: cannot read {folder}: {error.strerror}") from error


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _digest(path: Path) -> str:
    try:
        return pixel_digest(read_image(path))
    except ModelError as error:
        raise ConfigError(f"calibrate: {path} is no readable image: remove or replace it") from error
