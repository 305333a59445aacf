"""What a model's map showed of a view, as it travels: a small grid of bytes, packed, and where it lies on the picture.

However little of it is true, reading one takes no more memory than the largest grid has cells.
"""

import zlib
from base64 import b64decode, b64encode
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

SIDE_MOST = 64
CELLS_MOST = SIDE_MOST * SIDE_MOST
_PACKED_MOST = (CELLS_MOST + 32 + 2) // 3 * 4  # what cannot be packed grows by a few bytes
FAR_PX = 1e6

Side = Annotated[int, Field(ge=1, le=SIDE_MOST)]
Coefficient = Annotated[float, Field(ge=-FAR_PX, le=FAR_PX)]
Packed = Annotated[str, Field(max_length=_PACKED_MOST, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class HeatRecord(BaseModel):
    """A model's map of one view, and where it lies on the picture.

    `cells` are `columns` times `rows` bytes, row by row, packed by zlib, in base64: 255 for 1.0, and from 128 on a cell
    reaches the bundle's own threshold of 0.5. `to_frame` is a, b, c, d, e, f, as of SVG's matrix(): the point (x, y) of
    the grid, in cells from its outer corner, lies at (a x + c y + e, b x + d y + f) in the frame's pixels. A grid may
    reach beyond the frame.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Side
    rows: Side
    to_frame: Annotated[list[Coefficient], Field(min_length=6, max_length=6)]
    cells: Packed

    @field_validator("cells")
    @classmethod
    def _holds_as_many_cells_as_it_says(cls, cells: str, info: ValidationInfo) -> str:
        if {"columns", "rows"} <= info.data.keys():  # else these are refused, and the record with them
            unpacked(cells, info.data["columns"] * info.data["rows"])
        return cells

    @property
    def levels(self) -> bytes:
        """Each cell's byte, row by row."""
        return unpacked(self.cells, self.columns * self.rows)

    def plain(self) -> dict[str, object]:
        """As a page's script takes it: the cells unpacked, in base64."""
        return {**self.model_dump(), "cells": b64encode(self.levels).decode()}


def packed(levels: bytes) -> str:
    """Cells, a byte each, as they travel."""
    return b64encode(zlib.compress(levels)).decode()


def unpacked(cells: str, count: int) -> bytes:
    """So many cells, a byte each.

    Args:
        cells: as they travel.
        count: how many there must be; no more than one above that is ever unpacked.

    Raises:
        ValueError: it is not packed as cells are, or there are more or fewer.
    """
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(b64decode(cells, validate=True), count + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"the cells of a heat map are no base64 of zlib: {error}") from error
    if len(found) != count or not reader.eof or reader.unused_data:
        raise ValueError(f"a heat map says it has {count} cells, and holds another number")
    return found
