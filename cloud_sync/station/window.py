"""What is on its way to the broker: in which order it was given, and what of it the broker answered.

- A broker answers publishes of QoS 1 in the order in which they came, as MQTT 5 demands: so the first answer is for the
  first publish.
- One place is kept for the station's own word, its state and health, where the broker allows more than one place.
- Nothing is published on a connection that the uplink's thread does not know of yet: the link's thread says `change`
  before a link can be used again, and `publish` compares.
"""

import threading
from collections import deque
from dataclasses import dataclass, field

from cloud_sync.wire.link import Limits, Link
from cloud_sync.wire.outbox import Stream


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one stream that travel together.

    Args:
        stream: which kind.
        epoch: the one that all of them were made in.
        seqs: their numbers.
        size_bytes: of the message.
    """

    stream: Stream
    epoch: str
    seqs: tuple[int, ...]
    size_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Own:
    """The station's word of itself."""


@dataclass(frozen=True, slots=True)
class Riding:
    """Something of a passenger."""


Load = Batch | Own | Riding


@dataclass(slots=True)
class Window:
    """Publishes on the current connection that the broker has not answered. For the uplink's thread.

    Args:
        link: what publishes.
    """

    link: Link
    limits: Limits | None = None
    _under_way: deque[tuple[Load, str]] = field(default_factory=deque)
    _connection: int = 0
    _known: int = 0
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def change(self) -> int:
        """From the link's thread, when a connection came or went: nothing is published until `take` knows of it."""
        with self._gate:
            self._connection += 1
            return self._connection

    def take(self, connection: int, limits: Limits | None) -> list[Load]:
        """The thread learns of a change; returns what was under way on the connection before, in order."""
        unanswered = [load for load, _ in self._under_way]
        self._under_way.clear()
        self._known, self.limits = connection, limits
        return unanswered

    def answered(self, connection: int) -> tuple[Load, str] | None:
        """The broker answered the first that is under way: what it is, and its topic; None for an old connection."""
        if connection != self._known or not self._under_way:
            return None
        return self._under_way.popleft()

    @property
    def is_empty(self) -> bool:
        """Whether the broker answered everything."""
        return not self._under_way

    @property
    def room(self) -> int:
        """How many more records' batches or passengers' messages may be given."""
        if self.limits is None:
            return 0
        return max(0, max(1, self.limits.in_flight - 1) - len(self._under_way))

    def publish(self, topic: str, payload: bytes, load: Load, *, retain: bool = False) -> bool:
        """Give something to the link; False where there is no room. Raises LinkError: it fits no message."""
        room = isinstance(load, Own) or self.room > 0
        with self._gate:
            if not room or self._known != self._connection:
                return False
            if not self.link.publish(topic, payload, retain=retain):
                return False
        self._under_way.append((load, topic))
        return True
