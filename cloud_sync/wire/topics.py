"""Where each message goes: `inspectd/v1/{station}/up/...` from a station, `.../down/...` to it. Pure text."""

import re
from dataclasses import dataclass
from typing import Literal

from cloud_sync.wire.errors import LinkError

ROOT = "inspectd/v1"
STATION_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
ANY_INSPECTIONS = f"{ROOT}/+/up/inspections"

Direction = Literal["up", "down"]

_STATION = re.compile(STATION_PATTERN)
_TOPIC = re.compile(rf"{ROOT}/({STATION_PATTERN})/(up|down)/([a-z0-9-]+(?:/[A-Za-z0-9._-]+)*)")


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic: whose it is, which way it goes, and what it is about (`inspections`, `ack`, `file/7/init`)."""

    station: str
    direction: Direction
    subject: str


def checked_station(station: str) -> str:
    """The station id itself. Raises LinkError where it could not be a level of a topic."""
    if _STATION.fullmatch(station) is None:
        raise LinkError(f"a station id is 1 to 63 of a-z, 0-9 and '-', not starting with '-'; got {station[:80]!r}")
    return station


def inspections(station: str) -> str:
    """Where a station sends its batches of records."""
    return _up(station, "inspections")


def state(station: str) -> str:
    """Where a station says, retained, that it is online; its last will says that it is not."""
    return _up(station, "state")


def ack(station: str) -> str:
    """Where the collector names the records that it has committed."""
    return f"{ROOT}/{checked_station(station)}/down/ack"


def parse(topic: str) -> Topic:
    """Take a topic apart. Raises LinkError for any that is not ours."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise LinkError(f"expected a topic {ROOT}/STATION/up|down/SUBJECT, got {topic[:120]!r}")
    station, direction, subject = match.groups()
    return Topic(station, "up" if direction == "up" else "down", subject)


def _up(station: str, subject: str) -> str:
    return f"{ROOT}/{checked_station(station)}/up/{subject}"
