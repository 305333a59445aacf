"""What the uplink needs of whoever keeps the station's records, and nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Stream(StrEnum):
    """The kinds of record a station sends; each is counted by the inspection's seq."""

    INSPECTIONS = "inspections"
    OUTCOMES = "outcomes"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One record that the cloud has not acknowledged.

    Args:
        stream: which kind of record.
        seq: the inspection's number; (station, epoch, stream, seq) is the record's identity.
        payload: the record as canonical JSON, UTF-8; its sha256 is the content hash.
    """

    stream: Stream
    seq: int
    payload: bytes


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

    @property
    def epoch(self) -> str:
        """The database's random name: 32 hex digits, made with the database."""
        ...

    def after(self, stream: Stream, seq: int, limit: int) -> Sequence[OutboxRow]:
        """At most `limit` unacknowledged rows of the stream with a seq above `seq`, in seq order."""
        ...

    def acknowledge(self, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:
        """Delete exactly these rows; another epoch's acknowledgement deletes nothing."""
        ...

    def depth(self) -> int:
        """How many rows wait."""
        ...
