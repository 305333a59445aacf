"""What came from the cloud and was not dealt with yet; bounded, for all of it comes again where it was lost."""

from collections import deque
from dataclasses import dataclass, field

from cloud_sync.wire import topics
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Message

_ACKS_KEPT = 1000
_HEARD_KEPT = 200  # blocks of a release among them, 32 KiB each; whoever asked for one that falls out asks again


@dataclass(slots=True)
class Inbox:
    """Filled by the link's thread, emptied by the uplink's."""

    _acks: deque[bytes] = field(default_factory=lambda: deque(maxlen=_ACKS_KEPT))
    _heard: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=_HEARD_KEPT))

    def put(self, message: Message) -> None:
        """A message came."""
        subject = _subject(message.topic)
        if subject == "ack":
            self._acks.append(message.payload)
        else:
            self._heard.append((subject, message.payload))

    @property
    def has_acks(self) -> bool:
        """Whether an acknowledgement waits."""
        return bool(self._acks)

    def acks(self) -> list[bytes]:
        """Those that wait; they stay until they are done."""
        return list(self._acks)

    def acks_done(self, count: int) -> None:
        """The first `count` are dealt with."""
        for _ in range(count):
            self._acks.popleft()

    def next(self) -> tuple[str, bytes] | None:
        """Subject and payload of the next message that is no acknowledgement."""
        return self._heard.popleft() if self._heard else None

    def put_back(self, subject: str, payload: bytes) -> None:
        """It could not be dealt with: it is the next one again."""
        self._heard.appendleft((subject, payload))


def _subject(topic: str) -> str:
    """What stands after `down/`; empty for a topic that is none of ours."""
    try:
        return topics.parse(topic).subject
    except LinkError:
        return ""
