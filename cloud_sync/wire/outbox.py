"""What the uplink needs of whoever keeps the station's records and images, and nothing more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Stream(StrEnum):
    """The kinds of record a station sends.

    Inspections, their outcomes and images are counted by the inspection's seq; losses, feedback and samples by their
    own. The order is that in which they are sent: verdicts first, what a person said of them after, samples last.
    """

    LOSSES = "losses"
    INSPECTIONS = "inspections"
    OUTCOMES = "outcomes"
    IMAGES = "images"
    FEEDBACK = "feedback"
    SAMPLES = "samples"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One record that the cloud has not acknowledged.

    Args:
        stream: which kind of record.
        seq: its number; (station, epoch, stream, seq) is the record's identity.
        payload: the record as canonical JSON, UTF-8; its sha256 is the content hash.
        epoch: the one that it was made in, 32 hex digits.
    """

    stream: Stream
    seq: int
    payload: bytes
    epoch: str


@dataclass(frozen=True, slots=True)
class SeqRange:
    """Sequence numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last:
            raise ValueError(f"a range counts up from 1 at least, got {self.first} to {self.last}")


class Outbox(Protocol):
    """The station's unacknowledged records, on its disk. Safe to call from the uplink's thread."""

    def after(self, stream: Stream, seq: int, limit: int) -> Sequence[OutboxRow]:
        """At most `limit` unacknowledged rows of the stream with a seq above `seq`, in seq order."""
        ...

    def acknowledge(self, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:
        """Delete exactly these rows; rows of another epoch stay."""
        ...

    def bury(self, rows: Sequence[OutboxRow], reason: str) -> None:
        """Move rows that can never be sent out of the way, into the dead letters; nothing of them is lost."""
        ...

    def renew(self, epoch: str) -> None:
        """Count in a new epoch from now on; nothing happens unless the one named is still the current one."""
        ...

    def depths(self) -> Mapping[Stream, int]:
        """How many rows of each stream wait; quick, however many."""
        ...
