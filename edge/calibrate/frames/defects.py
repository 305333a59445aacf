"""Labelled defective parts, from a folder of images or of folders per class: read once, judged, named."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from edge.calibrate.frames.collect import SUFFIXES, Refusal, pixel_digest
from edge.calibrate.frames.cropping import Cropping
from edge.domain.errors import CameraError, ConfigError
from edge.domain.frame import Image
from models.dataset.image_files import decode

_NO_CLASS = "defects"
_NO_CLASSES = frozenset({"good", "normal", "masks", "ground_truth"})


@dataclass(frozen=True, slots=True)
class DefectFrames:
    """Usable frames of defective parts, the class of each (empty where folders name none), and what was refused.

    `digest` names the set: sha256 over names and pixels.
    """

    paths: tuple[Path, ...]
    kinds: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()
    digest: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Each with its class's folder, for people."""
        return tuple(
            f"{kind}/{path.name}" if kind else path.name for path, kind in zip(self.paths, self.kinds, strict=True)
        )


def read_defects(folder: Path, good: Collection[str] = (), cropping: Cropping | None = None) -> DefectFrames:
    """Every image of a folder, and of the folders in it, whose names are the classes.

    Folders called good, normal, masks or ground_truth are not read: data sets keep those beside their defects.

    Args:
        folder: of images, or of folders per class.
        good: sha256 of the pixels of the good frames; a frame that is among them is no defect.
        cropping: the roi of the frames' camera, if it has one.

    Raises:
        ConfigError: the folder does not exist, or holds no usable image.
        CameraError: it cannot be read.
    """
    seen: dict[str, str] = dict.fromkeys(good, "a good frame")
    kept: list[tuple[Path, str]] = []
    refused: list[Refusal] = []
    files = _files(folder)
    read = _reader(cropping, [path for path, _ in files])
    for path, kind in files:
        name = f"{kind}/{path.name}" if kind else path.name
        judged = read(path, kind)
        if isinstance(judged, str):
            refused.append(Refusal(name, judged))
        elif (first := seen.setdefault(pixel_digest(judged[1]), name)) != name:
            refused.append(Refusal(name, f"duplicate: same pixels as {first}"))
        else:
            kept.append((judged[0], kind))
    if not kept:
        raise ConfigError(
            f"--defects: {folder} holds no usable image ({len(refused)} refused): give a folder of defective parts' "
            "frames, or one with a folder per class"
        )
    digest = hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()
    return DefectFrames(tuple(path for path, _ in kept), tuple(kind for _, kind in kept), tuple(refused), digest)


def _files(folder: Path) -> list[tuple[Path, str]]:
    if not folder.is_dir():
        raise ConfigError(f"--defects: {folder} is no folder: give one with frames of defective parts")
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in _NO_CLASSES)
        own = [(path, "") for path in _images(folder)]
        return own + [(path, one.name) for one in classes for path in _images(one)]
    except OSError as fault:
        raise CameraError(f"--defects: cannot read {folder}: {fault}") from fault


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _reader(cropping: Cropping | None, files: Sequence[Path]) -> Callable[[Path, str], tuple[Path, Image] | str]:
    """Reads a file of a class: the picture and the file that holds it, cut to the roi, or why it cannot count."""
    whole = None if cropping is None else cropping.whole(files)

    def read(path: Path, kind: str) -> tuple[Path, Image] | str:
        pixels = decode(path, cv2.IMREAD_COLOR)
        if pixels is None:
            return "unreadable: no image, or cut short"
        if cropping is None:
            return path, pixels
        return replace(cropping, folder=cropping.folder / (kind or _NO_CLASS)).apply(path, pixels, whole)

    return read
