"""A model's map as a view's record keeps it: bytes on a small grid, and where that lies on the picture.

- A view that passed keeps none: its map is low, and there are millions of such records.
- No cell from the threshold on falls below it, or the other way round, by becoming a byte.
- A grid too large for a record is made smaller by taking the highest of each block: a hot cell never vanishes.
- What cannot be said is left out, and never makes a record one that cannot be written: a verdict is worth more.
"""

from math import isqrt

import numpy as np
import structlog

from cloud_sync.wire.heat import FAR_PX, SIDE_MOST, HeatRecord, packed
from edge.domain.inspection import View
from edge.domain.part import Verdict
from models.detections import FloatArray

_CELLS_MOST = 3 * SIDE_MOST * SIDE_MOST  # of all views together, so that a record stays below RECORD_LIMIT_BYTES
_BYTE = 255
log = structlog.get_logger()


def side_most(views: int) -> int:
    """How many cells wide and high the map of each of so many views may be."""
    return max(1, min(SIDE_MOST, isqrt(_CELLS_MOST // max(1, views))))


def heat_record(view: View, side: int) -> HeatRecord | None:
    """What the model's map showed; None where the view passed, the model has none, or it showed nothing anywhere.

    None as well where it cannot be made, whatever the reason: it is logged, and the record is written without.

    Args:
        view: of one camera.
        side: the grid's cells along each side, at most.
    """
    try:
        return _heat_record(view, side)
    except Exception as error:  # noqa: BLE001 - raised from here it would cost the part its verdict
        log.error("a heat map cannot be made", camera=view.camera_id, why=f"{type(error).__name__}: {error}"[:500])
        return None


def _heat_record(view: View, side: int) -> HeatRecord | None:
    found = view.detections
    if view.verdict is Verdict.PASS or found is None or not len(found):
        return None
    if found.map is None or found.map_to_frame is None:
        return None
    rows, columns = found.map.shape
    across, down = -(-columns // side), -(-rows // side)
    (a, c, e), (b, d, f) = found.map_to_frame
    to_frame = [round(each, 4) for each in (a * across, b * across, c * down, d * down, e, f)]
    if not all(abs(each) <= FAR_PX for each in to_frame):
        return None
    grid = found.map if across == down == 1 else _highest_of_blocks(found.map, across, down)
    levels = np.rint(grid.clip(0, 1) * np.float32(_BYTE)).astype(np.uint8)
    cells = packed(levels.tobytes())
    return HeatRecord(columns=levels.shape[1], rows=levels.shape[0], to_frame=to_frame, cells=cells)


def _highest_of_blocks(values: FloatArray, across: int, down: int) -> FloatArray:
    """The highest value of each block; blocks at the far sides may be cut."""
    return _highest_of_rows(_highest_of_rows(values, down).T, across).T


def _highest_of_rows(values: FloatArray, count: int) -> FloatArray:
    """Of each so many rows, place by place. A verdict waits for this, and `reduceat` takes ten times as long."""
    highest = values[::count].copy()
    for first in range(1, count):
        others = values[first::count]
        np.maximum(highest[: len(others)], others, out=highest[: len(others)])
    return highest
