"""Heat maps for tests: records with a hot cell, and what of it is on a page."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator

from cloud_sync.wire.heat import HeatRecord, packed
from cloud_sync.wire.records import InspectionRecord

SIDE = 16


def with_heat(
    record: InspectionRecord, hot: tuple[int, int], to_frame: Sequence[float], level: int = 240
) -> InspectionRecord:
    """The record with a map in each view: cold but for the cell (column, row)."""
    cells = np.zeros((SIDE, SIDE), np.uint8)
    cells[hot[1], hot[0]] = level
    heat = HeatRecord(columns=SIDE, rows=SIDE, to_frame=list(to_frame), cells=packed(cells.tobytes()))
    views = [view.model_copy(update={"heat": heat}) for view in record.views]
    return record.model_copy(update={"views": views})


def level_at(heat: Mapping[str, Any], cell: tuple[int, int]) -> int:
    """Of a map as scripts take it: the byte of a cell (column, row)."""
    return b64decode(heat["cells"])[cell[1] * heat["columns"] + cell[0]]


def pixels(shown: Locator) -> NDArray[np.uint8]:
    """(H, W, 3) BGR: what is seen of an element."""
    found = cv2.imdecode(np.frombuffer(shown.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Where two pictures of one element differ: left, top, right, bottom, as shares of its width and height."""
    differs = np.abs(before.astype(np.int16) - after).max(2) > 24
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    assert len(rows), "nothing differs"
    height, width = differs.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
