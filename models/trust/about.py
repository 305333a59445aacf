"""What is signed about a release besides its bytes: which bundle it is, and for whom. Needs no tuf."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from models.archive import SUFFIX
from models.trust.errors import ForgedError

if TYPE_CHECKING:
    from models.bundle import Bundle


@dataclass(frozen=True, slots=True)
class ReleaseAbout:
    """What a release is.

    Args:
        bundle: the bundle's id.
        version: the bundle's, counted from 1.
        kind: anomaly, classifier or detector.
        classes: what it tells apart.
        product: the product that it was made for.
        stations: who may take it; none named: any station.
        bundle_sha256: the digest of the bundle's manifest, which covers its files.
        parent: the digest of the bundle that it was made from, if any.
    """

    bundle: str
    version: int
    kind: str
    classes: tuple[str, ...]
    product: str
    stations: tuple[str, ...]
    bundle_sha256: str
    parent: str | None = None

    @property
    def name(self) -> str:
        """The file's name, which is the release's."""
        return f"{self.bundle}-v{self.version}{SUFFIX}"

    def as_json(self) -> dict[str, object]:
        """As it is signed."""
        return {
            "bundle": self.bundle,
            "version": self.version,
            "kind": self.kind,
            "classes": list(self.classes),
            "product": self.product,
            "stations": list(self.stations),
            "bundle_sha256": self.bundle_sha256,
            "parent": self.parent,
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what was signed; members that a later version added are left out. Raises ForgedError."""
        if not isinstance(value, Mapping):
            raise ForgedError(f"expected a release's description, got {type(value).__name__}")
        version, parent = value.get("version"), value.get("parent")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ForgedError(f"expected a release's version from 1 on, got {str(version)[:40]!r}")
        if parent is not None and not isinstance(parent, str):
            raise ForgedError(f"expected the parent's digest, got {type(parent).__name__}")
        texts = {name: _text(value, name) for name in ("bundle", "kind", "product", "bundle_sha256")}
        lists = {name: _texts(value, name) for name in ("classes", "stations")}
        return cls(version=version, parent=parent, **texts, **lists)  # type: ignore[arg-type]


def about_of(bundle: "Bundle", product: str, stations: tuple[str, ...] = ()) -> ReleaseAbout:
    """What is to be signed about a bundle."""
    return ReleaseAbout(
        bundle=bundle.manifest.id,
        version=bundle.manifest.version,
        kind=bundle.manifest.kind,
        classes=tuple(bundle.manifest.classes),
        product=product,
        stations=stations,
        bundle_sha256=bundle.model_id.sha256,
        parent=bundle.manifest.parent,
    )


def _text(value: Mapping[object, object], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise ForgedError(f"expected text as a release's {name}, got {type(found).__name__}")
    return found


def _texts(value: Mapping[object, object], name: str) -> tuple[str, ...]:
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ForgedError(f"expected a list of texts as a release's {name}, got {type(found).__name__}")
    return tuple(found)
