"""Where each message goes: `inspectd/v1/{station}/up/...` from a station, `.../down/...` to it. Pure text."""

import re
from dataclasses import dataclass
from typing import Literal

from cloud_sync.wire.errors import LinkError

ROOT = "inspectd/v1"
STATION_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
SHARE = "$share/collectors-"  # one of the collectors gets each message: only for messages that say all by themselves
ANY_INSPECTIONS = f"{ROOT}/+/up/inspections"
ANY_FEEDBACK = f"{ROOT}/+/up/feedback"
ANY_SAMPLES = f"{ROOT}/+/up/samples"
ANY_DRIFT = f"{ROOT}/+/up/drift"
ANY_FILE = f"{ROOT}/+/up/file/#"
ANY_WANT = f"{ROOT}/+/up/want"
ANY_HEALTH = f"{ROOT}/+/up/health"
ANY_JOB = f"{ROOT}/+/up/job/+"
ANY_STATE = f"{ROOT}/+/up/state"  # never shared: the broker gives what it retains to no shared subscription

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


def shared(pattern: str, group: str) -> str:
    """The subscription by which one of the collectors gets each message.

    Each pattern has a group of its own: rumqttd (in `iotcore`) knows a group by its name alone, and gives nothing of a
    second pattern of the same group.
    """
    return f"{SHARE}{group}/{pattern}"


def inspections(station: str) -> str:
    """Where a station sends its batches of records."""
    return _up(station, "inspections")


def state(station: str) -> str:
    """Where a station says, retained, that it is online; its last will says that it is not."""
    return _up(station, "state")


def feedback(station: str) -> str:
    """Where a station sends what people said of inspections."""
    return _up(station, "feedback")


def samples(station: str) -> str:
    """Where a station sends which inspections it keeps for retraining, and why."""
    return _up(station, "samples")


def drift(station: str) -> str:
    """Where a station says now and then whether what it sees has changed; the next word replaces the last."""
    return _up(station, "drift")


def health(station: str) -> str:
    """Where a station says now and then how it is; the next word replaces the last."""
    return _up(station, "health")


def file_init(station: str, file_id: str) -> str:
    """Where a station offers a file, and asks which bytes of it are there."""
    return _up(station, f"file/{file_id}/init")


def file_chunk(station: str, file_id: str, offset: int) -> str:
    """Where a station sends a file's bytes from `offset` on."""
    return _up(station, f"file/{file_id}/{offset}")


def file_fin(station: str, file_id: str) -> str:
    """Where a station says that it has sent all of a file."""
    return _up(station, f"file/{file_id}/fin")


def want(station: str) -> str:
    """Where a station asks for blocks of a release."""
    return _up(station, "want")


def job_state(station: str, job_id: str) -> str:
    """Where a station says how far it came with what it was offered."""
    return _up(station, f"job/{job_id}")


def ack(station: str) -> str:
    """Where the collector names the records that it has committed."""
    return _down(station, "ack")


def file_ack(station: str) -> str:
    """Where the collector names the bytes of a file that it has committed."""
    return _down(station, "file-ack")


def command(station: str) -> str:
    """Where the cloud tells a station to do something at once: `new-epoch`."""
    return _down(station, "command")


def job(station: str) -> str:
    """Where the cloud offers, retained, a release; an empty message takes the offer back."""
    return _down(station, "job")


def block(station: str, name: str, number: int) -> str:
    """Where a block of a release comes; a station that asks subscribes to `down/block/#`."""
    return _down(station, f"block/{name}/{number}")


def blocks(station: str) -> str:
    """What a station subscribes to for blocks."""
    return _down(station, "block/#")


def parse(topic: str) -> Topic:
    """Take a topic apart. Raises LinkError for any that is not ours."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise LinkError(f"expected a topic {ROOT}/STATION/up|down/SUBJECT, got {topic[:120]!r}")
    station, direction, subject = match.groups()
    return Topic(station, "up" if direction == "up" else "down", subject)


def _up(station: str, subject: str) -> str:
    return f"{ROOT}/{checked_station(station)}/up/{subject}"


def _down(station: str, subject: str) -> str:
    return f"{ROOT}/{checked_station(station)}/down/{subject}"
