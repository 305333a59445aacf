import time
from itertools import pairwise

import numpy as np
import pytest

from models.detections import Detections
from models.errors import ModelError
from models.spec import Tiling
from models.tiling import Tile, merge, tiles

TILING = Tiling(tile_px=640, overlap_px=128)
FRAME = (1152, 640)
LEFT, RIGHT = Tile(0, 0, 640, 640), Tile(512, 0, 640, 640)
Row = tuple[float, float, float, float, float, int]


def found(*rows: Row) -> Detections:
    """From (left, top, right, bottom, score, class)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4].copy(), table[:, 4].copy(), table[:, 5].astype(np.int32))


def rows(merged: Detections) -> list[tuple[float, ...]]:
    together = zip(merged.boxes_xyxy.tolist(), merged.scores.tolist(), merged.class_ids.tolist(), strict=True)
    return [(*box, round(score, 3), class_id) for box, score, class_id in together]


@pytest.mark.parametrize(
    "size",
    [(640, 640), (641, 640), (1152, 640), (1153, 700), (4000, 3000), (1000, 1), (1, 1000), (10, 5000)],
    ids=str,
)
def test_tiles_cover_every_pixel_and_whatever_is_no_larger_than_the_overlap_is_whole_in_one(
    size: tuple[int, int],
) -> None:
    width, height = size
    cut = tiles(width, height, TILING)
    for side, starts, extent in (
        (width, {t.left for t in cut}, min(width, 640)),
        (height, {t.top for t in cut}, min(height, 640)),
    ):
        ordered = sorted(starts)
        assert ordered[0] == 0
        assert ordered[-1] + extent == side
        assert all(first + extent - second >= TILING.overlap_px for first, second in pairwise(ordered))
    assert len({(t.left, t.top) for t in cut}) == len(cut)
    assert all(t.width == min(width, 640) and t.height == min(height, 640) for t in cut)


def test_a_frame_no_larger_than_a_tile_is_one_tile_and_so_is_any_without_tiling() -> None:
    assert tiles(640, 300, TILING) == (Tile(0, 0, 640, 300),)
    assert tiles(9000, 9000, None) == (Tile(0, 0, 9000, 9000),)


@pytest.mark.parametrize("overlap_px", [-1, 640, 700])
def test_an_overlap_that_never_ends_is_refused(overlap_px: int) -> None:
    with pytest.raises(ModelError, match="overlap_px"):
        Tiling(640, overlap_px)


def test_one_tile_is_given_as_it_is_and_none_found_is_none() -> None:
    alone = found((1, 2, 3, 4, 0.9, 0))
    assert merge([(LEFT, alone)], *FRAME) is alone
    assert len(merge([(LEFT, found()), (RIGHT, found())], *FRAME)) == 0
    assert len(merge([], *FRAME)) == 0


def test_boxes_move_to_frame_pixels_strongest_first() -> None:
    merged = merge([(LEFT, found((10, 10, 30, 30, 0.6, 1))), (RIGHT, found((300, 20, 340, 60, 0.9, 0)))], *FRAME)
    assert rows(merged) == [(812, 20, 852, 60, 0.9, 0), (10, 10, 30, 30, 0.6, 1)]


def test_a_thing_that_two_tiles_see_is_one() -> None:
    merged = merge([(LEFT, found((540, 10, 580, 50, 0.7, 0))), (RIGHT, found((29, 11, 69, 51, 0.8, 0)))], *FRAME)
    assert rows(merged) == [(541, 11, 581, 51, 0.8, 0)]


def test_a_cut_box_goes_where_a_neighbour_sees_the_thing_whole_and_its_score_stays() -> None:
    """The whole view has the right box, however much less sure it is."""
    merged = merge([(LEFT, found((600, 10, 640, 50, 0.9, 0))), (RIGHT, found((88, 10, 188, 50, 0.6, 0)))], *FRAME)
    assert rows(merged) == [(600, 10, 700, 50, 0.9, 0)]


def test_a_cut_box_of_another_class_yields_to_a_surer_whole_one_only() -> None:
    """What was seen surely never ends below the threshold because a weak candidate lies around it."""
    cut = (LEFT, found((600, 10, 640, 50, 0.9, 1)))
    assert rows(merge([cut, (RIGHT, found((88, 10, 188, 50, 0.95, 0)))], *FRAME)) == [(600, 10, 700, 50, 0.95, 0)]
    kept = rows(merge([cut, (RIGHT, found((88, 10, 188, 50, 0.1, 0)))], *FRAME))
    assert (600, 10, 640, 50, 0.9, 1) in kept


def test_a_scratch_through_many_tiles_is_one_scratch() -> None:
    wide = (2176, 640)
    cut = tiles(*wide, TILING)
    assert [t.left for t in cut] == [0, 512, 1024, 1536]
    parts = [
        found((500, 300, 640, 310, 0.6, 1)),
        found((0, 301, 640, 311, 0.9, 1)),
        found((0, 300, 640, 310, 0.5, 1)),
        found((0, 299, 300, 309, 0.7, 1)),
    ]
    assert rows(merge(list(zip(cut, parts, strict=True)), *wide)) == [(500, 299, 1836, 311, 0.9, 1)]


def test_parts_of_other_classes_and_faint_ghosts_are_not_joined() -> None:
    left = (LEFT, found((500, 300, 640, 310, 0.9, 1)))
    assert len(merge([left, (RIGHT, found((0, 305, 300, 330, 0.8, 0)))], *FRAME)) == 2
    assert len(merge([left, (RIGHT, found((0, 305, 300, 330, 0.1, 1)))], *FRAME)) == 2


def test_neighbours_in_one_tile_stay_apart_even_at_its_border() -> None:
    both = found((600, 10, 640, 50, 0.9, 0), (600, 45, 640, 80, 0.8, 0))
    assert len(merge([(LEFT, both), (RIGHT, found())], *FRAME)) == 2


def test_the_frames_own_border_cuts_nothing() -> None:
    at_edge = found((0, 0, 40, 40, 0.5, 0))
    inner = found((8, 8, 38, 38, 0.9, 1))
    assert len(merge([(LEFT, at_edge), (LEFT, inner)], *FRAME)) == 1
    assert len(merge([(LEFT, found((0, 0, 100, 100, 0.9, 0))), (LEFT, found((0, 0, 40, 40, 0.5, 0)))], *FRAME)) == 2


def test_a_small_thing_where_four_tiles_meet_is_one_wherever_it_lies() -> None:
    size, random = (1100, 1100), np.random.default_rng(1)
    cut = tiles(*size, TILING)
    for _ in range(200):
        left, top = random.integers(400, 640, 2)
        width, height = random.integers(10, 100, 2)
        thing = np.array([left, top, left + width, top + height], np.float32)
        assert len(merge([(tile, looked_at(tile, thing)) for tile in cut], *size)) == 1


def looked_at(tile: Tile, thing: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Detections:
    """What a perfect detector finds of a thing in a tile: the visible part, if that is a quarter or more."""
    shown = np.clip(thing - [tile.left, tile.top, tile.left, tile.top], 0, [tile.width, tile.height] * 2)
    area, whole = np.prod(shown[2:] - shown[:2]), np.prod(thing[2:] - thing[:2])
    return found((*shown.tolist(), float(0.5 + 0.4 * area / whole), 0)) if area >= whole / 4 else found()


def test_thousands_of_candidates_are_merged_within_a_part_of_a_second() -> None:
    random = np.random.default_rng(0)
    parts = []
    for tile in tiles(4000, 4000, TILING):
        corner = random.uniform(0, 600, (60, 2))
        boxes = np.concatenate([corner, corner + random.uniform(5, 60, (60, 2))], 1).astype(np.float32).clip(0, 640)
        parts.append((tile, Detections(boxes, random.random(60, np.float32), random.integers(0, 6, 60, np.int32))))
    started_s = time.monotonic()
    merged = merge(parts, 4000, 4000)
    assert time.monotonic() - started_s < 5
    assert 1000 < len(merged) < 60 * len(parts)
    assert np.all(np.diff(merged.scores) <= 0)
