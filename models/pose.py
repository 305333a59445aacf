"""Frames laid on a reference before a model looks, so that a place of its input is the same place of every part.

A model that compares each place with what is usual there takes a part that lies 5 px or 3 degrees off for defective.
How a frame lies is measured on small grey pictures and goes into the one resize there is: the pixels are touched once.
"""

from dataclasses import replace

import cv2
import numpy as np

from models.alignment import misfit
from models.detections import Affine
from models.errors import AlignmentError
from models.letterbox import Image, Placement, placement
from models.registration import RIGID, Fit, Matrix, Registration, resized
from models.spec import Alignment, InputSpec


class Pose:
    """Says how frames lie beside a reference; keeps nothing of a frame, so that any thread may ask.

    Args:
        reference: (H, W, 3) uint8 BGR.
        how: what a frame must keep to.
        spec: the input that frames are laid into; its place for a frame is that of the reference.
    """

    def __init__(self, reference: Image, how: Alignment, spec: InputSpec) -> None:
        self.reference = reference
        self.how = how
        self._size = reference.shape[1], reference.shape[0]
        self._registration = Registration(reference, how.max_shift_px, RIGID)
        self._upright = self._with_beyond(placement(*self._size, spec))
        self._to_reference = resized((self._upright.width, self._upright.height), self._size)

    def place(self, image: Image) -> Placement:
        """Where an image (H, W, 3) goes in the input, so that its part lies as the reference's does.

        Raises:
            AlignmentError: it is too far beside the reference, or not like it.
        """
        size = image.shape[1], image.shape[0]
        return replace(
            self._upright,
            frame_width=size[0],
            frame_height=size[1],
            to_frame=_affine(self._onto(image) @ self._to_reference),
        )

    def laid(self, image: Image) -> Image:
        """The image as it lies on the reference, at the reference's size. Raises AlignmentError as `place`."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(image, self._onto(image)[:2], self._size, flags=flags, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )

    def fit(self, image: Image) -> Fit:
        """How the reference lies on an image stretched to its size, however badly that is."""
        return self._registration.fit(image)

    def _with_beyond(self, place: Placement) -> Placement:
        size = place.width, place.height
        return replace(
            place, beyond=np.asarray(cv2.resize(self.reference, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        )

    def _onto(self, image: Image) -> Matrix:
        """(3, 3) from the reference's pixels to the image's.

        That a picture is all but the same as the reference, `Fit.same`, excuses nothing here: of a small or faint part
        so is one without it. References that show too little to lay parts on never become a pose.
        """
        fit, stretch = self.fit(image), resized(self._size, (image.shape[1], image.shape[0]))
        if why := misfit(fit, self.how):
            raise AlignmentError(why)
        return np.asarray(stretch @ np.vstack([fit.matrix, [0, 0, 1]]), np.float64)


def place_of(image: Image, spec: InputSpec, pose: Pose | None) -> Placement:
    """Where an image goes in a model's input: by its size alone, or laid on a reference. Raises AlignmentError."""
    return placement(image.shape[1], image.shape[0], spec) if pose is None else pose.place(image)


def _affine(matrix: Matrix) -> Affine:
    (a, b, c), (d, e, f) = ((float(value) for value in row) for row in matrix[:2])
    return (a, b, c), (d, e, f)
