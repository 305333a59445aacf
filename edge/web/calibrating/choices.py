"""What the form of a calibration offers, and what of an answer to it does not fit this station."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.config import ProductSection, StationConfig
from edge.web.bundles.shelf import Shown, shelves
from edge.web.calibrating.asked import LIVE, NONE, PASSED, Asked, Chosen, Wrong
from edge.web.folders import Folder, folders
from models.manifest import Manifest
from models.spec import Precision

_MOST_BUNDLES = 100
_LET_THROUGH = frozenset({"passed", "not proven"})


@dataclass(frozen=True, slots=True)
class Offer:
    """A bundle of the store that can be taken; `key` is how a form names it."""

    key: str
    shown: Shown
    manifest: Manifest

    @property
    def can_be_quantized(self) -> bool:
        """Whether it holds a float graph, and does not run in INT8 already."""
        own = self.manifest.precision
        return own is not Precision.INT8 and (own is Precision.FP32 or "fp32/model.xml" in self.manifest.files)


@dataclass(frozen=True, slots=True)
class Choices:
    """All that can be chosen: products, cameras, folders of pictures, and bundles by their keys."""

    products: Mapping[str, ProductSection]
    cameras: tuple[str, ...]
    folders: tuple[Folder, ...]
    bundles: Mapping[str, Offer]

    @property
    def flat(self) -> tuple[Folder, ...]:
        """Folders that hold pictures themselves: frames are read from no deeper."""
        return tuple(each for each in self.folders if each.pictures)

    def folder(self, key: str) -> Folder | None:
        """The folder of a key."""
        return next((each for each in self.folders if each.key == key), None)

    def chosen(self, asked: Asked) -> Chosen:
        """The folders and the bundle that are named; stored pictures are still to be gathered."""
        bundle = self.bundles.get(asked.bundle) if asked.what == "bundle" else None
        tried = asked.what != "checks"
        return Chosen(
            frames=self._path(asked.source),
            defects=self._path(asked.defects) if tried else None,
            repeats=self._path(asked.repeats) if tried else None,
            bundle=None if bundle is None else bundle.shown.stored.path,
        )

    def _path(self, key: str) -> Path | None:
        found = self.folder(key)
        return None if found is None else found.path


def choices(config: StationConfig) -> Choices:
    """What this station has."""
    return Choices(
        products={section.id: section for section in config.product},
        cameras=tuple(section.id for section in config.camera),
        folders=folders(config, nested=True),
        bundles=_bundles(config),
    )


def against(asked: Asked, has: Choices) -> dict[str, Wrong]:
    """What does not fit, by field; a field that means nothing beside the others is not looked at."""
    rules: tuple[tuple[str, Callable[[Asked, Choices], Wrong | None]], ...] = (
        ("product", _product),
        ("camera", _camera),
        ("bundle", _bundle),
        ("quantize", _quantize),
        ("source", _source),
        ("defects", _defects),
        ("repeats", _repeats),
        ("escape_percent", _escape),
    )
    return {name: wrong for name, rule in rules if (wrong := rule(asked, has)) is not None}


def _bundles(config: StationConfig) -> dict[str, Offer]:
    every = (each for shelf in shelves(config) for each in shelf.versions)
    offers = (
        Offer(f"{each.stored.id}/{each.stored.version}", each, each.manifest)
        for each in every
        if each.manifest is not None and _runs(each.manifest)
    )
    return {offer.key: offer for offer, _ in zip(offers, range(_MOST_BUNDLES), strict=False)}


def _runs(manifest: Manifest) -> bool:
    """No INT8 graph that its gate refused or never saw: the command takes none."""
    return manifest.precision is not Precision.INT8 or manifest.gate.outcome in _LET_THROUGH


def _product(asked: Asked, has: Choices) -> Wrong | None:
    return None if asked.product in has.products else Wrong("calibrate.wrong_choice")


def _camera(asked: Asked, has: Choices) -> Wrong | None:
    return None if asked.camera in {"", *has.cameras} else Wrong("calibrate.wrong_choice")


def _bundle(asked: Asked, has: Choices) -> Wrong | None:
    if asked.what != "bundle":
        return None
    offer, section = has.bundles.get(asked.bundle), has.products.get(asked.product)
    if offer is None or section is None:
        return Wrong("calibrate.wrong_bundle")
    kinds = {recipe.kind for recipe in section.recipes}
    if offer.manifest.kind not in kinds:
        return Wrong("calibrate.unfit_kind", {"product": section.id, "kinds": ", ".join(sorted(kinds))})
    compares = len(offer.manifest.inputs) > 1
    return Wrong("calibrate.needs_reference", {"product": section.id}) if compares and not section.reference else None


def _quantize(asked: Asked, has: Choices) -> Wrong | None:
    if asked.what != "bundle" or not asked.quantize:
        return None
    offer = has.bundles.get(asked.bundle)
    if offer is not None and not offer.can_be_quantized:
        return Wrong("calibrate.no_float_graph")
    return Wrong("calibrate.needs_frames") if asked.source == NONE else None


def _source(asked: Asked, has: Choices) -> Wrong | None:
    if asked.source == LIVE:
        return None if asked.what == "model" else Wrong("calibrate.live_learns")
    if asked.source == NONE:
        return None if asked.what == "bundle" else Wrong("calibrate.needs_frames")
    known = asked.source == PASSED or asked.source in {each.key for each in has.flat}
    return None if known else Wrong("calibrate.choose_folder")


def _defects(asked: Asked, has: Choices) -> Wrong | None:
    if not asked.defects or asked.what == "checks":
        return None
    if has.folder(asked.defects) is None:
        return Wrong("calibrate.choose_folder")
    return Wrong("calibrate.needs_frames") if asked.source == NONE else None


def _repeats(asked: Asked, has: Choices) -> Wrong | None:
    if not asked.repeats or asked.what == "checks":
        return None
    if has.folder(asked.repeats) is None:
        return Wrong("calibrate.choose_folder")
    return None if asked.study else Wrong("calibrate.repeats_need_study")


def _escape(asked: Asked, _: Choices) -> Wrong | None:
    wanted = asked.what != "checks" and asked.escape_percent is not None
    return Wrong("calibrate.escape_needs_defects") if wanted and not asked.defects else None
