"""What is measured: how many cameras, which images are kept, where the broker is. Pure.

One thing is changed at a time, each from the first setting: one camera less or more, images kept, broker there or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from edge.domain.errors import ConfigError

MOST_CAMERAS = 16


class Pace(StrEnum):
    """How parts come: as fast as they are told, or at a steady rate that leaves room."""

    AS_TOLD = "as told"
    PACED = "paced"


class BrokerState(StrEnum):
    """What the station's uplink finds."""

    NONE = "none"
    UP = "up"
    DOWN = "down"
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Setting:
    """One station to measure; it is started anew for each."""

    cameras: int
    images: Literal["none", "all"] = "none"
    broker: BrokerState = BrokerState.NONE

    @property
    def text(self) -> str:
        """In a few words: what differs from the plainest station of as many cameras."""
        cameras = f"{self.cameras} cam{'s'[: self.cameras - 1]}"
        kept = ["images kept"] if self.images == "all" else []
        broker = [] if self.broker is BrokerState.NONE else [f"broker {self.broker}"]
        return ", ".join([cameras, *kept, *broker])

    @property
    def needs_broker(self) -> bool:
        """Whether a broker has to run for it."""
        return self.broker in {BrokerState.UP, BrokerState.HUNG}


def choose_settings(cameras: Sequence[int], *, quick: bool) -> tuple[Setting, ...]:
    """The settings to measure, the plainest first; `quick` leaves out those that take longest to differ."""
    first = Setting(cameras[0])
    others = [replace(first, images="all"), replace(first, broker=BrokerState.UP)]
    if not quick:
        others += [replace(first, broker=BrokerState.DOWN), replace(first, broker=BrokerState.HUNG)]
    return (*(Setting(count) for count in cameras), *others)


def parse_cameras(text: str) -> tuple[int, ...]:
    """Camera counts from "1,2,4", ascending.

    Raises:
        ConfigError: no count, or one that cannot be.
    """
    try:
        counts = sorted({int(word) for word in text.split(",")})
    except ValueError:
        counts = []
    if not counts or counts[0] < 1 or counts[-1] > MOST_CAMERAS:
        raise ConfigError(f"--cameras is a list of 1 to {MOST_CAMERAS} such as 1,2,4, got {text!r}")
    return tuple(counts)


def parts_in_flight(deadline_ms: float, one_ms: float) -> int:
    """How many parts may wait at once, 1 to 4, so that waiting for one another alone makes none late.

    Args:
        deadline_ms: the line's.
        one_ms: from trigger to told where no other part waits.
    """
    return max(1, min(4, int(0.6 * deadline_ms / max(one_ms, 0.001))))
