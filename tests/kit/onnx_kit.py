"""A file as ONNX exporters write it, byte by byte: what the station reads needs no onnx package, nor do the tests.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from foreign_kit import SIDE, SQUARE, STEP, centred, squares

_VARINT, _BYTES = 0, 2
_FLOAT, _INT64 = 1, 7


def write_yolo8_onnx(path: Path, *, open_sizes: bool = False, kernel_file: str = "") -> Path:
    """The graph of `foreign_kit.yolo8`: images (1, 3, 64, 64) to output0 (1, 6, N), one weight perhaps elsewhere."""
    contrast = np.array([[1, -0.5, -0.5], [-0.5, -0.5, 1]], np.float32)[:, :, None, None]
    boxes = np.ascontiguousarray(centred(squares(STEP)).T)[None]
    constants = {
        "kernel": contrast,
        "flat": np.array([1, 2, -1], np.int64),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "centres": boxes,
    }
    nodes = [
        _node("Conv", ["images", "kernel"], "contrast"),
        _node("Relu", ["contrast"], "above"),
        _node("AveragePool", ["above"], "pooled", kernel_shape=[SQUARE] * 2, strides=[STEP] * 2),
        _node("Reshape", ["pooled", "flat"], "rows"),
        _node("Clip", ["rows", "zero", "one"], "likely"),
        _node("Concat", ["centres", "likely"], "output0", axis=1),
    ]
    side: int | str = "side" if open_sizes else SIDE
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"theirs")
    if kernel_file:
        graph += _field(5, _elsewhere("kernel", constants.pop("kernel"), kernel_file))
    graph += b"".join(_field(5, _tensor(name, value)) for name, value in constants.items())
    graph += _field(11, _value("images", ["batch" if open_sizes else 1, 3, side, side]))
    graph += _field(12, _value("output0", [1, 6, boxes.shape[2]]))
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 13)))
    return path


def _node(kind: str, inputs: list[str], output: str, **attributes: int | list[int]) -> bytes:
    named = b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode())
    given = b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())
    return named + _field(4, kind.encode()) + given


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name.encode()) + _number(3, value) + _number(20, 2)
    return _field(1, name.encode()) + b"".join(_number(8, one) for one in value) + _number(20, 7)


def _tensor(name: str, value: np.ndarray[Any, Any]) -> bytes:
    kind = _FLOAT if value.dtype == np.float32 else _INT64
    sides = b"".join(_number(1, side) for side in value.shape)
    return sides + _number(2, kind) + _field(8, name.encode()) + _field(9, value.tobytes())


def _elsewhere(name: str, value: np.ndarray[Any, Any], file: str) -> bytes:
    """A tensor whose values a file beside the model holds, or one anywhere, as a hostile model says."""
    sides = b"".join(_number(1, side) for side in value.shape)
    where = {"location": file, "offset": "0", "length": str(value.nbytes)}
    entries = (_field(1, key.encode()) + _field(2, text.encode()) for key, text in where.items())
    return (
        sides
        + _number(2, _FLOAT)
        + _field(8, name.encode())
        + b"".join(_field(13, one) for one in entries)
        + _number(14, 1)
    )


def _value(name: str, sides: list[int | str]) -> bytes:
    shape = b"".join(
        _field(1, _number(1, side) if isinstance(side, int) else _field(2, side.encode())) for side in sides
    )
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, _FLOAT) + _field(2, shape)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return struct.pack(f"{len(parts) + 1}B", *parts, value)
