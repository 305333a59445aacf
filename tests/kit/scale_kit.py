"""Printed boards and codes as a camera of a known scale sees them: turned, oblique, softened, noisy, bent."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (640, 480)
SQUARE_MM, CODE_MM = 5.0, 20.0
PAPER_PX_MM = 8
WORDS = "INSPECTD"
Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]


def board(columns: int = 9, rows: int = 6) -> Picture:
    """A printed board of so many inner corners, 8 px a millimetre, and its white border."""
    squares = np.indices((rows + 1, columns + 1)).sum(axis=0) % 2 * 255
    side = round(SQUARE_MM * PAPER_PX_MM)
    return bordered(np.kron(squares, np.ones((side, side))).astype(np.uint8))


def code() -> Picture:
    """A printed QR code, 20 mm wide."""
    modules = cv2.QRCodeEncoder.create().encode(WORDS)[2:-2, 2:-2]
    side = round(CODE_MM * PAPER_PX_MM)
    return bordered(np.asarray(cv2.resize(modules, (side, side), interpolation=cv2.INTER_NEAREST), np.uint8))


def bordered(paper: Picture, px: int = 50) -> Picture:
    return np.asarray(cv2.copyMakeBorder(paper, px, px, px, px, cv2.BORDER_CONSTANT, value=255), np.uint8)


def view(paper: Picture, mm_per_px: float, turn_deg: float, oblique: float) -> Matrix:
    """From the paper's pixels to a camera's: turned, and nearer on the right by this share over the picture's width."""
    height, width = paper.shape[:2]
    scale = 1 / (PAPER_PX_MM * mm_per_px)
    to_middle = np.array([[1, 0, 0.5 - width / 2], [0, 1, 0.5 - height / 2], [0, 0, 1]])
    angle = math.radians(turn_deg)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    leaning = np.array([[1, 0, 0], [0, 1, 0], [-oblique / SIZE[0], 0, 1]])
    placed = np.array([[1, 0, SIZE[0] / 2 - 0.5], [0, 1, SIZE[1] / 2 - 0.5], [0, 0, 1]])
    return placed @ leaning @ turned @ to_middle


def taken(
    paper: Picture,
    mm_per_px: float = 0.12,
    turn_deg: float = 0.0,
    oblique: float = 0.0,
    seed: int = 0,
    *,
    blur_px: float = 0.7,
    noise: float = 4,
) -> Picture:
    """A camera's picture, softened and noisy; drawn three times as large and reduced, so that edges are true."""
    matrix = view(paper, mm_per_px, turn_deg, oblique)
    larger = np.array([[3, 0, 1], [0, 3, 1], [0, 0, 1]]) @ matrix
    drawn = cv2.warpPerspective(paper, larger, (SIZE[0] * 3, SIZE[1] * 3), borderValue=225)
    small = cv2.GaussianBlur(cv2.resize(drawn, SIZE, interpolation=cv2.INTER_AREA), (0, 0), blur_px)
    grain = np.random.default_rng(seed).normal(0, noise, small.shape)
    return np.dstack([np.clip(small * 0.7 + 30 + grain, 0, 255).astype(np.uint8)] * 3)


def bent(image: Picture, strength: float) -> Picture:
    """As a lens with barrel or pincushion distortion shows it."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    half = SIZE[0] / 2
    u, v = (columns - half) / half, (rows - SIZE[1] / 2) / half
    longer = 1 + strength * (u * u + v * v)
    where = half + u * longer * half, SIZE[1] / 2 + v * longer * half
    return np.asarray(cv2.remap(image, *(one.astype(np.float32) for one in where), cv2.INTER_LINEAR), np.uint8)
