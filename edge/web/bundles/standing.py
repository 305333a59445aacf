"""Which bundle the running station judges with, beside the one that is active on disk, and the release under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from edge.domain.errors import StorageError
from edge.web.bundles.shelf import Shelf
from edge.web.here import Here

COUNTS = (
    "parts",
    "skipped",
    "disagreements",
    "passes_of_rejects",
    "undecided",
    "rejects",
    "champion_rejects",
    "faults",
)


@dataclass(frozen=True, slots=True)
class Judging:
    """What a product's parts are judged with now; `same` where that is the version that is active on disk."""

    product: str
    version: int
    precision: str
    same: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How the station stands; `running` False where its daemon is dead or silent, `why` as it said itself."""

    running: bool = False
    why: str = ""
    judging: tuple[Judging, ...] = ()
    release: Mapping[str, object] | None = None
    shadows: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    alarm: str = ""

    @property
    def waits(self) -> bool:
        """Whether the station has yet to take what is active on disk."""
        return self.running and any(not each.same for each in self.judging)


def counted(figures: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """The counts among some figures, by word."""
    return tuple((word, f"{float(str(figures[word])):g}") for word in COUNTS if word in figures)


def standing(here: Here, shelves: tuple[Shelf, ...]) -> Standing:
    """How it stands now, by what the daemon last said."""
    try:
        said = here.status()
    except StorageError as error:
        return Standing(why=str(error))
    models = cast("Mapping[str, Mapping[str, object]]", said.get("models") or {})
    active = {product: shelf.active for shelf in shelves for product in shelf.products}
    judging = [
        Judging(
            product,
            int(str(model["version"])),
            str(model["precision"]),
            same=(one := active.get(product)) is not None and one.sha256 == model["sha256"],
        )
        for product, model in models.items()
    ]
    return Standing(
        running=bool(said["running"]),
        why=str(said.get("why") or ""),
        judging=tuple(judging) if said["running"] else (),
        release=cast("Mapping[str, object] | None", said.get("release")),
        shadows=cast("Mapping[str, Mapping[str, object]]", said.get("shadows") or {}),
        alarm=str(cast("Mapping[str, object]", said.get("alarms") or {}).get("release", "")),
    )
