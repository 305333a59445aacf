"""Where a reference picture lies on a frame, measured on small grey pictures of both.

Every allowed shift and a few beyond, and where parts turn every allowed turn too, are compared by normalised
correlation. Phase correlation was not taken: a periodic pattern gives it peaks beyond every limit. From there on what
may change is refined by inverse compositional Gauss-Newton steps (Baker, Matthews: Lucas-Kanade 20 Years On, 2004,
https://doi.org/10.1023/B:VISI.0000011205.11775.fd), the more cautiously the less there is to see.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detections import FloatArray
from models.letterbox import Image

Matrix = NDArray[np.float64]
Moves = NDArray[np.float64]
_SIDE_PX = 160
_COARSE_SIDE_PX = 100
_MAX_REDUCTION = 8.0
_BEYOND = 1
_AS_ALIKE = 0.002
_STEPS = 5
_CLIP = 1.0
_RANGE_OF_SPREAD = 4
_FLAT = 1.0
_FULL = 255
_SAME = 0.01
_SAME_CONTRAST = 0.4
_BARE = 6.0
_SAME_LIGHT = 0.1
_TURN_STEP_PX = 1.5
_SLOW = 6


@dataclass(frozen=True, slots=True, eq=False)
class Freedom:
    """How a picture may lie on another.

    Args:
        ways: (K, 6), across each other, of the moves that `_affine` makes a matrix of.
        caution: (K,) how much must be seen before each way is believed.
        turns: whether all turns within the limit are tried before anything is refined.
        flattened: whether slow changes of brightness are taken away first, which differ from part to part and pull.
    """

    ways: FloatArray
    caution: Moves
    turns: bool
    flattened: bool

    def told(self, moved: Moves) -> Moves:
        """(K,) how far these moves (6,) go each way; but for rounding they go no other."""
        norms = np.square(self.ways).sum(1).astype(np.float64)
        return np.asarray(self.ways.astype(np.float64) @ moved / norms, np.float64)


_CAUTIOUS = np.array([1.0, 1.0, 100.0, 100.0, 100.0, 100.0])
AFFINE = Freedom(np.eye(6, dtype=np.float32), _CAUTIOUS, turns=False, flattened=False)
_RIGID = [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, -1, 1, 0], [0, 0, 1, 0, 0, 1]]
RIGID = Freedom(np.array(_RIGID, np.float32), np.array([1.0, 1.0, 1.0, 10.0]), turns=True, flattened=True)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Where the reference lies on a frame.

    Args:
        matrix: (2, 3) float64, from reference pixels to frame pixels.
        shift_px: right and down, at the middle.
        farthest_px: how far the corner that moves most moves.
        turn_px: how far it moves by rotation, scale and shear alone.
        correlation: of the two, in [-1, 1], once laid on each other; 0 where one of them shows nothing.
        before: their correlation as they come, nothing moved.
        same: whether they are all but the same as they come, nothing moved; so it is with bare ones.
    """

    matrix: Matrix
    shift_px: tuple[float, float]
    farthest_px: float
    turn_px: float
    correlation: float
    before: float
    same: bool


class Registration:
    """Finds where one reference lies on frames; those of another size are taken as stretched to its size.

    Args:
        image: the reference, (H, W, 3) uint8 BGR.
        max_shift_px: how far any point of a frame may lie from its place; what lies farther may not be found.
        freedom: how frames may lie.
    """

    def __init__(self, image: Image, max_shift_px: float, freedom: Freedom = AFFINE) -> None:
        self._shape = image.shape[0], image.shape[1]
        self._freedom = freedom
        self._reduction = min(max(1.0, max(self._shape) / _SIDE_PX), _MAX_REDUCTION)
        self._small = self._reduce(image)
        self._inside = _inside(self._small.shape, _reach(self._small.shape, max_shift_px / self._reduction))
        core = np.ascontiguousarray(self._small[self._inside])
        self._still = _standard(core)
        self._steep = np.ascontiguousarray(freedom.ways @ _slopes(self._small, self._inside))
        self._caution = freedom.caution * _bareness(core)
        self._pressure = (self._steep @ self._steep.T).astype(np.float64) + np.diag(self._caution)
        self._search = _Search(self._small, max_shift_px / self._reduction, freedom)

    def fit(self, frame: Image) -> Fit:
        """Where the reference lies best on a frame, however badly that is."""
        small = self._reduce(frame)
        moved = self._search.start(small)
        best, alike = moved, -math.inf
        for _ in range(_STEPS + 1):
            seen = _standard(self._under(small, moved))
            correlation = float(seen @ self._still) / seen.size
            if correlation <= alike:
                break
            best, alike = moved, correlation
            moved = _without(moved, self._step(seen, moved), small.shape)
        before = float(_standard(np.ascontiguousarray(small[self._inside])) @ self._still) / self._still.size
        where = self._in_frame_pixels(_affine(best, small.shape))
        return Fit(*where, alike, before, _same(small, self._small))

    def _step(self, seen: FloatArray, moved: Moves) -> Moves:
        """How far and which way the frame pulls, as six moves."""
        seen_pull = self._steep @ np.clip(seen - self._still, -_CLIP, _CLIP)
        pull = seen_pull - self._caution * self._freedom.told(moved)
        return np.asarray(self._freedom.ways.T @ np.linalg.solve(self._pressure, pull), np.float64)

    def _under(self, small: FloatArray, moved: Moves) -> FloatArray:
        """What of the small frame lies where the reference's inside is."""
        size = small.shape[1], small.shape[0]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(small, _affine(moved, small.shape)[:2], size, flags=flags)
        return np.asarray(warped[self._inside], np.float32)

    def _in_frame_pixels(self, matrix: Matrix) -> tuple[Matrix, tuple[float, float], float, float]:
        """The matrix between frame pixels, the shift, and how far the farthest corner moves: in all, and turned."""
        (rows, columns), (height, width) = self._small.shape, self._shape
        scale = resized((columns, rows), (width, height))
        whole = scale @ matrix @ np.asarray(np.linalg.inv(scale))
        middle = _middle(self._shape)
        right, down = (float(value) for value in whole[:2, :2] @ middle + whole[:2, 2] - middle)
        turn = whole.copy()
        turn[:2, 2] -= right, down
        return whole[:2], (right, down), _farthest(whole, self._shape), _farthest(turn, self._shape)

    def _reduce(self, image: Image) -> FloatArray:
        """Grey, as small as is enough to find the place, and of one size."""
        height, width = self._shape
        size = max(1, round(width / self._reduction)), max(1, round(height / self._reduction))
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
        return _flat(small) if self._freedom.flattened else small


class _Search:
    """The whole shift, and where parts turn the turn, from which a refinement finds the rest."""

    def __init__(self, small: FloatArray, limit_px: float, freedom: Freedom) -> None:
        self._reduction = max(1.0, max(small.shape) / _COARSE_SIDE_PX) if freedom.turns else 1.0
        self._shape = small.shape
        coarse = self._reduce(small)
        self._reach = _reach(coarse.shape, limit_px / self._reduction)
        inside = _inside(coarse.shape, self._reach)
        turns = _turns(coarse.shape, limit_px / self._reduction) if freedom.turns else [np.zeros(6)]
        self._cores = [(moved, _moved_core(coarse, moved, inside)) for moved in turns]

    def start(self, small: FloatArray) -> Moves:
        """The moves, in small pixels, that look most alike; of turns the best, of shifts as good the shortest."""
        coarse = self._reduce(small)
        found = [(cv2.matchTemplate(coarse, core, cv2.TM_CCOEFF_NORMED), turn) for turn, core in self._cores]
        alike, turn = max(found, key=lambda one: float(one[0].max()))
        right, down = self._reach
        rows, columns = np.nonzero(alike >= alike.max() - _AS_ALIKE)
        nearest = int(np.argmin((rows - down) ** 2 + (columns - right) ** 2))
        moved = turn.copy()
        moved[:2] = float(columns[nearest] - right), float(rows[nearest] - down)
        return moved * self._reduction

    def _reduce(self, small: FloatArray) -> FloatArray:
        if self._reduction == 1:
            return small
        size = tuple(max(1, round(side / self._reduction)) for side in reversed(self._shape))
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.float32)


def resized(own: tuple[int, int], other: tuple[int, int]) -> Matrix:
    """(3, 3) from the pixels of a picture of one size (width, height) to those of the same picture of another."""
    scale = np.diag([other[0] / own[0], other[1] / own[1], 1.0])
    scale[:2, 2] = (np.diag(scale)[:2] - 1) / 2
    return scale


def _reach(shape: tuple[int, ...], limit_px: float) -> tuple[int, int]:
    """How far right and down is looked."""
    reach = math.ceil(limit_px) + _BEYOND
    return min(reach, (shape[1] - 1) // 4), min(reach, (shape[0] - 1) // 4)


def _inside(shape: tuple[int, ...], reach: tuple[int, int]) -> tuple[slice, slice]:
    return slice(reach[1], shape[0] - reach[1]), slice(reach[0], shape[1] - reach[0])


def _turns(shape: tuple[int, ...], limit_px: float) -> list[Moves]:
    """Turns about the middle that carry a corner no farther than the limit, none first."""
    corner_px = max(1.0, math.hypot(*shape) / 2)
    count = int(limit_px / _TURN_STEP_PX)
    angles = [sign * step * _TURN_STEP_PX / corner_px for step in range(1, count + 1) for sign in (-1, 1)]
    half = _half(shape)
    return [np.array([0, 0, math.cos(a) - 1, -math.sin(a), math.sin(a), math.cos(a) - 1]) * half for a in (0, *angles)]


def _moved_core(coarse: FloatArray, moved: Moves, inside: tuple[slice, slice]) -> FloatArray:
    if not moved.any():
        return np.ascontiguousarray(coarse[inside])
    size = coarse.shape[1], coarse.shape[0]
    turned = cv2.warpAffine(coarse, _affine(moved, coarse.shape)[:2], size, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(np.asarray(turned, np.float32)[inside])


def _slopes(small: FloatArray, inside: tuple[slice, slice]) -> FloatArray:
    """How much brighter each of the P pixels inside gets by each of the moves, (6, P)."""
    padded = np.pad(small, 1, mode="edge") / np.float32(2 * max(float(small[inside].std()), _FLAT))
    down, right = padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]
    rows, columns = np.mgrid[: small.shape[0], : small.shape[1]].astype(np.float32)
    middle, half = _middle(small.shape), _half(small.shape)
    u, v = (columns - np.float32(middle[0])) / np.float32(half), (rows - np.float32(middle[1])) / np.float32(half)
    steep = np.stack([right, down, right * u, right * v, down * u, down * v])
    return np.ascontiguousarray(steep[:, *inside].reshape(len(steep), -1), np.float32)


def _affine(moved: Moves, shape: tuple[int, ...]) -> Matrix:
    """Moves as a 3 x 3 matrix: right, down, and how much more of each at half the longer side right and down."""
    matrix, middle = np.eye(3), _middle(shape)
    matrix[:2, :2] += moved[2:].reshape(2, 2) / _half(shape)
    matrix[:2, 2] = moved[:2] + middle - matrix[:2, :2] @ middle
    return matrix


def _moves(matrix: Matrix, shape: tuple[int, ...]) -> Moves:
    """The moves that `_affine` makes this matrix of."""
    turn = matrix[:2, :2] - np.eye(2)
    return np.concatenate([matrix[:2, 2] + turn @ _middle(shape), turn.ravel() * _half(shape)])


def _without(moved: Moves, step: Moves, shape: tuple[int, ...]) -> Moves:
    """The moves that lead where these do from where the step leads."""
    return _moves(_affine(moved, shape) @ np.asarray(np.linalg.inv(_affine(step, shape))), shape)


def _middle(shape: tuple[int, ...]) -> Matrix:
    return np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])


def _half(shape: tuple[int, ...]) -> float:
    return max(1.0, (max(shape) - 1) / 2)


def _farthest(matrix: Matrix, shape: tuple[int, int]) -> float:
    """How far the corner that moves most moves."""
    height, width = shape
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]]).T
    return float(np.linalg.norm((matrix @ corners - corners)[:2], axis=0).max())


def _bareness(small: FloatArray) -> float:
    """How little there is to see for its contrast: 1 for a picture full of edges, more for one with a spot or two."""
    return max(1.0, float((np.ptp(small) / _RANGE_OF_SPREAD / max(float(small.std()), _FLAT)) ** 2))


def _same(frame: FloatArray, reference: FloatArray) -> bool:
    """Whether they differ by next to nothing but a little light.

    Next to nothing is little of the reference's own contrast too, unless it is bare: a frame without its part, or with
    the part elsewhere, differs by half of that contrast or more.
    """
    light = float((frame - reference).mean())
    apart = _unevenness(frame - reference)
    bare = float(reference.std()) <= _BARE
    little = bare or apart <= _SAME_CONTRAST * _unevenness(reference)
    return abs(light) <= _SAME_LIGHT * _FULL and apart <= _SAME * _FULL and little


def _unevenness(values: FloatArray) -> float:
    """Mean distance from the mean."""
    return float(np.abs(values - np.float32(values.mean())).mean())


def _flat(small: FloatArray) -> FloatArray:
    """Without what changes slowly."""
    side = max(small.shape) // _SLOW | 1
    return np.asarray(small - cv2.blur(small, (side, side)), np.float32)


def _standard(values: FloatArray) -> FloatArray:
    """Flat, mean 0 and spread 1, so that light and contrast do not matter; zeros where there is no contrast."""
    mean, spread = cv2.meanStdDev(values)
    return np.ravel((values - np.float32(mean[0, 0])) / np.float32(max(spread[0, 0], _FLAT)))
