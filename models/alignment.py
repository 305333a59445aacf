"""A golden reference laid on the frame it explains: where it lies is measured and checked, never assumed.

On small grey pictures of both, every allowed shift and a few beyond are compared by normalised correlation. Phase
correlation was not taken: a periodic pattern gives it peaks beyond every limit. From there on shift, rotation, scale
and shear are refined by inverse compositional Gauss-Newton steps (Baker, Matthews: Lucas-Kanade 20 Years On, 2004,
https://doi.org/10.1023/B:VISI.0000011205.11775.fd), the more cautiously the less there is to see. The reference moves
and not the frame, so that findings lie in the frame's own pixels. A frame whose reference does not fit is an error.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detections import FloatArray
from models.errors import AlignmentError
from models.letterbox import Image
from models.spec import Alignment

Matrix = NDArray[np.float64]
Moves = NDArray[np.float64]
_SIDE_PX = 160
_MAX_REDUCTION = 8.0
_BEYOND = 1
_AS_ALIKE = 0.002
_STEPS = 5
_CLIP = 1.0
_MOVES = 6
_CAUTION = np.array([1.0, 1.0, 100.0, 100.0, 100.0, 100.0])
_RANGE_OF_SPREAD = 4
_FLAT = 1.0
_FULL = 255
_SAME = 0.01
_SAME_CONTRAST = 0.4
_BARE = 6.0
_SAME_LIGHT = 0.1
_MOVES_PX = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Where the reference lies on a frame.

    Args:
        matrix: (2, 3) float64, from reference pixels to frame pixels.
        shift_px: right and down, at the middle.
        farthest_px: how far the corner that moves most moves.
        turn_px: how far it moves by rotation, scale and shear alone.
        correlation: of the two, in [-1, 1], once laid on each other; 0 where one of them shows nothing.
        same: whether they are all but the same as they come, nothing moved; so it is with bare ones.
    """

    matrix: Matrix
    shift_px: tuple[float, float]
    farthest_px: float
    turn_px: float
    correlation: float
    same: bool


class Golden:
    """A golden reference, ready to be laid on frames, one after the other, by one thread.

    Args:
        image: (H, W, 3) uint8 BGR.
        how: what a frame must keep to; None: the reference is taken as it comes, only its size is checked.
    """

    def __init__(self, image: Image, how: Alignment | None) -> None:
        self.image = image
        self._how = how
        self._grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if _is_grey(image) else None
        self._moved: Image = np.empty_like(image)
        self._place = None if how is None else _Place(image, how.max_shift_px)

    def onto(self, frame: Image) -> Image:
        """The reference as it lies on the frame, (H, W, 3); `image` itself where nothing moves.

        The result is overwritten by the next call. Where the reference does not reach, its border is repeated: what
        lies there on the frame still differs from it, and is found.

        Raises:
            AlignmentError: the frame is of another size, too far beside the reference, or not like it.
        """
        if frame.shape != self.image.shape:
            raise AlignmentError(
                f"the reference is {_size(self.image)}, the frame {_size(frame)}: take the reference with this camera"
            )
        if self._how is None or self._place is None:
            return self.image
        fit = self._place.fit(frame)
        if why := misfit(fit, self._how):
            if fit.same:
                return self.image
            raise AlignmentError(why)
        if fit.turn_px >= _MOVES_PX:
            return self._warped(fit.matrix)
        return self._shifted(round(fit.shift_px[0]), round(fit.shift_px[1]))

    def fit(self, frame: Image) -> Fit:
        """Where the reference lies best on a frame of its size, however badly that is, within the default limits."""
        return (self._place or _Place(self.image, Alignment().max_shift_px)).fit(frame)

    def _shifted(self, right: int, down: int) -> Image:
        """By whole pixels, so that no edge gets softer."""
        if not right and not down:
            return self.image
        height, width = self.image.shape[:2]
        rows, columns = slice(max(0, -down), height - max(0, down)), slice(max(0, -right), width - max(0, right))
        border = max(0, down), max(0, -down), max(0, right), max(0, -right)
        return _filled(cv2.copyMakeBorder(self.image[rows, columns], *border, cv2.BORDER_REPLICATE, dst=self._moved))

    def _warped(self, matrix: Matrix) -> Image:
        size = self.image.shape[1], self.image.shape[0]
        if self._grey is None:
            moved = cv2.warpAffine(self.image, matrix, size, dst=self._moved, borderMode=cv2.BORDER_REPLICATE)
            return _filled(moved)
        grey = cv2.warpAffine(self._grey, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        return _filled(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR, dst=self._moved))


def misfit(fit: Fit, how: Alignment) -> str:
    """Why the reference does not explain the frame, and what to do; empty if it does."""
    if fit.correlation < how.min_correlation:
        return (
            f"the frame is like its reference by {fit.correlation:.2f}, expected {how.min_correlation:.2f} or more: "
            "another product, a moved camera, or a reference to take anew"
        )
    if fit.farthest_px > how.max_shift_px:
        return (
            f"the frame lies {fit.farthest_px:.1f} px beside its reference, expected {how.max_shift_px:g} or less: "
            "mend the fixture or take a new reference"
        )
    return ""


class _Place:
    """Finds where one reference lies on frames of its size."""

    def __init__(self, image: Image, max_shift_px: float) -> None:
        self._shape = image.shape[0], image.shape[1]
        self._reduction = min(max(1.0, max(self._shape) / _SIDE_PX), _MAX_REDUCTION)
        self._small = self._reduce(image)
        rows, columns = self._small.shape
        reach = math.ceil(max_shift_px / self._reduction) + _BEYOND
        self._reach = min(reach, (columns - 1) // 4), min(reach, (rows - 1) // 4)
        self._inside = slice(self._reach[1], rows - self._reach[1]), slice(self._reach[0], columns - self._reach[0])
        self._core = np.ascontiguousarray(self._small[self._inside])
        self._still = _standard(self._core)
        self._steep = _slopes(self._small, self._inside)
        self._caution = _CAUTION * _bareness(self._core)
        self._pressure = (self._steep @ self._steep.T).astype(np.float64) + np.diag(self._caution)

    def fit(self, frame: Image) -> Fit:
        small = self._reduce(frame)
        moved = np.zeros(_MOVES)
        moved[:2] = self._search(small)
        best, alike = moved, -math.inf
        for _ in range(_STEPS + 1):
            seen = _standard(self._under(small, moved))
            correlation = float(seen @ self._still) / seen.size
            if correlation <= alike:
                break
            best, alike = moved, correlation
            pull = self._steep @ np.clip(seen - self._still, -_CLIP, _CLIP) - self._caution * moved
            step = np.asarray(np.linalg.solve(self._pressure, pull), np.float64)
            moved = _without(moved, step, small.shape)
        return self._in_frame_pixels(_affine(best, small.shape), alike, same=_same(small, self._small))

    def _search(self, small: FloatArray) -> tuple[float, float]:
        """The whole shift, in small pixels, right and down, that looks most alike; of shifts as good, the shortest."""
        right, down = self._reach
        alike = cv2.matchTemplate(small, self._core, cv2.TM_CCOEFF_NORMED)
        rows, columns = np.nonzero(alike >= alike.max() - _AS_ALIKE)
        nearest = int(np.argmin((rows - down) ** 2 + (columns - right) ** 2))
        return float(columns[nearest] - right), float(rows[nearest] - down)

    def _under(self, small: FloatArray, moved: Moves) -> FloatArray:
        """What of the small frame lies where the reference's inside is."""
        size = small.shape[1], small.shape[0]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(small, _affine(moved, small.shape)[:2], size, flags=flags)
        return np.asarray(warped[self._inside], np.float32)

    def _in_frame_pixels(self, matrix: Matrix, correlation: float, *, same: bool) -> Fit:
        (rows, columns), (height, width) = self._small.shape, self._shape
        scale = np.diag([width / columns, height / rows, 1.0])
        scale[:2, 2] = (np.diag(scale)[:2] - 1) / 2
        whole = scale @ matrix @ np.asarray(np.linalg.inv(scale))
        middle = _middle(self._shape)
        right, down = (float(value) for value in whole[:2, :2] @ middle + whole[:2, 2] - middle)
        turn = whole.copy()
        turn[:2, 2] -= right, down
        far = _farthest(whole, self._shape), _farthest(turn, self._shape)
        return Fit(whole[:2], (right, down), *far, correlation, same)

    def _reduce(self, image: Image) -> FloatArray:
        """Grey, as small as is enough to find the place."""
        height, width = image.shape[:2]
        size = max(1, round(width / self._reduction)), max(1, round(height / self._reduction))
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _slopes(small: FloatArray, inside: tuple[slice, slice]) -> FloatArray:
    """How much brighter each of the P pixels inside gets by each of the moves, (6, P)."""
    padded = np.pad(small, 1, mode="edge") / np.float32(2 * max(float(small[inside].std()), _FLAT))
    down, right = padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]
    rows, columns = np.mgrid[: small.shape[0], : small.shape[1]].astype(np.float32)
    middle, half = _middle(small.shape), _half(small.shape)
    u, v = (columns - np.float32(middle[0])) / np.float32(half), (rows - np.float32(middle[1])) / np.float32(half)
    steep = np.stack([right, down, right * u, right * v, down * u, down * v])
    return np.ascontiguousarray(steep[:, *inside].reshape(_MOVES, -1), np.float32)


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


def _standard(values: FloatArray) -> FloatArray:
    """Flat, mean 0 and spread 1, so that light and contrast do not matter; zeros where there is no contrast."""
    mean, spread = cv2.meanStdDev(values)
    return np.ravel((values - np.float32(mean[0, 0])) / np.float32(max(spread[0, 0], _FLAT)))


def _is_grey(image: Image) -> bool:
    return bool((image[..., :1] == image[..., 1:]).all())


def _filled(moved: cv2.typing.MatLike) -> Image:
    return np.asarray(moved, np.uint8)


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
