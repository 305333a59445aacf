"""Labelled defective parts, from a folder of images or of folders per class: read once, judged, named."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.calibrate.collect import SUFFIXES, Refusal, pixel_digest
from edge.domain.errors import CameraError, ConfigError

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


def read_defects(folder: Path, good: Collection[str] = ()) -> DefectFrames:
    """Every image of a folder, and of the folders in it, whose names are the classes.

    Folders called good, normal, masks or ground_truth are not read: data sets keep those beside their defects.

    Args:
        folder: of images, or of folders per class.
        good: sha256 of the pixels of the good frames; a frame that is among them is no defect.

    Raises:
        ConfigError: the folder does not exist, or holds no usable image.
        CameraError: it cannot be read.
    """
    seen: dict[str, str] = dict.fromkeys(good, "a good frame")
    kept: list[tuple[Path, str]] = []
    refused: list[Refusal] = []
    for path, kind in _files(folder):
        name = f"{kind}/{path.name}" if kind else path.name
        if why := _unusable(path, name, seen):
            refused.append(Refusal(name, why))
        else:
            kept.append((path, kind))
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


def _unusable(path: Path, name: str, seen: dict[str, str]) -> str:
    """Why a frame cannot count; empty if it can."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        return "unreadable: no image, or cut short"
    pixels = np.asarray(image, np.uint8)
    first = seen.setdefault(pixel_digest(pixels), name)
    return "" if first == name else f"duplicate: same pixels as {first}"
