"""A verified file on its way into the station's bundle store: what was signed, whole, fitting, tried, once.

Every step may be done again after a kill, and gives the same.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.capture.scales import scales_of
from edge.config import ProductSection, StationConfig
from edge.domain.errors import ConfigError, StorageError
from edge.fitting import fitting_recipes, fitting_reference
from edge.release.around import Trust
from edge.release.trial import Limits, try_apart
from models import bundle_store
from models.archive import unpack
from models.bundle import Bundle, open_bundle, open_for_line
from models.errors import ModelError
from models.spec import Kind
from models.trust.verifying import Target, check_file

_UNPACKED = "unpacked"


@dataclass(frozen=True, slots=True)
class Taken:
    """A release as a version of the station's own; not active.

    Args:
        bundle: opened.
        rejects_masters: whether it rejected bad master parts in its trial.
    """

    bundle: Bundle
    rejects_masters: bool


def users_of(config: StationConfig, bundle_id: str) -> list[ProductSection]:
    """The products that this bundle looks at."""
    return [section for section in config.product if section.bundle == bundle_id]


def admitted(trust: Trust, config: StationConfig, name: str, stated: tuple[int, str]) -> Target:
    """What was signed of a release, if this station may take it.

    Args:
        trust: refreshed.
        config: says who the station is, and what it looks at.
        name: of the release.
        stated: size in bytes and sha256 by the offer.

    Raises:
        TrustError: it may not.
        ModelError: the offer names another file than the one that was signed.
    """
    signed = trust.admitted(name, config.station.id, {section.bundle for section in config.product})
    if (signed.size_bytes, signed.sha256) != stated:
        raise ModelError(
            f"{name!r} is offered with other bytes than those that were signed: it was exchanged on its way"
        )
    return signed


def take(config: StationConfig, signed: Target, file: Path, limits: Limits) -> Taken:
    """Unpack, look whether it fits, try it in a process of its own, and put it into the store.

    Raises:
        ConfigError: no product here has a recipe for it, or it wants a reference that is not there.
        ModelError: the file is not what was signed, its gate refused it, or it does not pass its trial.
        StorageError: the disk refuses.
    """
    about = signed.about
    check_file(signed, file)
    try:
        draft = _unpacked(config, file, about.bundle_sha256)
        users = users_of(config, about.bundle)
        for section in users:
            check_fits(config, section, draft)
        tried = try_apart(config, draft, [section.id for section in users], limits)
        bundle = adopt(config, about.bundle, draft)
        shutil.rmtree(draft.path, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot take {file.name} into {config.bundles_dir}: {error}: make room") from error
    return Taken(bundle, tried.rejects_masters)


def check_fits(config: StationConfig, section: ProductSection, bundle: Bundle) -> None:
    """Whether a product could run it. Raises ConfigError, ModelError."""
    kind = bundle.spec.kind
    if kind not in {Kind(one.kind) for one in section.recipes}:
        raise ConfigError(f"product {section.id!r} has no recipe for kind {kind.value!r}: add one to its other_recipes")
    fitting_recipes(section, bundle, scales_of(config, section))
    fitting_reference(section, bundle.spec)


def adopt(config: StationConfig, bundle_id: str, draft: Bundle) -> Bundle:
    """The release as the station's own next version; once, however often a kill has it done again.

    Raises:
        ModelError: it changed since it was opened.
    """
    root, release = config.bundles_dir, draft.model_id.sha256
    for stored in reversed([one for one in bundle_store.list_bundles(root) if one.id == bundle_id]):
        if (found := _made_of(stored.path, draft, release)) is not None:
            return found
    return bundle_store.copy_next(root, bundle_id, draft, datetime.now(UTC), parent=release)


def _made_of(path: Path, draft: Bundle, release: str) -> Bundle | None:
    """The version that lies there, if it is this very release."""
    try:
        found = open_for_line(path)
    except ModelError:  # a damaged version is another's matter: the release is copied anew
        return None
    same = found.manifest.parent == release and found.manifest.files == draft.manifest.files
    return found if same else None


def _unpacked(config: StationConfig, file: Path, sha256: str) -> Bundle:
    """The release's bundle, as it was signed. Raises ModelError, OSError."""
    into = config.releases_dir / _UNPACKED / sha256
    _clear(into.parent, [into])
    bundle = open_bundle(into) if _is_whole(into) else unpack(file, into)
    if bundle.model_id.sha256 != sha256:
        shutil.rmtree(into)
        raise ModelError(f"{file.name}: its manifest is {bundle.model_id.sha256[:12]}, signed was {sha256[:12]}")
    return open_for_line(into)


def _is_whole(folder: Path) -> bool:
    """Whether a run before this one unpacked it; what does not verify is taken away."""
    if not folder.exists():
        return False
    try:
        open_bundle(folder)
    except ModelError:
        shutil.rmtree(folder)
        return False
    return True


def _clear(folder: Path, kept: Sequence[Path]) -> None:
    """Take away what kills left, and what other releases did."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)
