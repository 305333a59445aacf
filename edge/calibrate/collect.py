"""Frames for calibration, from a folder: what cannot teach is refused, by name and with the reason."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.pictures.flaws import detail, flaw
from edge.domain.errors import CameraError, ConfigError
from models.near_twins import thumbnail
from models.progress import Progress

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_DETAIL_MIN_OF_MEDIAN = 0.25
_SIDE_MIN = 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One usable frame's file, size, sha256 of its pixels, sharpness, and the thumbnail that finds near-twins."""

    path: Path
    width: int
    height: int
    sha256: str
    detail: float
    thumbnail: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Usable frames in the order of their names, and what was refused."""

    frames: tuple[Frame, ...]
    refused: tuple[Refusal, ...]

    @property
    def digest(self) -> str:
        """Names this set of frames: sha256 over names and pixel digests."""
        lines = "".join(f"{frame.path.name} {frame.sha256}\n" for frame in self.frames)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def digests(self) -> frozenset[str]:
        """Of every usable frame's pixels."""
        return frozenset(frame.sha256 for frame in self.frames)

    def summary(self) -> dict[str, int]:
        """How many were refused, by reason."""
        return dict(Counter(refusal.reason.split(":")[0] for refusal in self.refused))


def collect(folder: Path, progress: Progress) -> Collected:
    """Every image file of the folder, read once, judged, in the order of the names.

    Raises:
        ConfigError: the folder does not exist, or holds no usable image.
        CameraError: the folder cannot be read.
    """
    files = _files(folder)
    progress.stage("collect", len(files))
    frames: list[Frame] = []
    refused: list[Refusal] = []
    seen: dict[str, str] = {}
    for file in files:
        judged = _judge(file, seen)
        if isinstance(judged, Refusal):
            refused.append(judged)
        else:
            frames.append(judged)
        progress.advance()
    frames, blurred = _without_blurred(frames)
    refused = sorted([*refused, *blurred], key=lambda refusal: refusal.name)
    if not frames:
        raise ConfigError(
            f"calibrate: {folder} holds no usable image ({len(refused)} refused): give good parts' frames"
        )
    return Collected(tuple(frames), tuple(refused))


def _without_blurred(frames: list[Frame]) -> tuple[list[Frame], list[Refusal]]:
    """Frames of one part are alike sharp: one with under a quarter of the usual detail was shaken or out of focus."""
    usual = float(np.median([frame.detail for frame in frames])) if frames else 0.0
    blurred = [frame for frame in frames if frame.detail < _DETAIL_MIN_OF_MEDIAN * usual]
    refusals = [Refusal(frame.path.name, f"blurred: detail {frame.detail:.3f}, usual {usual:.3f}") for frame in blurred]
    return [frame for frame in frames if frame not in blurred], refusals


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"calibrate: {folder} is no folder: give a folder with frames of good parts")
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as fault:
        raise CameraError(f"calibrate: cannot read {folder}: {fault}") from fault


def _judge(file: Path, seen: dict[str, str]) -> Frame | Refusal:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        return Refusal(file.name, "unreadable: no image, or cut short")
    pixels = np.asarray(image, np.uint8)
    if min(pixels.shape[:2]) < _SIDE_MIN:
        return Refusal(file.name, f"small: {pixels.shape[1]}x{pixels.shape[0]} pixels")
    if why := flaw(pixels):
        return Refusal(file.name, why)
    digest = pixel_digest(pixels)
    if (first := seen.setdefault(digest, file.name)) != file.name:
        return Refusal(file.name, f"duplicate: same pixels as {first}")
    return Frame(file, pixels.shape[1], pixels.shape[0], digest, detail(pixels), thumbnail(pixels))


def pixel_digest(image: NDArray[np.uint8]) -> str:
    """Names an image's pixels, (H, W, 3) uint8, whatever file they came in: sha256."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
