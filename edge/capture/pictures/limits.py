"""What a camera's good pictures of a product look like: learned at calibration, kept beside the bundles.

One file for each product and camera in the station's data folder, not in the bundle: the limits are of how the camera
stands and is lit, so a rollback to an older bundle, or a release from the cloud, must not bring other ones.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.capture.pictures.checks import Gauge, Grey, Limits, PlaceLimits, Signs, against, displaced, locate
from edge.domain.errors import ConfigError, StorageError
from edge.domain.frame import Image
from models.decoding import decoded
from models.durable import replace_file

FEWEST_FRAMES = 20
_ROOM = 0.1
_BRIGHTNESS_ROOM = 0.05
_LEAST_LEVELS = 4.0
_CLIPPED_ROOM = (0.25, 0.02)
_SHARPNESS_ROOM = 0.7
_SHIFT_ROOM = 0.015
_SHIFT_MOST = 0.06
_LIKENESS_ROOM = 0.5


class _Place(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reference_png: str
    shift_high_px: Annotated[float, Field(gt=0)]
    likeness_low: float


class _Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_: Literal["inspectd.camera-limits.v1"] = Field("inspectd.camera-limits.v1", alias="schema")
    product: str
    camera: str
    frames: Annotated[int, Field(ge=1)]
    size: tuple[int, int] | None
    mean_low: float
    mean_high: float
    clipped_high: float
    sharpness_low: float
    place: _Place | None


class Learner:
    """Collects what good frames show, image by image, and says what the limits are."""

    def __init__(self) -> None:
        self._gauge = Gauge()
        self._signs: list[Signs] = []
        self._thumbs: list[Grey] = []

    @property
    def frames(self) -> int:
        """How many images it saw."""
        return len(self._signs)

    def see(self, image: Image) -> None:
        """Measure one good image."""
        self._signs.append(self._gauge.signs(image))
        self._thumbs.append(self._gauge.thumbnail())

    def limits(self) -> Limits | None:
        """The limits; None below 20 frames, which show too little of what is usual."""
        return learn(self._signs, self._thumbs)

    def false_alarms(self) -> tuple[int, int]:
        """(frames with a finding, frames): limits learned from every other frame, tried on the rest."""
        limits = learn(self._signs[::2], self._thumbs[::2])
        if limits is None:
            return 0, 0
        rest = list(zip(self._signs[1::2], self._thumbs[1::2], strict=True))
        return sum(_fires(signs, thumb, limits) for signs, thumb in rest), len(rest)


def learn(signs: Sequence[Signs], thumbs: Sequence[Grey]) -> Limits | None:
    """The extremes of good frames, with room; None where there are too few."""
    if len(signs) < FEWEST_FRAMES:
        return None
    sizes = {each.size for each in signs}
    means, clipped = [each.mean for each in signs], max(each.clipped for each in signs)
    middle, span = float(np.median(means)), max(means) - min(means)
    room = max(_LEAST_LEVELS, _BRIGHTNESS_ROOM * middle, _ROOM * span)
    share, least = _CLIPPED_ROOM
    return Limits(
        size=signs[0].size if len(sizes) == 1 else None,
        mean_low=min(means) - room,
        mean_high=max(means) + room,
        clipped_high=clipped + max(share * clipped, least),
        sharpness_low=_SHARPNESS_ROOM * min(each.sharpness for each in signs),
        place=_learn_place(thumbs, signs[0].size[0]) if len(sizes) == 1 else None,
    )


def _learn_place(thumbs: Sequence[Grey], width_px: int) -> PlaceLimits | None:
    """Where the frames lie about their own mean; None where they lie so far apart that no shift would be seen."""
    reference = np.asarray(np.round(np.mean(np.stack(thumbs), axis=0)), np.uint8)
    places = [locate(reference, thumb, width_px) for thumb in thumbs]
    farthest = max(place.shift_px for place in places)
    if farthest > _SHIFT_MOST * width_px:
        return None
    least = min(place.likeness for place in places)
    return PlaceLimits(reference, farthest + _SHIFT_ROOM * width_px, least - _LIKENESS_ROOM * (1 - least))


def _fires(signs: Signs, thumb: Grey, limits: Limits) -> bool:
    if against(signs, limits):
        return True
    place = limits.place
    return place is not None and bool(displaced(locate(place.reference, thumb, signs.size[0]), place))


def limits_path(data_dir: Path, product: str, camera: str) -> Path:
    """Where the limits of a product and camera are kept."""
    return data_dir / "checks" / product / f"{camera}.json"


def save_limits(path: Path, product: str, camera: str, limits: Limits, frames: int) -> None:
    """Write the limits, whole or not at all. Raises StorageError."""
    place = limits.place
    content = _Limits(
        schema="inspectd.camera-limits.v1",
        product=product,
        camera=camera,
        frames=frames,
        size=limits.size,
        mean_low=limits.mean_low,
        mean_high=limits.mean_high,
        clipped_high=limits.clipped_high,
        sharpness_low=limits.sharpness_low,
        place=None
        if place is None
        else _Place(
            reference_png=_encode(place.reference),
            shift_high_px=place.shift_high_px,
            likeness_low=place.likeness_low,
        ),
    )
    try:
        replace_file(path, content.model_dump_json(by_alias=True, indent=1))
    except OSError as error:
        raise StorageError(f"cannot write the camera's limits {path}: {error.strerror}") from error


def load_limits(path: Path) -> Limits | None:
    """The limits of a file; None where there is none.

    Raises:
        ConfigError: the file is there and cannot be used: judging without it would be silent.
    """
    try:
        content = _Limits.model_validate_json(path.read_bytes())
        if (content.product, content.camera) != (path.parent.name, path.stem):
            raise ValueError(f"it is of product {content.product!r} and camera {content.camera!r}")  # noqa: TRY301 - told below
        place = content.place
        limits = (
            None
            if place is None
            else PlaceLimits(_decode(place.reference_png), place.shift_high_px, place.likeness_low)
        )
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError, cv2.error) as error:
        raise ConfigError(
            f"the camera's limits {path} cannot be used: learn them again with `edge calibrate --checks-only`, or "
            f"delete the file to run without: {error}"
        ) from error
    return Limits(
        content.size,
        content.mean_low,
        content.mean_high,
        content.clipped_high,
        content.sharpness_low,
        limits,
    )


def _encode(reference: Grey) -> str:
    return base64.b64encode(cv2.imencode(".png", reference)[1].tobytes()).decode()


def _decode(text: str) -> Grey:
    image = decoded(base64.b64decode(text, validate=True), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError("the reference is no PNG")
    return image
