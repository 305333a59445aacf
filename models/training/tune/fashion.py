"""Fashion-MNIST from its four idx files, as Debian's package `dataset-fashion-mnist` or the authors ship them.

Source: Xiao, Rasul, Vollgraf 2017, https://arxiv.org/abs/1708.07747; the idx format is that of MNIST's page.
"""

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.dataset.errors import DatasetError

FOLDER = Path("/usr/share/datasets/fashion-mnist")
_UBYTE = 0x08
_MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Fashion:
    """Images (N, 28, 28) uint8 and labels (N,) uint8, to learn from and to test with."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def read_fashion(folder: Path = FOLDER) -> Fashion:
    """The dataset in this folder.

    Raises:
        DatasetError: a file is missing, damaged or not what its name says.
    """
    parts = [
        _read(_find(folder, f"{split}-{what}"), 3 if what.startswith("images") else 1)
        for split in ("train", "t10k")
        for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    for images, labels in (parts[:2], parts[2:]):
        if len(images) != len(labels) or not len(images):
            raise DatasetError(f"tune: {folder} holds {len(images)} images for {len(labels)} labels: restore the files")
    return Fashion(*parts)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DatasetError(
        f"tune: {folder} has no {name}[.gz]: install Debian's package dataset-fashion-mnist or give --data"
    )


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        raw = _unpacked(path)
        zero, kind, found = struct.unpack_from(">HBB", raw)
        shape = struct.unpack_from(f">{found}I", raw, 4)
        values = np.frombuffer(raw, np.uint8, offset=4 + 4 * found)
    except (OSError, EOFError, struct.error, ValueError) as fault:
        raise DatasetError(f"tune: {path} cannot be read ({fault}): restore it") from fault
    if (zero, kind, found) != (0, _UBYTE, dimensions) or len(values) != int(np.prod(shape)):
        raise DatasetError(f"tune: {path} is no idx file of {dimensions} dimensions, or is not whole: restore it")
    return values.reshape(shape)


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return bytes(file.read(_MAX_BYTES))
