"""A product's master parts as a page shows them: each with what the last check made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.config import ProductSection
from edge.domain.errors import StorageError
from edge.masters.store import Master, MasterStore
from edge.record.checks import CheckRecord, MasterRecord, last_checks
from edge.web.here import Here

WORDS = frozenset({"passed", "due", "failed", "never", "outdated", "expired"})


@dataclass(frozen=True, slots=True)
class Part:
    """A master part, and what the last check says of it; None where it was not in it."""

    master: Master
    last: MasterRecord | None


@dataclass(frozen=True, slots=True)
class OfProduct:
    """One product's.

    Args:
        section: of station.toml.
        parts: its master parts.
        fault: why they cannot be listed; empty where they can.
        last: the last check that came to an end, with its number; None where there was none.
        word: how the product stands by what the daemon said last; empty where no daemon runs.
        why: what it wants.
        left_s: seconds until the next check is due; None where none is by time.
    """

    section: ProductSection
    parts: tuple[Part, ...]
    fault: str
    last: tuple[int, CheckRecord] | None
    word: str
    why: str
    left_s: float | None

    @property
    def wants(self) -> tuple[str, ...]:
        """Which kind of part a check lacks: good, bad."""
        return tuple(
            word
            for word, good in (("good", True), ("bad", False))
            if all(one.master.good is not good for one in self.parts)
        )

    @property
    def age_min(self) -> int | None:
        """Whole minutes since the last check."""
        return None if self.last is None else max(0, int((datetime.now(UTC) - self.last[1].at).total_seconds() // 60))

    @property
    def left_min(self) -> int | None:
        """Whole minutes until the next check is due."""
        return None if self.left_s is None else max(0, int(self.left_s // 60))


class Answered(BaseModel):
    """What `edge verify-masters` answered of one product; `check` is its number, None where none was written."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    check: int | None = None
    outcome: str = ""
    why: str = ""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    checks: tuple[Answered, ...] = ()


def answered(answer: Mapping[str, object]) -> tuple[Answered, ...]:
    """What an answer says; what cannot be read of another version's says nothing."""
    try:
        return _Answer.model_validate(answer).checks
    except ValidationError:
        return ()


def products(here: Here) -> tuple[bool, tuple[OfProduct, ...]]:
    """Whether the station runs, and all its products. Raises StorageError: the database refuses."""
    running, standings = _standings(here)
    known = last_checks(here.config.database_path) if here.config.database_path.exists() else {}
    return running, tuple(
        _product(here, section, known.get(section.id), standings.get(section.id, {})) for section in here.config.product
    )


def _product(
    here: Here, section: ProductSection, last: tuple[int, CheckRecord] | None, stands: Mapping[str, object]
) -> OfProduct:
    masters, fault = _masters(here, section.id)
    said = {one.sha256: one for one in last[1].masters} if last is not None else {}
    left_s = stands.get("left_s")
    word = str(stands.get("word", ""))
    return OfProduct(
        section=section,
        parts=tuple(Part(one, said.get(one.sha256)) for one in masters),
        fault=fault,
        last=last,
        word=word if word in WORDS else "",
        why=str(stands.get("why", "")),
        left_s=None if left_s is None else float(str(left_s)),
    )


def _masters(here: Here, product: str) -> tuple[tuple[Master, ...], str]:
    try:
        return MasterStore(here.config.station.data_dir, product).masters(), ""
    except StorageError as error:
        return (), str(error)


def _standings(here: Here) -> tuple[bool, Mapping[str, Mapping[str, object]]]:
    try:
        said = here.status()
    except StorageError:  # it never ran here: master parts can be added all the same
        return False, {}
    if not said["running"]:
        return False, {}
    return True, cast("Mapping[str, Mapping[str, object]]", said.get("masters") or {})
