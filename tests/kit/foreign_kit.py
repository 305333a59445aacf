"""Detectors as others export them, whose right answer is known: red and blue squares of eight pixels on 64 x 64.

The probability of red at a place is how much redder than green and blue its 8 x 8 pixels are, 0 to 1; likewise blue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops

SIDE, SQUARE, STEP = 64, 8, 2
CLASSES = ("red", "blue")
RED, BLUE = (0, 0, 255), (255, 0, 0)
PALE = (102, 102, 204)  # redder than grey by 0.4
Picture = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Wants:
    """What a network's input looks like."""

    layout: str = "NCHW"
    colour: str = "rgb"
    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (255.0,)
    element: str = "f32"
    sizes: tuple[int, ...] | None = None

    def toml(self) -> str:
        """The head's section that says so."""
        lists = f"mean = {_numbers(self.mean)}\nscale = {_numbers(self.scale)}\n"
        return f'[input]\nlayout = "{self.layout}"\ncolour = "{self.colour}"\n{lists}'


@dataclass(frozen=True)
class Seen:
    """A network's inside: its input, and for N places boxes (N, 4) xyxy in pixels and probabilities (N, 2)."""

    parameter: ov.Node
    boxes: np.ndarray[Any, np.dtype[np.float32]]
    likely: ov.Node


def grey(size: tuple[int, int] = (SIDE, SIDE)) -> Picture:
    return np.full((size[1], size[0], 3), 128, np.uint8)


def with_square(picture: Picture, left: int, top: int, bgr: tuple[int, int, int], side: int = SQUARE) -> Picture:
    changed = picture.copy()
    changed[top : top + side, left : left + side] = bgr
    return changed


def network(wants: Wants = Wants(), step: int = STEP, pad: int = 0) -> Seen:
    """The common body: what differs between exports comes after it."""
    channels = 1 if wants.colour == "grey" else 3
    usual = [1, channels, SIDE, SIDE] if wants.layout == "NCHW" else [1, SIDE, SIDE, channels]
    parameter = ops.parameter(ov.PartialShape(list(wants.sizes or usual)), _TYPES[wants.element], name="images")
    parameter.output(0).get_tensor().set_names({"images"})
    planes = ops.convert(parameter, "f32")
    if wants.layout == "NHWC":
        planes = ops.transpose(planes, np.array([0, 3, 1, 2]))
    shape = (1, -1, 1, 1)
    pixels = ops.multiply(planes, np.array(wants.scale, np.float32).reshape(shape))
    unit = ops.divide(ops.add(pixels, np.array(wants.mean, np.float32).reshape(shape)), np.float32(255))
    kernel = _CONTRAST if wants.colour == "rgb" else _CONTRAST[:, ::-1]
    if wants.colour == "grey":
        kernel = np.array([[1.0], [-1.0]], np.float32)
        unit = ops.multiply(ops.subtract(unit, np.float32(128 / 255)), np.float32(2))
    ones = [1, 1]
    weights = np.ascontiguousarray(kernel)[:, :, None, None]
    contrast = ops.relu(ops.convolution(unit, weights, ones, [0, 0], [0, 0], ones))
    pooled = ops.avg_pool(contrast, [step] * 2, [0, 0], [pad] * 2, [SQUARE] * 2, exclude_pad=True)
    flat = ops.reshape(pooled, np.array([2, -1]), special_zero=False)
    return Seen(parameter, squares(step, pad), ops.clamp(ops.transpose(flat, np.array([1, 0])), 0, 1))


def squares(step: int, pad: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Boxes (N, 4) xyxy of every place, row by row."""
    starts = np.arange(0, SIDE + pad - SQUARE + 1, step, np.float32)
    rows, columns = np.meshgrid(starts, starts, indexing="ij")
    corner = np.stack([columns, rows], 2).reshape(-1, 2)
    return np.concatenate([corner, corner + SQUARE], 1)


def model(seen: Seen, outputs: dict[str, ov.Node]) -> ov.Model:
    results = [ops.result(node) for node in outputs.values()]
    built = ov.Model(results, [seen.parameter], "theirs")
    for index, name in enumerate(outputs):
        built.output(index).get_tensor().set_names({name})
    return built


def yolo5(wants: Wants = Wants()) -> ov.Model:
    """(1, N, 7): centre, size, objectness 0.9, two classes."""
    seen = network(wants)
    count = len(seen.boxes)
    sure = ops.constant(np.full((count, 1), 0.9, np.float32))
    rows = ops.concat([ops.constant(centred(seen.boxes)), sure, seen.likely], 1)
    return model(seen, {"output0": ops.unsqueeze(rows, np.array(0))})


def yolo8(wants: Wants = Wants()) -> ov.Model:
    """(1, 6, N): centre, size, two classes."""
    seen = network(wants)
    rows = ops.concat([ops.constant(centred(seen.boxes)), seen.likely], 1)
    return model(seen, {"output0": ops.unsqueeze(ops.transpose(rows, np.array([1, 0])), np.array(0))})


def yolox() -> ov.Model:
    """(1, 256, 7): centre in cells of 4 and the logarithm of the size, both to be undone by the reader."""
    seen = network(step=4, pad=4)
    count = len(seen.boxes)
    sides = np.tile(np.array([1, 1, np.log(2), np.log(2)], np.float32), (count, 1))
    rows = ops.concat([ops.constant(sides), ops.constant(np.ones((count, 1), np.float32)), seen.likely], 1)
    return model(seen, {"output": ops.unsqueeze(rows, np.array(0))})


def ssd_rows(broken_after_end: float = 0.0) -> ov.Model:
    """(1, 1, N, 7) as DetectionOutput gives: labels from 1, shares of the sides; behind the end stands anything."""
    seen = network()
    top = ops.topk(seen.likely, np.array(1), 1, "max", "none")
    label = ops.add(ops.convert(top.output(1), "f32"), np.float32(1))
    image_id = ops.constant(np.zeros((len(seen.boxes), 1), np.float32))
    rows = ops.concat([image_id, label, top.output(0), ops.constant(seen.boxes / SIDE)], 1)
    end = np.array([[-1, 0, 0, 0, 0, 0, 0], [0, 9, 0.99, 0, 0, broken_after_end, 1]], np.float32)
    return model(seen, {"detection_out": ops.unsqueeze(ops.concat([rows, ops.constant(end)], 0), np.array([0, 1]))})


def ssd_raw() -> ov.Model:
    """Boxes (1, N, 4) as shares of the sides; logits (1, N, 3) with background first, 0."""
    seen = network()
    nothing = ops.constant(np.zeros((len(seen.boxes), 1), np.float32))
    logits = ops.concat([nothing, sharpened(seen.likely)], 1)
    return model(seen, {"boxes": _batch(ops.constant(seen.boxes / SIDE)), "scores": _batch(logits)})


def detr() -> ov.Model:
    """Logits (1, N, 3) with "no object" last, 0; boxes (1, N, 4) as centre and size, shares of the sides."""
    seen = network()
    nothing = ops.constant(np.zeros((len(seen.boxes), 1), np.float32))
    logits = ops.concat([sharpened(seen.likely), nothing], 1)
    return model(seen, {"logits": _batch(logits), "pred_boxes": _batch(ops.constant(centred(seen.boxes) / SIDE))})


def tensorflow_ssd() -> ov.Model:
    """Boxes (1, N, 4) with y first, scores (1, N), labels (1, N) from 1."""
    seen = network()
    top = ops.topk(seen.likely, np.array(1), 1, "max", "none")
    label = ops.add(ops.convert(top.output(1), "f32"), np.float32(1))
    flipped = ops.constant(np.ascontiguousarray(seen.boxes[:, [1, 0, 3, 2]]) / SIDE)
    flat = np.array([1, -1])
    parts = {"detection_scores": top.output(0), "detection_classes": label}
    rows = {name: ops.reshape(node, flat, special_zero=False) for name, node in parts.items()}
    return model(seen, {"detection_boxes": _batch(flipped)} | rows)


def heat(scale: float = 10.0, shift: float = 0.0, score: Callable[[ov.Node], ov.Node] | None = None) -> ov.Model:
    """An anomaly graph: how colourful each of 8 x 8 places is, times `scale`, as (1, 1, 8, 8)."""
    seen = network(step=SQUARE)
    colour = ops.reduce_max(seen.likely, np.array([1]))
    plane = ops.reshape(colour, np.array([1, 1, 8, 8]), special_zero=False)
    scaled = ops.add(ops.multiply(plane, np.float32(scale)), np.float32(shift))
    outputs = {"anomaly_map": scaled}
    if score is not None:
        outputs["pred_score"] = score(ops.reduce_max(scaled, np.array([1, 2, 3])))
    return model(seen, outputs)


def sharpened(likely: ov.Node) -> ov.Node:
    """Logits from -5 to 5."""
    return ops.subtract(ops.multiply(likely, np.float32(10)), np.float32(5))


def centred(boxes: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1).astype(np.float32)


def write_samples(folder: Path) -> Path:
    """A red square, a blue one, and nothing."""
    folder.mkdir()
    for name, picture in (
        ("a.png", with_square(grey(), 40, 30, RED)),
        ("b.png", with_square(grey(), 24, 48, BLUE)),
        ("c.png", grey()),
    ):
        cv2.imwrite(str(folder / name), picture)
    return folder


def write_model(folder: Path, built: ov.Model) -> Path:
    path = folder / "theirs.xml"
    ov.save_model(built, path, compress_to_fp16=False)
    return path


def head_toml(style: str, outputs: str, decode: str, wants: Wants = Wants(), classes: str = "") -> str:
    names = classes or "['red', 'blue']"
    top = f'kind = "detector"\nstyle = "{style}"\nclasses = {names}\n'
    return f"{top}{wants.toml()}[outputs]\n{outputs}\n[decode]\n{decode}\n"


YOLO5 = (
    "yolo",
    'combined = "output0"',
    """threshold = 0.25
max_iou = 0.1
box_format = "cxcywh"
box_unit = "pixels"
activation = "none"
order = "boxes-first"
objectness = true""",
)
YOLO8 = (
    "yolo",
    'combined = "output0"',
    """threshold = 0.25
max_iou = 0.1
box_format = "cxcywh"
box_unit = "pixels"
activation = "none"
order = "values-first\"""",
)
YOLOX = ("yolo", 'combined = "output"', YOLO5[2] + "\nstrides = [4]")
SSD_ROWS = (
    "ssd",
    'combined = "detection_out"',
    """threshold = 0.25
max_iou = 0.1
box_format = "xyxy"
box_unit = "normalised"
activation = "none"
background = "first\"""",
)
SSD_RAW = ("ssd", 'boxes = "boxes"\nscores = "scores"', SSD_ROWS[2].replace('"none"', '"softmax"'))
TENSORFLOW = (
    "ssd",
    'boxes = "detection_boxes"\nscores = "detection_scores"\nlabels = "detection_classes"',
    SSD_ROWS[2].replace("xyxy", "yxyx"),
)
DETR = (
    "detr",
    'boxes = "pred_boxes"\nscores = "logits"',
    """threshold = 0.25
max_iou = 0.1
box_format = "cxcywh"
box_unit = "normalised"
activation = "softmax"
background = "last\"""",
)
_TYPES = {"f32": ov.Type.f32, "f16": ov.Type.f16, "u8": ov.Type.u8}
_CONTRAST = np.array([[1, -0.5, -0.5], [-0.5, -0.5, 1]], np.float32)


def _batch(node: ov.Node) -> ov.Node:
    return ops.unsqueeze(node, np.array(0))


def _numbers(values: tuple[float, ...]) -> str:
    return str(values[0]) if len(values) == 1 else str(list(values))
