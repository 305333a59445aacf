"""The one thing inspected, and the verdict on it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from edge.domain.errors import ConfigError

PART_ID_LIMIT = 128


class Verdict(StrEnum):
    """What the line is told; anything but PASS is treated as a reject by the line."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    REJECT = "REJECT"
    UNDECIDED = "UNDECIDED"


_SEVERITY = {Verdict.PASS: 0, Verdict.REJECT: 1, Verdict.UNDECIDED: 2}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a part from those of its cameras: one UNDECIDED outweighs all; none at all is UNDECIDED."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.UNDECIDED)


@dataclass(frozen=True, slots=True)
class Part:
    """One part on its way past the station.

    Args:
        part_id: from trigger, barcode or counter; 1 to 128 printable characters.
        product: what kind of part; selects recipe and bundle.
        triggered_at: when the trigger arrived, UTC.
        triggered_s: the same moment on the monotonic clock, seconds.
        cameras: the cameras that must see it; empty means all of the station's.
        master: it is no production, but the master part of this name.

    Raises:
        ConfigError: an empty, overlong or unprintable id, or a time without zone.
    """

    part_id: str
    product: str
    triggered_at: datetime
    triggered_s: float
    cameras: tuple[str, ...] = ()
    master: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.part_id) <= PART_ID_LIMIT or not self.part_id.isprintable():
            raise ConfigError(f"part_id must be 1 to {PART_ID_LIMIT} printable characters, got {self.part_id[:140]!r}")
        if not self.product:
            raise ConfigError(f"part {self.part_id!r} names no product")
        if self.triggered_at.tzinfo is None:
            raise ConfigError(f"part {self.part_id!r}: triggered_at needs a time zone, got {self.triggered_at}")
