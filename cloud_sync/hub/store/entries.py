"""What goes into the store."""

from dataclasses import dataclass
from typing import NamedTuple

from cloud_sync.wire.outbox import Stream


class Key(NamedTuple):
    """A record's identity; keys sort by it, as the database does."""

    station: str
    epoch: str
    stream: Stream
    seq: int


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A valid record and what can be asked of it without reading its bytes.

    Args:
        key: its identity.
        payload: its exact bytes.
        part_id: the inspected part.
        verdict: of an inspection; what the line was told, of an outcome.
        outcome: of an outcome: told, late, unconfirmed.
        made_at_ms: when the station made it by its own clock, milliseconds since 1970; None where it does not say.
        lost: of a tombstone: how many records were lost.
        product: of an inspection.
        model: of an inspection: which looked, as ID-vN; "" where none did.
    """

    key: Key
    payload: bytes
    part_id: str
    verdict: str | None = None
    outcome: str | None = None
    made_at_ms: int | None = None
    lost: int = 0
    product: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that came and is not our protocol.

    Args:
        topic: where it came.
        payload: its bytes.
        reason: why it is none of ours.
        station: who sent it; None where the topic names nobody.
        claims: the record that it would have been, where that much can be read.
    """

    topic: str
    payload: bytes
    reason: str
    station: str | None
    claims: Key | None = None


@dataclass(frozen=True, slots=True)
class Inserted:
    """What one call did.

    Args:
        stored: records that are new.
        duplicates: records that came again with the same content.
        quarantined: identities that were held with other content; now in quarantine, where they may have been before.
        dropped: dead letters beyond what one station may fill in an hour; counted and not kept.
        made_at_ms: when the new records were made, of those that say it.
    """

    stored: int
    duplicates: int
    quarantined: tuple[Key, ...]
    dropped: tuple[DeadLetter, ...] = ()
    made_at_ms: tuple[int, ...] = ()


def storable(text: str) -> str:
    """The text as every database of ours can hold it: PostgreSQL's has no NUL."""
    return text.replace("\0", "\ufffd")
