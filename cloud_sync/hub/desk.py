"""Where a kind of message is dealt with: desks write in the collector's transaction, replies go after its commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Reply:
    """What a station is told once the transaction is committed."""

    topic: str
    payload: bytes
    retain: bool = False


Publish = Callable[[Reply], bool]


class Desk(Protocol):
    """Deals with some of the messages that come up. All calls come from the collector's thread."""

    def takes(self, subject: str) -> bool:
        """Whether messages about this (what stands after `up/`) are dealt with here."""
        ...

    def take(
        self, connection: sa.Connection, station: str, subject: str, payload: bytes, at_ms: int
    ) -> Sequence[Reply]:
        """Write what came, inside the collector's transaction; the replies are sent after its commit.

        A message may come again at any time, by this collector or by another one: the outcome must be the same.

        Raises:
            LinkError: it is not our protocol: it becomes a dead letter.
        """
        ...

    def work(self, publish: Publish) -> None:
        """Do a little of what takes longer, between two groups of messages; must return within some 50 ms."""
        ...
