"""Frames much larger than a model's input: overlapping tiles, and one set of findings out of many. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections, FloatArray, IntArray
from models.spec import Tiling

_MAX_IOU = 0.45
_CONTAINED = 0.7
_EDGE_PX = 2.0
_EDGE = 0.005
_AS_SURE = 0.3


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

    - A box that ends at a tile's inner border is cut there.
    - What overlaps a kept box much, or is cut and lies in one, is the same thing, found twice. Uncut ones are kept
      before cut ones, stronger before weaker.
    - Cut boxes of one class in different tiles that overlap are parts of one thing, and are joined.
    - Nothing gets weaker: of one class the higher score counts, and a box of another class yields to a stronger only.
    """
    if len(parts) == 1:
        return parts[0][1]
    if not any(len(found) for _, found in parts):
        return Detections.none()
    pile = _piled(parts, frame_width, frame_height)
    pile = _joined(_without_doubles(pile))
    order = np.argsort(-pile.scores, kind="stable")
    return Detections(pile.boxes[order], pile.scores[order], pile.ids[order])


@dataclass(frozen=True, slots=True, eq=False)
class _Pile:
    """Boxes of all tiles in frame pixels: (N, 4), (N,), (N,), whether cut, and of which tile."""

    boxes: FloatArray
    scores: FloatArray
    ids: IntArray
    cut: NDArray[np.bool_]
    tile: NDArray[np.int64]


def _piled(parts: Sequence[tuple[Tile, Detections]], frame_width: int, frame_height: int) -> _Pile:
    return _Pile(
        np.concatenate([found.boxes_xyxy + _offset(tile) for tile, found in parts]),
        np.concatenate([found.scores for _, found in parts]),
        np.concatenate([found.class_ids for _, found in parts]),
        np.concatenate([_cut(tile, found.boxes_xyxy, frame_width, frame_height) for tile, found in parts]),
        np.repeat(np.arange(len(parts)), [len(found) for _, found in parts]),
    )


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
    near_px = max(_EDGE_PX, _EDGE * max(tile.width, tile.height))
    ends = [
        (boxes[:, 0] <= near_px) & (tile.left > 0),
        (boxes[:, 1] <= near_px) & (tile.top > 0),
        (boxes[:, 2] >= tile.width - near_px) & (tile.left + tile.width < frame_width),
        (boxes[:, 3] >= tile.height - near_px) & (tile.top + tile.height < frame_height),
    ]
    return np.asarray(np.logical_or.reduce(ends), np.bool_)


def _without_doubles(pile: _Pile) -> _Pile:
    """Each thing once, but for the parts of what is whole in no tile."""
    scores = pile.scores.copy()
    kept = np.zeros(0, np.int64)
    for index in np.lexsort((-pile.scores, pile.cut)):
        same = kept[_same_thing(pile, int(index), kept)]
        alike = same[pile.ids[same] == pile.ids[index]]
        if len(alike):
            scores[alike[0]] = max(scores[alike[0]], scores[index])
        elif not np.any(scores[same] >= scores[index]):
            kept = np.append(kept, index)
    return _Pile(pile.boxes[kept], scores[kept], pile.ids[kept], pile.cut[kept], pile.tile[kept])


def _same_thing(pile: _Pile, index: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the others this box shows again; parts of one thing, cut in two tiles, are left to be joined."""
    common, mine, theirs = _areas(pile.boxes[index], pile.boxes[others])
    same = common > _MAX_IOU * (mine + theirs - common)
    if pile.cut[index]:
        same |= common > _CONTAINED * mine
        same &= ~(pile.cut[others] & (pile.ids[others] == pile.ids[index]) & (pile.tile[others] != pile.tile[index]))
    return same


def _joined(pile: _Pile) -> _Pile:
    """Overlapping cut boxes of one class, in different tiles and about as sure, as one box around them."""
    group = np.arange(len(pile.scores))
    for index in np.flatnonzero(pile.cut):
        common, _, _ = _areas(pile.boxes[index], pile.boxes)
        surer, weaker = np.maximum(pile.scores, pile.scores[index]), np.minimum(pile.scores, pile.scores[index])
        parts = pile.cut & (pile.ids == pile.ids[index]) & (pile.tile != pile.tile[index]) & (common > 0)
        parts &= weaker >= _AS_SURE * surer
        group[np.isin(group, group[parts])] = group[index]
    firsts = [np.flatnonzero(group == number) for number in np.unique(group)]
    boxes = [np.concatenate([pile.boxes[one, :2].min(0), pile.boxes[one, 2:].max(0)]) for one in firsts]
    best = np.array([one[np.argmax(pile.scores[one])] for one in firsts])
    return _Pile(np.array(boxes, np.float32), pile.scores[best], pile.ids[best], pile.cut[best], pile.tile[best])


def _areas(box: FloatArray, boxes: FloatArray) -> tuple[FloatArray, np.float32, FloatArray]:
    """Of what a box (4,) has in common with others (N, 4), of itself, and of the others."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    theirs = boxes[:, 2:] - boxes[:, :2]
    return sides.clip(0, None).prod(1), (box[2:] - box[:2]).prod(), theirs.prod(1)
