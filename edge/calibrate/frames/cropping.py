"""Stored pictures brought to what the camera's roi leaves, so that a folder teaches what the station will see."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.calibrate.frames.picture_files import write_picture
from edge.capture.roi import Roi, Size, cut, fitting, whole_size
from edge.config import CameraSection
from edge.config_looks import size_of
from edge.domain.frame import Image
from models.dataset import image_files

_SAMPLED = 40


@dataclass(frozen=True, slots=True)
class Cropping:
    """A camera's roi, and the folder in which the pictures that were cut by it are kept.

    Args:
        roi: left, top, right, bottom in pixels of whole pictures.
        folder: for the cut pictures; made when it is needed. They may be written again and again.
    """

    roi: Roi
    folder: Path

    def whole(self, files: Sequence[Path]) -> Size | None:
        """The size of the whole pictures among these files, by some of them."""
        some = files[:: max(1, len(files) // _SAMPLED)]
        return whole_size([size for file in some if (size := image_files.size_of(file)) is not None], self.roi)

    def apply(self, file: Path, image: Image, whole: Size | None) -> tuple[Path, Image] | str:
        """The picture that teaches and its file, or why it cannot. Raises StorageError."""
        size = image.shape[1], image.shape[0]
        match fitting(size, self.roi, whole):
            case "as it is":
                return file, image
            case "cut":
                part = np.ascontiguousarray(cut(image, self.roi, "frames"))
                return write_picture(self.folder / _png_name(file), part), part
            case "refused":
                width, height = size_of(self.roi)
                wanted = f"{width}x{height} of the camera's roi" + (f" or whole {whole[0]}x{whole[1]}" if whole else "")
                return f"size: {size[0]}x{size[1]} pixels, expected {wanted}"


def _png_name(file: Path) -> str:
    """The cut picture's name: the file's own, so that reports name what the folder holds."""
    return file.name if file.suffix == ".png" else f"{file.name}.png"


def cropping_of(camera: CameraSection, folder: Path) -> Cropping | None:
    """How stored pictures of a camera are cut, the cut ones kept in `folder`; None where it has no roi."""
    return None if camera.roi is None else Cropping(camera.roi, folder)
