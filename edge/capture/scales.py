"""How many millimetres a camera's pixel is: measured by `edge camera scale`, kept in the station's data folder.

One file for each camera, not in a recipe: recipes are of products and hold for every camera, a scale is of how one
camera stands.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from edge.config import ProductSection, StationConfig
from edge.domain.errors import ConfigError, StorageError
from models.durable import replace_file


class KeptScale(BaseModel):
    """A camera's scale as it is kept: what was measured, by what, when, and in which part of which frames."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_: Literal["inspectd.camera-scale.v1"] = Field("inspectd.camera-scale.v1", alias="schema")
    camera: str
    mm_per_px: Annotated[float, Field(gt=0)]
    uncertainty_mm_per_px: Annotated[float, Field(ge=0)]
    by: Literal["checkerboard", "qr", "points"]
    frame_size: tuple[int, int]
    seen_xyxy: tuple[float, float, float, float]
    tilt: float | None
    bend_px: float | None
    measured_at: AwareDatetime


def scale_path(data_dir: Path, camera: str) -> Path:
    """Where a camera's scale is kept."""
    return data_dir / "scales" / f"{camera}.json"


def save_scale(data_dir: Path, scale: KeptScale) -> Path:
    """Keep a camera's scale, whole or not at all, in place of the one before; returns its file. Raises StorageError."""
    path = scale_path(data_dir, scale.camera)
    try:
        replace_file(path, scale.model_dump_json(by_alias=True, indent=1) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write the camera's scale {path}: {error.strerror}") from error
    return path


def load_scale(data_dir: Path, camera: str) -> KeptScale | None:
    """The scale of a camera; None where none is kept.

    Raises:
        ConfigError: the file is there and cannot be used: areas judged by a guess would pass defects.
    """
    path = scale_path(data_dir, camera)
    try:
        kept = KeptScale.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"the camera's scale {path} cannot be used: measure it again with `edge camera scale --save`: {error}"
        ) from error
    if kept.camera != camera:
        raise ConfigError(
            f"the camera's scale {path} is of camera {kept.camera!r}: measure it again with `edge camera scale --save`"
        )
    return kept


def scales_of(config: StationConfig, product: ProductSection) -> dict[str, float]:
    """Millimetres a pixel for each camera whose kept scale a product's recipe needs; empty where it needs none.

    Raises:
        ConfigError: a camera's scale is needed and was never measured, or its file cannot be used.
    """
    if not any(recipe.wants_scale for recipe in product.recipes):
        return {}
    found = known_scales(config)
    missing = [camera for camera, mm_per_px in found.items() if mm_per_px is None]
    if missing:
        raise ConfigError(
            f"product {product.id!r}: the recipe sets min_area_mm2 and no mm_per_px, and camera {missing[0]!r} has no "
            f"kept scale: run `edge camera scale --camera {missing[0]} --save` with a checkerboard, a QR code or two "
            "points, or set mm_per_px"
        )
    return {camera: mm_per_px for camera, mm_per_px in found.items() if mm_per_px is not None}


def known_scales(config: StationConfig) -> dict[str, float | None]:
    """Millimetres a pixel of every camera, as kept; None of one that was never measured. Raises as `load_scale`."""
    kept = {section.id: load_scale(config.station.data_dir, section.id) for section in config.camera}
    return {camera: None if scale is None else scale.mm_per_px for camera, scale in kept.items()}
