"""Codes on frames: QR codes made by OpenCV's encoder, EAN-13 drawn by rule, laid on askew and out of focus."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_LEFT = ["0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011"]
_MIXED = ["LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL"]
_NOISE = 2.0


@dataclass(frozen=True)
class Laid:
    """How a code lies on the frame: turned, narrowed towards its foot, out of focus."""

    turn_deg: float = 0
    narrow: float = 0
    blur_px: float = 0


def qr(text: str, side_px: int = 160) -> Image:
    """A QR code with its quiet zone, about `side_px` wide without it."""
    modules = np.asarray(cv2.QRCodeEncoder.create().encode(text), np.uint8)
    scale = max(1, round(side_px / len(modules)))
    return np.pad(np.kron(modules, np.ones((scale, scale), np.uint8)), 4 * scale, constant_values=255)


def ean13(digits: str, module_px: int = 3) -> tuple[str, Image]:
    """(all 13 digits, picture) of an EAN-13 from its first 12."""
    check = -sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10
    whole = f"{digits}{check}"
    right = ["".join("10"[int(bit)] for bit in code) for code in _LEFT]
    mixed = [code[::-1] for code in right]
    first = (_LEFT if set_ == "L" else mixed for set_ in _MIXED[int(whole[0])])
    bits = "101" + "".join(code[int(digit)] for code, digit in zip(first, whole[1:7], strict=True))
    bits += "01010" + "".join(right[int(digit)] for digit in whole[7:]) + "101"
    row = np.repeat([255 * (bit == "0") for bit in "0" * 11 + bits + "0" * 11], module_px).astype(np.uint8)
    return whole, np.pad(np.tile(row, (120, 1)), ((20, 20), (0, 0)), constant_values=255)


def laid_on(frame: Image, code: Image, centre: tuple[int, int], how: Laid = Laid(), seed: int = 0) -> Image:
    """The frame with the code on it, as a camera with some noise sees it."""
    height, width = code.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    placed = corners - (width / 2, height / 2)
    placed[2:, 0] *= 1 - how.narrow
    turn = np.deg2rad(how.turn_deg)
    turned = placed @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + centre
    warp = cv2.getPerspectiveTransform(corners, turned.astype(np.float32))
    size = frame.shape[1], frame.shape[0]
    ink = cv2.warpPerspective(code, warp, size, flags=cv2.INTER_AREA)
    where = cv2.warpPerspective(np.full_like(code, 255), warp, size) > 127
    made = frame.copy()
    made[where] = np.clip(ink[where], 25, 230)[:, None]
    if how.blur_px:
        made = np.asarray(cv2.GaussianBlur(made, (0, 0), how.blur_px), np.uint8)
    noise = np.random.default_rng(seed).normal(0, _NOISE, made.shape[:2])[..., None]
    return np.asarray(np.clip(made + noise, 0, 255), np.uint8)
