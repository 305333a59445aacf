"""A station's configuration, copied for measuring: its product, recipe and inference; other data, ports and outputs."""

import json
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.wire.broker import free_port
from edge.bench.frames import Frames
from edge.bench.settings import Setting
from edge.capture.scales import scales_of
from edge.config import CameraSection, ProductSection, StationConfig
from edge.config_looks import MastersSection

_TIMEOUT_MS = 2000.0
_MAX_AGE_MS = 5000.0
_SHARED = ("bundles", "plans")


@dataclass(frozen=True, slots=True)
class ScratchStation:
    """A copy on disk, not running yet.

    Args:
        folder: holds everything it writes.
        file: its station.toml.
        config: what stands in it.
    """

    folder: Path
    file: Path
    config: StationConfig


def scratch_config(
    config: StationConfig, product: ProductSection, setting: Setting, frames: Frames, folder: Path
) -> StationConfig:
    """The configuration to measure with: no output, no port, no file of the station's own, and all cameras replayed.

    Args:
        config: the station's.
        product: which of its products.
        setting: what shall be measured.
        frames: what every camera shows.
        folder: of the copy.

    Raises:
        ConfigError: the recipe needs a camera's scale, and none is kept.
    """
    cameras = [_camera(config.camera[index % len(config.camera)], index, frames) for index in range(setting.cameras)]
    code = product.code and product.code.model_copy(
        update={"camera": cameras[0].id, "on_unreadable": "allow", "on_repeat": "allow"}
    )
    reference = frames.reference or product.reference
    scale = next(iter(scales_of(config, product).values()), product.recipe.mm_per_px)
    recipe = product.recipe.model_copy(update={"mm_per_px": scale})
    own = {"code": code, "reference": reference, "recipe": recipe, "masters": MastersSection()}
    changes = {
        "station": config.station.model_copy(update={"id": "bench", "data_dir": folder / "data"}),
        "camera": cameras,
        "product": [product.model_copy(update=own)],
        "line": config.line.model_copy(update={"port": f"tcp://127.0.0.1:{free_port()}"}),
        "sync": config.sync.model_copy(update={"broker": None, "spare_kit": False}),
        "retention": config.retention.model_copy(update={"images": setting.images}),
        "output": [],
    }
    return config.model_copy(update=changes)


def write_scratch(config: StationConfig, original: StationConfig, cache: Path, folder: Path) -> ScratchStation:
    """Put the copy on disk: station.toml, and links to the bundles and to the compiled graphs that all copies share."""
    data = config.station.data_dir
    data.mkdir(parents=True)
    cache.mkdir(exist_ok=True)
    for name in _SHARED:
        if (source := original.station.data_dir / name).exists():
            (data / name).symlink_to(source.absolute())
    config.cache_dir.symlink_to(cache.absolute())
    file = folder / "station.toml"
    file.write_text(as_toml(config), encoding="utf-8")
    return ScratchStation(folder, file, config)


def as_toml(config: StationConfig) -> str:
    """The configuration as a file that `load_config` reads back as the same, a section to a line."""
    content = config.model_dump(mode="json", exclude_none=True)
    return "".join(f"{name} = {_value(value)}\n" for name, value in content.items())


def _value(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(name)} = {_value(one)}" for name, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _camera(like: CameraSection, index: int, frames: Frames) -> CameraSection:
    return CameraSection(
        id=f"bench-{index + 1}",
        source=str(frames.folder.absolute()),
        trigger="software",
        loop=True,
        timeout_ms=_TIMEOUT_MS,
        max_age_ms=_MAX_AGE_MS,
        buffer_frames=like.buffer_frames,
        checks=like.checks,
    )
