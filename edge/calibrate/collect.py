"""Frames for calibration, from a folder: what cannot teach is refused, by name and with the reason."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.calibrate.progress import Progress
from edge.domain.errors import CameraError, ConfigError
from models.letterbox import Image
from models.near_twins import thumbnail

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_BLACK_MEAN = 4.0
_FLAT_STD = 2.0
_SHARP_MIN = 0.02
_SIDE_MIN = 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One usable frame's file, the sha256 of its pixels, and the thumbnail that finds near-twins."""

    path: Path
    sha256: str
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
    if not frames:
        raise ConfigError(
            f"calibrate: {folder} holds no usable image ({len(refused)} refused): give good parts' frames"
        )
    return Collected(tuple(frames), tuple(refused))


def flaw(image: Image) -> str | None:
    """Why a frame cannot teach: black, flat or blurred; None if it can.

    Blur is the share of a frame's contrast that lies in its finest detail, on a thumbnail of at most 480 pixels: it
    does not depend on how dark or dull the part is.
    """
    grey = cv2.cvtColor(_small(image), cv2.COLOR_BGR2GRAY).astype(np.float32)
    spread = float(grey.std())
    if float(grey.mean()) < _BLACK_MEAN:
        return f"black: mean {grey.mean():.1f} of 255"
    if spread < _FLAT_STD:
        return f"flat: contrast {spread:.1f} grey levels"
    detail = float(np.abs(grey - cv2.GaussianBlur(grey, (5, 5), 0)).mean()) / spread
    return f"blurred: detail {detail:.4f} of contrast" if detail < _SHARP_MIN else None


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
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    if (first := seen.setdefault(digest, file.name)) != file.name:
        return Refusal(file.name, f"duplicate: same pixels as {first}")
    return Frame(file, digest, thumbnail(pixels))


def _small(image: Image) -> Image:
    shrink = min(1.0, 480 / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
