"""The golden picture beside a sample: what its station itself holds up as a good part, out of the kit that it sent.

- A good master part of the same camera comes first: its picture is what that camera sees. Then the product's reference
  in station.toml, which names no camera.
- A kit is named by its content, so what was found in one is found again without a look.
- What stands in it is a station's word: it is bounded, what cannot be read holds nothing, and a picture is only shown.
"""

import logging
import posixpath
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.station_desks import last_health
from cloud_sync.hub.store.file_tables import files
from cloud_sync.wire.kit import CONFIG, KitError, KitFile, KitManifest, read_manifest
from cloud_sync.wire.records import Sha256

_LIST_MOST_BYTES = 4 << 20
_TOML_MOST_BYTES = 256 << 10
_TOML_LINE_MOST = 2048  # a name of so many parts takes a reader of TOML their square of time
_PICTURE_MOST_BYTES = 64 << 20
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Golden:
    """A picture of a good part: its content, and the name of the master part; empty for the product's reference."""

    sha256: str
    size_bytes: int
    master: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """By which camera of which station which product is seen."""

    station: str
    product: str
    camera: str


class _Master(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, Field(max_length=64)]
    camera: str
    good: bool
    sha256: Sha256


class _Masters(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    masters: tuple[_Master, ...] = ()


def golden_of(connection: sa.Connection, blobs: Blobs, seen: Seen) -> Golden | None:
    """The golden picture, which is here whole; None where the station sent none.

    Args:
        connection: to the store.
        blobs: where kits lie; what was found in a kit is kept for as long as they are.
        seen: by whom, and what.

    Raises:
        BlobError, SQLAlchemyError: the outside world failed.
    """
    said = last_health(connection, seen.station) if seen.station else None
    kit = "" if said is None else said.kit or ""
    size_bytes = _size_of(connection, seen.station, kit)
    if not 0 < size_bytes <= _LIST_MOST_BYTES:
        return None
    found = _in_kit(blobs, kit, size_bytes, seen)  # type: ignore[arg-type]  # each is known by itself
    is_here = found is not None and _size_of(connection, seen.station, found.sha256) == found.size_bytes
    return found if is_here else None


@lru_cache(maxsize=512)
def _in_kit(blobs: Blobs, kit: str, size_bytes: int, seen: Seen) -> Golden | None:
    try:
        manifest = read_manifest(_read(blobs, KitFile(sha256=kit, size_bytes=size_bytes)))
        return _master(blobs, manifest, seen) or _reference(blobs, manifest, seen.product)
    except (KitError, ValidationError, ValueError, AttributeError, TypeError, RecursionError) as error:
        _LOG.warning("no golden picture of station %s in its kit %s: %s", seen.station, kit, error)
        return None


def _master(blobs: Blobs, manifest: KitManifest, seen: Seen) -> Golden | None:
    folder = f"data/masters/{seen.product}"
    listed = manifest.files.get(f"{folder}/masters.json")
    if listed is None:
        return None
    for master in _Masters.model_validate_json(_read(blobs, listed)).masters:
        file = manifest.files.get(f"{folder}/{master.sha256}.png")
        if master.good and master.camera == seen.camera and file is not None:
            return _golden(file, master.name)
    return None


def _reference(blobs: Blobs, manifest: KitManifest, product: str) -> Golden | None:
    config = manifest.files.get(CONFIG)
    if config is None:
        return None
    text = _read(blobs, config, _TOML_MOST_BYTES).decode()
    if max(map(len, text.splitlines()), default=0) > _TOML_LINE_MOST:
        raise KitError("its station.toml has a line that is too long to be read here")
    content = tomllib.loads(text)
    named = next((one.get("reference") for one in content.get("product", []) if one.get("id") == product), None)
    name = _in_kit_called(str(named or ""), str(content.get("station", {}).get("data_dir", "data")))
    file = manifest.files.get(name)
    return None if file is None else _golden(file)


def _in_kit_called(path: str, data_dir: str) -> str:
    """What a kit calls a file that station.toml names; empty for one whose place only its machine knows."""
    plain, own = posixpath.normpath(path), posixpath.normpath(data_dir)
    if plain.startswith(f"{own}/"):
        return f"data/{plain.removeprefix(own + '/')}"
    return "" if plain.startswith(("/", "..")) else f"beside/{plain}"


def _golden(file: KitFile, master: str = "") -> Golden | None:
    return Golden(file.sha256, file.size_bytes, master) if 0 < file.size_bytes <= _PICTURE_MOST_BYTES else None


def _read(blobs: Blobs, file: KitFile, most_bytes: int = _LIST_MOST_BYTES) -> bytes:
    """A list's bytes. Raises BlobError, KitError: it is too long to be one."""
    if file.size_bytes > most_bytes:
        raise KitError(f"a list of {file.size_bytes} bytes is none")
    return blobs.read(file.sha256, 0, file.size_bytes)


def _size_of(connection: sa.Connection, station: str, sha256: str) -> int:
    """How many bytes it has that came whole; 0 where it did not."""
    own = files.c.station == station, files.c.sha256 == sha256, files.c.state == "complete"
    return connection.scalar(sa.select(files.c.size_bytes).where(*own)) or 0
