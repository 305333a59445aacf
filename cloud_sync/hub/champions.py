"""The bundle in use for a product, as far as the cloud knows: from the last release that is live, else from a kit.

- A release counts where a station says that it decides by it, and its rollout was not stopped. It was signed here, or
  somebody began its rollout here.
- With no such release it is what was calibrated at the station that cloud.toml names: the active bundle in its kit.
  What a station says of itself is no reason to measure against its model: any of them can write any product into its
  station.toml, and a poor model there would let poor challengers through.
- Where stations hold one and none is named, somebody has to name it: without a champion only absolute limits hold.
- What is given back was verified, every byte of it.
"""

import logging
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.files.releases import Release
from cloud_sync.hub.plain import without_password
from cloud_sync.hub.rollout.fleet import inspects, signed_about
from cloud_sync.hub.sparing import last_kit
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.file_tables import jobs, releases
from cloud_sync.hub.store.rollout_tables import rollouts
from cloud_sync.hub.store.tables import conditions, stations
from cloud_sync.wire.kit import CONFIG, KitError, KitFile, KitManifest
from models.archive import SUFFIX, unpack
from models.bundle import open_bundle
from models.scratch import FETCHING, scratch_folder, sweep

_PIECE_BYTES = 1 << 20
_NAMED_MOST = 8
_logger = logging.getLogger(__name__)


class UnnamedChampionError(Exception):
    """A station may hold the bundle in use, and nobody said that it counts."""


def champion_of(place: str, blobs: Blobs, product: str, into: Path, station: str = "") -> Path | None:
    """The folder of the bundle in use, verified, below `into`; None where there is none yet.

    Args:
        place: the store's path or URL.
        blobs: where releases and kits lie.
        product: whose bundle.
        into: a folder; what an earlier call left there is used again if it still verifies.
        station: whose own bundle counts until a release is live; empty: nobody's.

    Raises:
        UnnamedChampionError: stations hold one, and none is named.
        StoreError, BlobError, TrustError: the outside world failed, or the station that is named sent no kit.
        KitError: a kit is damaged, or of a newer version.
        ModelError: what is there does not verify.
    """
    into.mkdir(parents=True, exist_ok=True)
    sweep(into)
    release = _live_release(place, product)
    if release is not None:
        return _unpacked(blobs, release, into)
    if station:
        return _calibrated(place, blobs, product, into, station)
    held = [name for name, is_ours in _with_kits(place, product) if _may_hold(place, blobs, name, product, is_ours)]
    if held:
        raise UnnamedChampionError(
            f"new models of {product!r} are measured against the one in use, and {', '.join(held[:_NAMED_MOST])} may "
            f'hold it: set champion_station = "{held[0]}" (or another) for this product in cloud.toml'
        )
    return None


def _calibrated(place: str, blobs: Blobs, product: str, into: Path, station: str) -> Path:
    manifest, _ = last_kit(place, blobs, station)
    folder = _active(blobs, manifest, product)
    if folder is None:
        raise KitError(f"station {station!r} is named as champion_station, and its kit holds no bundle of {product!r}")
    return _copied(blobs, manifest, folder, into)


def _may_hold(place: str, blobs: Blobs, station: str, product: str, is_ours: bool) -> bool:  # noqa: FBT001 - of a pair
    """Whether a station's kit has a bundle of the product; one that cannot be read may, where it inspects that."""
    try:
        return _active(blobs, last_kit(place, blobs, station)[0], product) is not None
    except (KitError, StoreError) as error:  # on its way, damaged, or of a newer version
        _logger.warning("the kit of station %s cannot be read: %s", station, error)
        return is_ours


def _live_release(place: str, product: str) -> Release | None:
    """The newest release of the product that is live somewhere and was not stopped."""
    columns = releases.c.name, releases.c.sha256, releases.c.size_bytes
    for row in _rows(
        place,
        sa.select(*columns, rollouts.c.product)
        .join(jobs, jobs.c.name == releases.c.name)
        .outerjoin(rollouts, rollouts.c.release == releases.c.name)
        .where(jobs.c.state == "live", sa.or_(rollouts.c.state.is_(None), rollouts.c.state != "stopped"))
        .order_by(releases.c.made_at_ms.desc(), jobs.c.changed_at_ms.desc()),  # one left behind counts on, and is older
    ):
        if (row.product or _product_signed(place, row.name)) == product:
            return Release(row.name, row.sha256, row.size_bytes)
    return None


def _product_signed(place: str, release: str) -> str | None:
    about = signed_about(place, release)
    return None if about is None else about.product


def _unpacked(blobs: Blobs, release: Release, into: Path) -> Path:
    target = into / release.name.removesuffix(SUFFIX)
    if target.exists():
        return open_bundle(target).path
    with scratch_folder(into, FETCHING) as scratch:
        archive = scratch / release.name
        _fetch(blobs, KitFile(sha256=release.sha256, size_bytes=release.size_bytes), archive)
        return unpack(archive, target).path


def _with_kits(place: str, product: str) -> list[tuple[str, bool]]:
    """Stations that sent a kit, and whether they inspect the product: those first, then the one heard last."""
    seen = stations.c.station == conditions.c.station
    query = sa.select(conditions.c.station, conditions.c.health).outerjoin(stations, seen)
    last = sa.func.coalesce(stations.c.last_seen_at_ms, 0).desc()
    rows = _rows(place, query.order_by(last, conditions.c.station))
    names = [row.station for row in rows if row.health and '"kit":"' in row.health]
    with _reading(place) as connection:
        known = [(name, inspects(connection, name, product)) for name in names]
    return sorted(known, key=lambda one: not one[1])


def _active(blobs: Blobs, manifest: KitManifest, product: str) -> str | None:
    """The folder in the kit that the product's active bundle is in; None where the station knows no such product."""
    config = manifest.files.get(CONFIG)
    if config is None:
        return None
    try:
        content = tomllib.loads(blobs.read(config.sha256, 0, config.size_bytes).decode())
        bundle = next((one.get("bundle") for one in content.get("product", []) if one.get("id") == product), None)
    except (ValueError, AttributeError, TypeError) as error:  # a station wrote it: no TOML, or none of ours
        raise KitError(f"{CONFIG} in the kit of station {manifest.station!r} cannot be read: {error}") from error
    version = manifest.links.get(f"data/bundles/{bundle}/active")
    return None if version is None else f"data/bundles/{bundle}/{version}"


def _copied(blobs: Blobs, manifest: KitManifest, folder: str, into: Path) -> Path:
    name, version = folder.split("/")[2:]
    digest = manifest.files[f"{folder}/bundle.json"].sha256 if f"{folder}/bundle.json" in manifest.files else ""
    target = into / f"{name}-{version}-{digest[:12]}"
    if target.exists():
        return open_bundle(target).path
    with scratch_folder(into, FETCHING) as scratch:
        made = scratch / "bundle"
        for file, entry in _below(manifest, folder):
            _fetch(blobs, entry, made / file)
        open_bundle(made)
        shutil.move(made, target)
    return open_bundle(target).path


def _below(manifest: KitManifest, folder: str) -> Iterator[tuple[str, KitFile]]:
    for name, entry in manifest.files.items():
        if name.startswith(f"{folder}/"):
            yield name.removeprefix(f"{folder}/"), entry


def _fetch(blobs: Blobs, entry: KitFile, target: Path) -> None:
    """Piece by piece; what comes is checked by whoever opens the bundle. Raises BlobError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for first in range(0, entry.size_bytes, _PIECE_BYTES):
            file.write(blobs.read(entry.sha256, first, min(first + _PIECE_BYTES, entry.size_bytes)))


def _rows(place: str, query: sa.Select[tuple[object, ...]]) -> list[sa.Row[tuple[object, ...]]]:
    with _reading(place) as connection:
        return list(connection.execute(query))


@contextmanager
def _reading(place: str) -> Iterator[sa.Connection]:
    """A store that is there. Raises StoreError."""
    engine = open_engine(place, create=False)
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"cannot read {without_password(place)}: {cause}") from error
    finally:
        engine.dispose()
