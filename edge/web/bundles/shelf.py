"""What lies in the station's store of bundles, as a page shows it. Manifests are read, not verified: `verify` does."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.config import StationConfig
from models.bundle import MANIFEST
from models.bundle_store import StoredBundle, list_bundles
from models.errors import ModelError
from models.manifest import Manifest

REPORTS = ("station.html", "report.html")
_LEARNED = "report.json"
_MANIFEST_MOST_BYTES = 4 << 20


class Origin(StrEnum):
    """Where a version came from."""

    SIGNED = auto()
    CALIBRATED = auto()
    IMPORTED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Shown:
    """A version in the store; `manifest` is None, and `fault` says why, where it cannot be read."""

    stored: StoredBundle
    manifest: Manifest | None
    sha256: str
    fault: str
    origin: Origin
    release: str = ""

    @property
    def reports(self) -> tuple[str, ...]:
        """Its pages: how it does at this station, and how it was made."""
        return tuple(name for name in REPORTS if (self.stored.path / name).is_file())


@dataclass(frozen=True, slots=True)
class Shelf:
    """The versions of one id, newest first, and the products that it looks at.

    `fault` says why they cannot be listed.
    """

    id: str
    products: tuple[str, ...]
    versions: tuple[Shown, ...] = ()
    fault: str = ""

    @property
    def active(self) -> Shown | None:
        """The one that judges, or will."""
        return next((one for one in self.versions if one.stored.active), None)

    @property
    def previous(self) -> Shown | None:
        """The one that a rollback returns to."""
        return next((one for one in self.versions if one.stored.previous), None)


class _Signed(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str


class _Course(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    bundle: str = ""
    version: int = 0
    signed: _Signed | None = None


class _Courses(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    course: _Course | None = None
    others: tuple[_Course, ...] = ()


def shelves(config: StationConfig) -> tuple[Shelf, ...]:
    """Everything in the store, those that products look with first."""
    users: dict[str, list[str]] = {}
    for product in config.product:
        users.setdefault(product.bundle, []).append(product.id)
    try:
        stored = list_bundles(config.bundles_dir)
    except (ModelError, OSError) as error:
        return tuple(Shelf(name, tuple(products), fault=str(error)) for name, products in users.items())
    signed = _signed(config)
    names = dict.fromkeys((*users, *(each.id for each in stored)))
    return tuple(Shelf(name, tuple(users.get(name, ())), _versions(stored, name, signed)) for name in names)


def shown_version(config: StationConfig, bundle_id: str, version: int) -> tuple[Shelf, Shown] | None:
    """A version and the shelf it lies on; None where there is none."""
    for shelf in shelves(config):
        for each in shelf.versions:
            if (shelf.id, each.stored.version) == (bundle_id, version):
                return shelf, each
    return None


def _versions(stored: Sequence[StoredBundle], name: str, signed: Mapping[tuple[str, int], str]) -> tuple[Shown, ...]:
    own = sorted((each for each in stored if each.id == name), key=lambda each: -each.version)
    return tuple(_shown(each, signed.get((each.id, each.version), "")) for each in own)


def _shown(stored: StoredBundle, release: str) -> Shown:
    path = stored.path / MANIFEST
    try:
        manifest, sha256 = _read(path, path.stat().st_mtime_ns)
    except (OSError, ValidationError, ValueError) as error:
        fault = f"{path} cannot be read ({type(error).__name__}): remove this version, or import it again"
        return Shown(stored, None, "", fault, Origin.UNKNOWN)
    return Shown(stored, manifest, sha256, "", _origin(stored.path, manifest, release), release)


@lru_cache(maxsize=512)
def _read(path: Path, _changed_ns: int) -> tuple[Manifest, str]:
    with path.open("rb") as file:
        content = file.read(_MANIFEST_MOST_BYTES)
    return Manifest.model_validate_json(content), hashlib.sha256(content).hexdigest()


def _origin(path: Path, manifest: Manifest, release: str) -> Origin:
    if release:
        return Origin.SIGNED
    if manifest.imported is not None:
        return Origin.IMPORTED
    return Origin.CALIBRATED if (path / _LEARNED).is_file() else Origin.UNKNOWN


def _signed(config: StationConfig) -> dict[tuple[str, int], str]:
    """Which versions were taken from a signed release, by its name, as far as that is still known."""
    try:
        kept = _Courses.model_validate_json((config.station.data_dir / "release.json").read_bytes())
    except (OSError, ValidationError):
        return {}
    return {(one.bundle, one.version): one.signed.name for one in _all(kept) if one.signed is not None and one.version}


def _all(kept: _Courses) -> Iterator[_Course]:
    yield from kept.others
    if kept.course is not None:
        yield kept.course
