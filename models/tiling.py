"""Frames much larger than a model's input: overlapping tiles, and one set of findings out of many. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections, FloatArray
from models.spec import Tiling

_MAX_IOU = 0.45
_CONTAINED = 0.7
_EDGE_PX = 2.0


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a frame, in frame pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def window(self) -> tuple[slice, slice]:
        """What to index an image (H, W, 3) with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def tiles(frame_width: int, frame_height: int, tiling: Tiling | None) -> tuple[Tile, ...]:
    """The tiles that cover a frame, row by row; one, the whole frame, if it is no larger than a tile.

    Neighbours overlap by `overlap_px` or more, so that what is no larger than that is whole in one of them.
    """
    if tiling is None:
        return (Tile(0, 0, frame_width, frame_height),)
    columns, rows = (_starts(size, tiling) for size in (frame_width, frame_height))
    width, height = min(frame_width, tiling.tile_px), min(frame_height, tiling.tile_px)
    return tuple(Tile(left, top, width, height) for top in rows for left in columns)


def merge(parts: Sequence[tuple[Tile, Detections]], frame_width: int, frame_height: int) -> Detections:
    """One frame's findings from its tiles' (each in its tile's pixels), strongest first.

    A box that ends at a tile's inner border is cut there. A cut box inside one that is not is a part of it and goes;
    cut boxes of one class that overlap are parts of one thing and are joined; what else overlaps much is found twice.
    """
    if len(parts) == 1:
        return parts[0][1]
    boxes = np.concatenate([found.boxes_xyxy + _offset(tile) for tile, found in parts]).astype(np.float32)
    scores = np.concatenate([found.scores for _, found in parts])
    ids = np.concatenate([found.class_ids for _, found in parts])
    cut = np.concatenate([_cut(tile, found.boxes_xyxy, frame_width, frame_height) for tile, found in parts])
    kept: list[int] = []
    for index in np.lexsort((-scores, cut)):
        if not _belongs(int(index), kept, boxes, (scores, ids, cut)):
            kept.append(int(index))
    order = np.array(sorted(kept, key=lambda index: -scores[index]), np.int64)
    return Detections(boxes[order], scores[order], ids[order])


def _starts(size: int, tiling: Tiling) -> list[int]:
    """Where tiles begin along one side: evenly spread, the last one ending with the frame."""
    if size <= tiling.tile_px:
        return [0]
    step = tiling.tile_px - tiling.overlap_px
    count = -(-(size - tiling.overlap_px) // step)
    return [round(index * (size - tiling.tile_px) / (count - 1)) for index in range(count)]


def _offset(tile: Tile) -> FloatArray:
    return np.array([tile.left, tile.top, tile.left, tile.top], np.float32)


def _cut(tile: Tile, boxes: FloatArray, frame_width: int, frame_height: int) -> NDArray[np.bool_]:
    """Which boxes, in the tile's pixels, end at a border of the tile that is not the frame's."""
    ends = [
        (boxes[:, 0] <= _EDGE_PX) & (tile.left > 0),
        (boxes[:, 1] <= _EDGE_PX) & (tile.top > 0),
        (boxes[:, 2] >= tile.width - _EDGE_PX) & (tile.left + tile.width < frame_width),
        (boxes[:, 3] >= tile.height - _EDGE_PX) & (tile.top + tile.height < frame_height),
    ]
    return np.asarray(np.logical_or.reduce(ends), np.bool_)


def _belongs(
    index: int, kept: list[int], boxes: FloatArray, about: tuple[FloatArray, NDArray[np.int32], NDArray[np.bool_]]
) -> bool:
    """Whether this box is the same thing as one that is kept; a cut one is joined to a cut one of its class."""
    scores, ids, cut = about
    for other in kept:
        common, mine, theirs = _areas(boxes[index], boxes[other])
        if common <= 0:
            continue
        if common > _MAX_IOU * (mine + theirs - common) or (cut[index] and common > _CONTAINED * mine):
            return True
        if cut[index] and cut[other] and ids[index] == ids[other]:
            boxes[other, :2] = np.minimum(boxes[other, :2], boxes[index, :2])
            boxes[other, 2:] = np.maximum(boxes[other, 2:], boxes[index, 2:])
            scores[other] = max(scores[other], scores[index])
            return True
    return False


def _areas(first: FloatArray, second: FloatArray) -> tuple[float, float, float]:
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    common = float(np.clip(sides, 0, None).prod())
    return common, float((first[2:] - first[:2]).prod()), float((second[2:] - second[:2]).prod())
