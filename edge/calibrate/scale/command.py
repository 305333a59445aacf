"""What `edge camera scale` asks for and does: one way to measure, one picture, one file that is kept."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from edge.calibrate.scale.measuring import Scale, from_board, from_code, from_points
from edge.capture.grab import look
from edge.capture.open import make_camera
from edge.capture.scales import KeptScale
from edge.config import CameraSection
from edge.domain.errors import ConfigError
from edge.domain.frame import Image
from models.decoding import read_picture

_LOOK_S = 0.5
_BOARD = re.compile(r"(\d{1,3})x(\d{1,3})")
_FEWEST_CORNERS = 3
_COORDINATES = 4


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """The options as they were given: a board's, a code's or two points' pair, the others empty or 0."""

    checkerboard: str = ""
    square_mm: float = 0
    qr_mm: float = 0
    points: str = ""
    mm: float = 0

    def check(self) -> None:
        """Whether exactly one way to measure is asked for, whole. Raises ConfigError."""
        pairs = {
            "--checkerboard 9x6 --square-mm 5": (bool(self.checkerboard), bool(self.square_mm)),
            "--qr-mm 20": (bool(self.qr_mm),),
            "--points 10,20,400,20 --mm 30": (bool(self.points), bool(self.mm)),
        }
        begun = {name: given for name, given in pairs.items() if any(given)}
        if len(begun) != 1 or not all(*begun.values()):
            raise ConfigError(f"give one way to measure, whole: {', or '.join(pairs)}")

    @property
    def corners(self) -> tuple[int, int]:
        """Inner corners of the board. Raises ConfigError."""
        match = _BOARD.fullmatch(self.checkerboard)
        sides = (int(match[1]), int(match[2])) if match else (0, 0)
        if min(sides) < _FEWEST_CORNERS:
            raise ConfigError(
                f"--checkerboard: expected its inner corners, {_FEWEST_CORNERS} or more a side, as 9x6, got "
                f"{self.checkerboard!r}"
            )
        return sides

    @property
    def points_xyxy(self) -> tuple[float, float, float, float]:
        """The two points. Raises ConfigError."""
        try:
            values = [float(text) for text in self.points.split(",")]
        except ValueError:
            values = []
        if len(values) != _COORDINATES or not np.isfinite(values).all():
            raise ConfigError(f"--points: expected two points as x1,y1,x2,y2, got {self.points!r}")
        return values[0], values[1], values[2], values[3]


def measure_scale(asked: ScaleRequest, image: Image) -> Scale:
    """The scale of a picture (H, W, 3) uint8 BGR. Raises ConfigError: it does not show what was asked for."""
    if asked.checkerboard:
        return from_board(image, asked.corners, asked.square_mm)
    if asked.qr_mm:
        return from_code(image, asked.qr_mm)
    return from_points((image.shape[1], image.shape[0]), asked.points_xyxy, asked.mm)


def take_picture(section: CameraSection | None, file: Path | None) -> Image:
    """The picture to measure in, (H, W, 3) uint8 BGR: a file's, or one that the camera takes now.

    Raises:
        ConfigError: the file is no image, or neither is given.
        CameraError: the camera gives none that can be trusted.
    """
    if file is not None:
        pixels = read_picture(file, cv2.IMREAD_COLOR)
        if pixels is None:
            raise ConfigError(f"--image {file} is no readable image: give a picture of this camera")
        return pixels
    if section is None:
        raise ConfigError("give --image, or run this beside a station.toml with the camera")
    frames, _ = look(section, make_camera(section), _LOOK_S)
    return frames[-1].image


def kept_scale(camera: str, scale: Scale, measured_at: datetime) -> KeptScale:
    """A scale as it is kept for a camera."""
    return KeptScale(
        schema="inspectd.camera-scale.v1",
        camera=camera,
        mm_per_px=scale.mm_per_px,
        uncertainty_mm_per_px=scale.uncertainty_mm_per_px,
        by=scale.by,
        frame_size=scale.frame_size,
        seen_xyxy=scale.seen_xyxy,
        tilt=scale.tilt,
        bend_px=scale.bend_px,
        measured_at=measured_at,
    )
