"""What a calibration leaves in its working folder for who looks on: whether one is unfinished, and refused frames."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.config import StationConfig

_SHOWN = 200


class Refused(BaseModel):
    """A frame that was not learned from, and why."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    reason: str


class Told(BaseModel):
    """Frames used, frames refused, what is likely wrong, small pictures by name as base64, and when that was known."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    used: int
    refused: tuple[Refused, ...]
    told: str
    trouble: str
    pictures: Mapping[str, str]
    at: datetime = datetime.fromtimestamp(0, UTC)

    @property
    def shown(self) -> tuple[Refused, ...]:
        """Those with a picture first, and no more than a page holds."""
        ordered = sorted(self.refused, key=lambda each: each.name not in self.pictures)
        return tuple(ordered[:_SHOWN])

    def picture(self, name: str) -> bytes | None:
        """A small picture of a refused frame, JPEG; None where there is none."""
        try:
            return base64.b64decode(self.pictures[name], validate=True)
        except (KeyError, binascii.Error):
            return None


class _Live(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    parts: int


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    frames: Path
    camera: str = ""
    live: _Live | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A calibration that was interrupted: of which product, since when, and how many frames a camera took for it."""

    product: str
    since: datetime
    frames: int


def folder_of(config: StationConfig, product: str) -> Path:
    """The working folder of a product's calibration, as `edge calibrate` lays it."""
    bundle = next(each.bundle for each in config.product if each.id == product)
    return config.bundles_dir.absolute().parent / "calibrations" / bundle


def unfinished(config: StationConfig) -> tuple[Unfinished, ...]:
    """What can be gone on with."""
    found: dict[Path, Unfinished] = {}
    for product in config.product:
        folder = folder_of(config, product.id)
        request = folder / "request.json"
        if request.is_file() and not (folder / "finished.json").is_file():
            since = datetime.fromtimestamp(request.stat().st_mtime, UTC)
            taken = len(list((folder / "frames").glob("*.png"))) if (folder / "frames").is_dir() else 0
            found.setdefault(folder, Unfinished(product.id, since, taken))
    return tuple(found.values())


def told(config: StationConfig, product: str) -> Told | None:
    """What is known of the frames of a product's last calibration; None before they were looked at."""
    path = folder_of(config, product) / "refused.json"
    try:
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Told.model_validate_json(path.read_bytes()).model_copy(update={"at": at})
    except (OSError, ValidationError):
        return None


def frames_used(config: StationConfig, product: str) -> tuple[Path, str] | None:
    """The folder of a product's last calibration with frames, and whose they are; None where that is not known."""
    folder = folder_of(config, product)
    try:
        asked = _Request.model_validate_json((folder / "request.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return (asked.frames if asked.live is None else folder / "frames"), asked.camera
