"""A golden reference laid on the frame it explains: where it lies is measured and checked, never assumed.

Where it lies is measured by its registration. The reference moves and not the frame, so that findings lie in the
frame's own pixels. A frame whose reference does not fit is an error.
"""

import cv2
import numpy as np

from models.errors import AlignmentError
from models.letterbox import Image
from models.registration import Fit, Matrix, Registration
from models.spec import Alignment

_MOVES_PX = 0.5


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
        self._place = None if how is None else Registration(image, how.max_shift_px)

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
        return (self._place or Registration(self.image, Alignment().max_shift_px)).fit(frame)

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


def _is_grey(image: Image) -> bool:
    return bool((image[..., :1] == image[..., 1:]).all())


def _filled(moved: cv2.typing.MatLike) -> Image:
    return np.asarray(moved, np.uint8)


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
