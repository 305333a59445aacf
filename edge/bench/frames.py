"""What the measured cameras show: the bundle's own frames or a folder's, as bitmaps: no camera decodes files."""

from dataclasses import dataclass
from pathlib import Path

import cv2

from edge.capture.replay import image_files
from edge.capture.roi import Roi, as_seen
from edge.domain.errors import CameraError, ConfigError, StorageError
from models.bundle import Bundle
from models.scoring import read_image

_MOST_FRAMES = 64
_MOST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Frames:
    """Bitmaps in a folder.

    Args:
        folder: holds them.
        source: where they are from.
        count: how many.
        size: width and height of the first, in pixels.
        reference: the golden reference that belongs to them; None: the product's own.
    """

    folder: Path
    source: str
    count: int
    size: tuple[int, int]
    reference: Path | None = None

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {"source": self.source, "count": self.count, "size": list(self.size)}


def prepare_frames(bundle: Bundle, source: Path | None, folder: Path, roi: Roi | None = None) -> Frames:
    """Write frames as bitmaps.

    Args:
        bundle: whose self-test frames are taken where no source is given.
        source: a folder of images; at most 64 of them, 256 MiB as bitmaps, are taken.
        folder: made; where they go.
        roi: of the camera that took the source's, which are cut by it.

    Raises:
        ConfigError: there is no image in the source.
        ModelError: an image cannot be read.
        StorageError: the folder cannot be written.
    """
    if source is not None:
        return _written(_listed(source), folder, str(source), roi=roi)
    cases = [case for case in bundle.selftest if case.reference == bundle.selftest[0].reference]
    files = [case.frame for case in cases]
    return _written(files, folder, "the bundle's self-test", reference=cases[0].reference)


def _listed(source: Path) -> list[Path]:
    try:
        return image_files(source)[:_MOST_FRAMES]
    except CameraError as error:
        raise ConfigError(f"bench: {error}: name a folder of images with --from") from error


def _written(
    files: list[Path], folder: Path, source: str, *, reference: Path | None = None, roi: Roi | None = None
) -> Frames:
    folder.mkdir(parents=True)
    left_bytes, count, size = _MOST_BYTES, 0, (0, 0)
    for file in files:
        image = as_seen(read_image(file), roi)
        left_bytes -= image.nbytes
        if count and left_bytes < 0:
            break
        size = size if count else (image.shape[1], image.shape[0])
        count += 1
        if not cv2.imwrite(str(folder / f"{count:06d}.bmp"), image):
            raise StorageError(f"cannot write bitmaps into {folder}: is the disk full?")
    return Frames(folder, source, count, size, reference)
