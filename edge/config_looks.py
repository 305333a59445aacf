"""Sections of station.toml beside cameras and recipes: a camera's checks, a product's code, its master parts."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

CheckName = Literal["black", "clipped", "frozen", "blurred", "shifted", "size", "exposure"]


def _inside_a_frame(corners: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = corners
    if not (0 <= left < right and 0 <= top < bottom):
        raise ValueError("a region is left, top, right, bottom in frame pixels, from 0, and holds something")
    return corners


Region = Annotated[tuple[int, int, int, int], AfterValidator(_inside_a_frame)]


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
