"""Sections of station.toml beside cameras and recipes: a camera's checks, a product's code, its master parts."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

CheckName = Literal["black", "clipped", "frozen", "blurred", "shifted", "size", "exposure"]
_SIDE_MIN_PX = 32


def _inside_a_frame(corners: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = corners
    if not (0 <= left < right and 0 <= top < bottom):
        raise ValueError("a region is left, top, right, bottom in frame pixels, from 0, and holds something")
    return corners


def _holds_a_picture(corners: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = corners
    if min(right - left, bottom - top) < _SIDE_MIN_PX:
        raise ValueError(f"a camera's roi is {_SIDE_MIN_PX} pixels wide and high at least")
    return corners


Region = Annotated[tuple[int, int, int, int], AfterValidator(_inside_a_frame)]
CameraRegion = Annotated[Region, AfterValidator(_holds_a_picture)]


class ChecksSection(BaseModel):
    """Which checks of a camera's pictures are off; left out, the source decides whether `frozen` is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    off: list[CheckName] | None = None


class CodeSection(BaseModel):
    """The code a part carries: which camera reads it, where, and what follows when it cannot or did so before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["qr", "barcode"]
    camera: str = ""
    roi: Region | None = None
    on_unreadable: Literal["undecided", "allow"] = "undecided"
    on_repeat: Literal["undecided", "allow"] = "allow"


class MastersSection(BaseModel):
    """When a good check of the product's master parts is a must: since a start or changeover, every so many hours."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    required: bool = False
    every_h: Annotated[float, Field(gt=0, le=1000)] | None = None


def size_of(roi: tuple[int, int, int, int]) -> tuple[int, int]:
    """(width, height) of what a camera's roi leaves."""
    return roi[2] - roi[0], roi[3] - roi[1]


def check_code_region(product_id: str, roi: tuple[int, int, int, int], seen: tuple[int, int] | None) -> None:
    """A code is sought inside what its camera's roi leaves: (width, height), None without one. Raises ValueError."""
    if seen is not None and (roi[2] > seen[0] or roi[3] > seen[1]):
        raise ValueError(
            f"product {product_id!r}: code.roi {list(roi)} reaches out of the {seen[0]}x{seen[1]} pixels that its "
            "camera's roi leaves: it counts from the corner of that"
        )


def check_zones(product_id: str, zones: Sequence[Sequence[float]], seen: Sequence[tuple[int, int]]) -> None:
    """Each zone touches what the roi of one of the cameras leaves, (width, height) each. Raises ValueError."""
    for zone in zones:
        if not any(zone[0] < width and zone[1] < height for width, height in seen):
            raise ValueError(
                f"product {product_id!r}: zone {list(zone)} lies outside of what the roi of every camera leaves "
                f"({', '.join(f'{width}x{height}' for width, height in seen)} pixels), so no defect in it would count: "
                "zones count from the roi's corner"
            )
