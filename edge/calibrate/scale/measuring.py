"""How many millimetres a pixel is, measured from a printed checkerboard, a QR code of known size, or two points. Pure.

Marks of a flat target give a homography. What it says of the target's area is the scale; how it differs over the
target is the tilt, and what it does not explain is the lens. One number is then used everywhere in the picture, so its
uncertainty is how far the scale on the target lies from it, beside how well the marks are seen. How well the target was
printed is not known here: measure a board or a code with a ruler before you trust 1 %.
"""

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain.errors import ConfigError
from edge.domain.frame import Image

Points = NDArray[np.float64]
By = Literal["checkerboard", "qr", "points"]
_REFUSED_TILT, _WARNED_TILT = 0.10, 0.02
_WARNED_BEND = 0.003
_SMALLEST_MODULE_PX = 3.0
_REACH = 0.4
_CLICK_PX = 1.0
_SURE = 2.0
_PARAMETERS = 8
_STEP = 1e-3
_NEAR_PX = 10.0
_PARTS = 3
_WITHIN_A_PART = 2.0  # a lens bends with the square of the distance: at its edge a ninth differs as much again
_NO_PARTS = np.zeros(0)
_QUICK = cv2.CALIB_CB_LARGER
_THOROUGH = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_LARGER


@dataclass(frozen=True, slots=True)
class Scale:
    """What a pixel is, where that was seen, and how sure it is.

    Args:
        mm_per_px: millimetres, of the middle of the target.
        uncertainty_mm_per_px: the true one anywhere on the target lies this close, 95 % sure, if its print is true.
        by: what it was measured from.
        frame_size: (width, height) of the picture.
        seen_xyxy: where in it, in frame pixels.
        tilt: how much the scale differs over the target or between its directions, a share; None if it cannot be seen.
        bend_px: how far marks lie from where a lens without distortion shows them; None but for a board, since the
            crossings of a code's modules are seen too roughly.
        warnings: what a person should know.
    """

    mm_per_px: float
    uncertainty_mm_per_px: float
    by: By
    frame_size: tuple[int, int]
    seen_xyxy: tuple[float, float, float, float]
    tilt: float | None = None
    bend_px: float | None = None
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        share = self.uncertainty_mm_per_px / self.mm_per_px
        text = f"{self.mm_per_px:.6g} mm per pixel, give or take {share:.2%}, from {self.by}"
        seen = "" if self.tilt is None else f"; tilt {self.tilt:.1%}"
        return text + seen + ("" if self.bend_px is None else f", lens bends by {self.bend_px:.2f} px")


def from_board(image: Image, corners: tuple[int, int], square_mm: float) -> Scale:
    """From a printed checkerboard.

    Args:
        image: (H, W, 3) uint8 BGR.
        corners: inner ones, along one side and along the other.
        square_mm: side of a square.

    Raises:
        ConfigError: no board of that size, two boards, part of one, or one seen too obliquely.
    """
    _check_length(square_mm, "--square-mm")
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    marks, size = _board(grey)
    if size is None:
        raise ConfigError(
            f"the picture shows no checkerboard, expected {_by(corners)} inner corners: show the whole board with a "
            "white border, sharp and evenly lit"
        )
    if sorted(size) != sorted(corners):
        raise ConfigError(
            f"the picture shows a checkerboard of {_by(_as_asked(size, corners))} inner corners, expected "
            f"{_by(corners)}: is all of the board seen, and --checkerboard the inner corners of it?"
        )
    if _board(_without(grey, marks), _QUICK)[1] is not None:
        raise ConfigError("the picture shows two checkerboards: leave one")
    columns, rows = size
    plane = np.array([(x, y) for y in range(rows) for x in range(columns)], np.float64) * square_mm
    return _from_plane(plane, marks, "checkerboard", image, _parts(marks.reshape(rows, columns, 2), square_mm))


def from_code(image: Image, side_mm: float) -> Scale:
    """From a QR code of known size.

    Args:
        image: (H, W, 3) uint8 BGR.
        side_mm: of the printed code, without the white border.

    Raises:
        ConfigError: no code, two, one that cannot be read whole, or one seen too obliquely.
    """
    _check_length(side_mm, "--qr-mm")
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    corners, modules = _code(grey)
    plane, marks = _crossings(grey, corners, modules)
    return _from_plane(plane * (side_mm / modules.shape[0]), marks, "qr", image)


def from_points(size: tuple[int, int], points_xyxy: tuple[float, float, float, float], length_mm: float) -> Scale:
    """From two points of a picture of a size (width, height), and how far they lie apart.

    Raises:
        ConfigError: a point lies outside the picture, or both are nearly one.
    """
    _check_length(length_mm, "--mm")
    points = np.array(points_xyxy, np.float64).reshape(2, 2)
    for x, y in points:
        if not (0 <= x < size[0] and 0 <= y < size[1]):
            raise ConfigError(f"--points: {x:g},{y:g} lies outside the picture of {_by(size)} pixels")
    length_px = float(np.linalg.norm(points[1] - points[0]))
    if length_px < _NEAR_PX:
        raise ConfigError(f"--points lie {length_px:.1f} px apart, expected {_NEAR_PX:g} or more: choose farther ones")
    mm_per_px = length_mm / length_px
    share = math.sqrt(2) * _CLICK_PX / length_px
    told = ("two points show one direction alone: neither tilt nor lens distortion is seen",)
    return Scale(mm_per_px, mm_per_px * share, "points", size, _around(points), warnings=told)


def _from_plane(plane_mm: Points, marks_px: Points, by: By, image: Image, parts: Points = _NO_PARTS) -> Scale:
    homography, _ = cv2.findHomography(plane_mm, marks_px)
    if homography is None:
        raise ConfigError(f"the {by} lies in no plane that can be told: show it flat, larger and sharper")
    matrix = np.asarray(homography, np.float64)
    left = marks_px - _projected(matrix, plane_mm)
    extremes = [plane_mm.min(axis=0) * (1 - x) + plane_mm.max(axis=0) * x for x in _corners_and_middle()]
    slopes = [_slope(matrix, point) for point in extremes]
    scales = np.array([1 / math.sqrt(abs(float(np.linalg.det(slope)))) for slope in slopes])
    spans = np.linalg.svd(slopes[-1], compute_uv=False)
    mm_per_px = float(scales[-1])
    spread = float(np.abs(np.concatenate([scales - mm_per_px, _WITHIN_A_PART * (parts - mm_per_px)])).max())
    tilt = max(float(spans[0] / spans[1]) - 1, float(np.ptp(scales)) / mm_per_px)
    bend_px = float(np.linalg.norm(left, axis=1).max()) if by == "checkerboard" else None
    if tilt > _REFUSED_TILT:
        raise ConfigError(
            f"the {by} is seen obliquely: its scale differs by {tilt:.0%}, expected {_REFUSED_TILT:.0%} at most: lay "
            "it flat where the parts lie, and the camera straight above"
        )
    unsure = _SURE * mm_per_px * _mark_error(left, marks_px)
    size = image.shape[1], image.shape[0]
    told = _warnings(tilt, bend_px, marks_px)
    return Scale(mm_per_px, math.hypot(spread, unsure), by, size, _around(marks_px), tilt, bend_px, told)


def _parts(marks_px: Points, square_mm: float) -> Points:
    """Millimetres a pixel of each ninth of a board, as its own corners (R, C, 2) say: a lens makes them differ."""
    rows, columns = (np.linspace(0, count - 1, _PARTS + 1).round().astype(int) for count in marks_px.shape[:2])
    found = []
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            corners = marks_px[[top, top, bottom, bottom], [left, right, right, left]].astype(np.float32)
            area_mm2 = (bottom - top) * (right - left) * square_mm**2
            if area_mm2:
                found.append(math.sqrt(area_mm2 / cv2.contourArea(corners)))
    return np.array(found)


def _mark_error(left: Points, marks_px: Points) -> float:
    """Standard error of the scale, a share: that of one mark, over how far the marks lie about their middle.

    Neighbouring marks err alike where a lens bends, so that they count as four.
    """
    spread_px = float(np.sqrt(np.square(marks_px - marks_px.mean(axis=0)).sum(axis=1).mean()))
    count = len(marks_px)
    one_px = float(np.sqrt(np.square(left).sum() / max(1, 2 * count - _PARAMETERS)))
    return one_px / (spread_px * math.sqrt(min(count, 4)))


def _warnings(tilt: float, bend_px: float | None, marks_px: Points) -> tuple[str, ...]:
    found = []
    if tilt > _WARNED_TILT:
        found.append(f"seen obliquely: the scale differs by {tilt:.1%} over the target; areas err by twice that")
    across_px = float(np.linalg.norm(np.ptp(marks_px, axis=0)))
    if bend_px is not None and bend_px > _WARNED_BEND * across_px:
        found.append(f"the lens bends straight lines by {bend_px:.1f} px ({bend_px / across_px:.1%} of the target)")
    return tuple(found)


def _slope(matrix: Points, point: Points) -> Points:
    """(2, 2) pixels per millimetre at a point of the plane."""
    steps = np.array([[_STEP, 0], [-_STEP, 0], [0, _STEP], [0, -_STEP]])
    right, left, down, up = _projected(matrix, point + steps)
    return np.stack([right - left, down - up], axis=1) / (2 * _STEP)


def _projected(matrix: Points, points: Points) -> Points:
    whole = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(whole[:, :2] / whole[:, 2:], np.float64)


def _corners_and_middle() -> Points:
    return np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]])


def _board(grey: cv2.typing.MatLike, flags: int = _THOROUGH) -> tuple[Points, tuple[int, int] | None]:
    """The inner corners (N, 2) of the largest board that is seen, row by row, and how many along each side."""
    found, marks, meta = cv2.findChessboardCornersSBWithMeta(grey, (3, 3), flags)
    if not found:
        return np.zeros((0, 2)), None
    return np.asarray(marks, np.float64).reshape(-1, 2), (meta.shape[1], meta.shape[0])


def _without(grey: cv2.typing.MatLike, marks: Points) -> Image:
    """The picture with the board painted over, its outer squares too."""
    middle = marks.mean(axis=0)
    hull = cv2.convexHull(np.asarray(middle + 1.4 * (marks - middle), np.int32))
    covered = np.array(grey, np.uint8)
    cv2.fillConvexPoly(covered, hull, float(np.median(covered)))
    return covered


def _code(grey: Image) -> tuple[Points, Image]:
    """The corners (4, 2) of the one code that is seen, from top left on, and its modules (N, N), 0 or 255."""
    detector = cv2.QRCodeDetector()
    found, corners = detector.detectMulti(grey)
    if not found:
        raise ConfigError("the picture shows no QR code: show one with its white border, sharp and evenly lit")
    if len(corners) > 1:
        raise ConfigError(f"the picture shows {len(corners)} QR codes: leave one")
    text, modules = detector.decode(grey, corners[0][None])
    if not text or modules is None:
        raise ConfigError("the QR code cannot be read, so its corners cannot be trusted: print it anew, whole and flat")
    return np.asarray(corners[0], np.float64), np.asarray(modules, np.uint8)


def _crossings(grey: Image, corners: Points, modules: Image) -> tuple[Points, Points]:
    """Where dark and light modules meet crosswise, (N, 2) in modules and (N, 2) in the picture, as exactly as it shows.

    Raises:
        ConfigError: too few of them are seen sharply enough.
    """
    count = modules.shape[0]
    first, across, down, aslant = modules[:-1, :-1], modules[:-1, 1:], modules[1:, :-1], modules[1:, 1:]
    rows, columns = np.nonzero((first == aslant) & (across == down) & (first != across))
    plane = np.column_stack([columns, rows]).astype(np.float64) + 1
    ends = np.array([(0, 0), (count, 0), (count, count), (0, count)], np.float64)
    start, _ = cv2.findHomography(ends, corners)
    module_px = float(np.mean(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1))) / count
    if start is None or module_px < _SMALLEST_MODULE_PX or len(plane) * 2 <= _PARAMETERS:
        raise ConfigError(
            f"the QR code's modules are {module_px:.1f} px wide, expected {_SMALLEST_MODULE_PX:g} or more: show "
            "it larger"
        )
    reach = max(1, round(module_px * _REACH))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    guessed = _projected(np.asarray(start, np.float64), plane).astype(np.float32).reshape(-1, 1, 2)
    marks = guessed.copy()
    for _ in range(2):  # the detector's corners are a pixel or two off: the second start lies nearer
        marks = np.asarray(cv2.cornerSubPix(grey, guessed.copy(), (reach, reach), (-1, -1), criteria), np.float32)
        better, _ = cv2.findHomography(plane, marks.reshape(-1, 2).astype(np.float64), cv2.RANSAC, module_px / 4)
        guessed = _projected(np.asarray(better, np.float64), plane).astype(np.float32).reshape(-1, 1, 2)
    near = np.linalg.norm((marks - guessed).reshape(-1, 2), axis=1) < module_px / 4
    return plane[near], marks.reshape(-1, 2)[near].astype(np.float64)


def _around(points: Points) -> tuple[float, float, float, float]:
    left, top = (round(float(value), 1) for value in points.min(axis=0))
    right, bottom = (round(float(value), 1) for value in points.max(axis=0))
    return left, top, right, bottom


def _check_length(length_mm: float, option: str) -> None:
    if not (math.isfinite(length_mm) and length_mm > 0):
        raise ConfigError(f"{option} is a length in millimetres above 0, got {length_mm}")


def _as_asked(size: tuple[int, int], corners: tuple[int, int]) -> tuple[int, int]:
    """The longer side first where it was asked so."""
    return (max(size), min(size)) if corners[0] >= corners[1] else (min(size), max(size))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
