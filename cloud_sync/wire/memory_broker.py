"""A broker inside one process: for tests and for trying things out, with no socket.

What a network and a broker's memory do to messages happens here on demand: some are lost although the broker took them,
some come twice, some come late. The same seed and the same order of publishes meet the same fates.
"""

import random
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from cloud_sync.wire.link import Limits, Message


class Client(Protocol):
    """What the broker needs of a link."""

    client_id: str
    subscriptions: tuple[str, ...]
    keep_session: bool
    will: Message | None
    receive_limit: int

    def wake(self) -> None:
        """There is something to do."""
        ...

    def break_off(self, why: str) -> None:
        """The connection is over."""
        ...


@dataclass(frozen=True, slots=True)
class Faults:
    """What befalls a published message: each a probability in [0, 1], tried in this order.

    Args:
        lost: the broker answers, and nobody gets it.
        repeated: every subscriber gets it twice.
        late: it comes after messages that were published after it.
        seed: of the dice.
    """

    lost: float = 0.0
    repeated: float = 0.0
    late: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class _Session:
    """What the broker keeps for one client id."""

    waiting: deque[Message] = field(default_factory=deque)
    unacknowledged: dict[int, Message] = field(default_factory=dict)
    subscriptions: tuple[str, ...] = ()
    link: Client | None = None


class MemoryBroker:
    """Keeps sessions and retained messages; `open()` and `close()` let it come and go without forgetting sessions."""

    def __init__(self, faults: Faults | None = None, limits: Limits | None = None) -> None:
        self.limits = limits or Limits(payload_bytes=256 * 1024, in_flight=20)
        self._faults = faults or Faults()
        self._dice = random.Random(self._faults.seed)  # noqa: S311 - dice, no secret
        self._lock = threading.RLock()
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, Message] = {}
        self._late: list[Message] = []
        self._open = True
        self._receipts = 0

    def open(self) -> None:
        """Answer from now on."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """Hang up on everybody and answer nobody."""
        with self._lock:
            self._open = False
            for name in list(self._sessions):
                self.cut(name)

    def cut(self, client_id: str) -> None:
        """Break one client's connection, as a network does; its will is published."""
        with self._lock:
            session = self._sessions.get(client_id)
            if session is not None and session.link is not None:
                session.link.break_off("the connection broke")
                self.detach(session.link, farewell=False)

    def attach(self, link: Client) -> bool:
        """A link comes; False while closed. What it has not acknowledged is first in its queue again."""
        with self._lock:
            if not self._open:
                return False
            kept = self._sessions.get(link.client_id) if link.keep_session else None
            session = kept or _Session()
            again = [self._marked(message) for message in session.unacknowledged.values()]
            session.waiting.extendleft(reversed(again))
            session.unacknowledged.clear()
            session.link, session.subscriptions = link, link.subscriptions
            self._sessions[link.client_id] = session
            retained = [message for topic, message in self._retained.items() if _matches_any(link.subscriptions, topic)]
            session.waiting.extend(self._marked(message) for message in retained)
            return True

    def detach(self, link: Client, *, farewell: bool) -> None:
        """A link goes; without a farewell its will is published."""
        with self._lock:
            session = self._sessions.get(link.client_id)
            if session is None or session.link is not link:
                return
            session.link = None
            if not link.keep_session:
                del self._sessions[link.client_id]
            if link.will is not None and not farewell:
                self.deliver(link.will, retain=True)

    def deliver(self, message: Message, *, retain: bool) -> None:
        """Take a message and let its fate decide who gets it when."""
        with self._lock:
            if retain:
                self._retained[message.topic] = message
            if self._dice.random() < self._faults.lost:
                return
            copies = 2 if self._dice.random() < self._faults.repeated else 1
            if self._dice.random() < self._faults.late:
                self._late += [message] * copies
                return
            self._enqueue(message, copies)
            self.release_late()

    def release_late(self) -> None:
        """Deliver what was held back."""
        with self._lock:
            late, self._late = self._late, []
            self._dice.shuffle(late)
            for message in late:
                self._enqueue(message, 1)

    def next_for(self, link: Client) -> Message | None:
        """The link's next message, if it has room for one."""
        with self._lock:
            session = self._sessions.get(link.client_id)
            if session is None or session.link is not link or not session.waiting:
                return None
            if len(session.unacknowledged) >= link.receive_limit:
                return None
            message = session.waiting.popleft()
            session.unacknowledged[_number(message)] = message
            return message

    def acknowledge(self, link: Client, message: Message) -> None:
        """Forget a message that this link, on this connection, has dealt with."""
        with self._lock:
            session = self._sessions.get(link.client_id)
            if session is not None and session.link is link:
                session.unacknowledged.pop(_number(message), None)

    def _enqueue(self, message: Message, copies: int) -> None:
        for session in self._sessions.values():
            if _matches_any(session.subscriptions, message.topic):
                session.waiting.extend(self._marked(message) for _ in range(copies))
                if session.link is not None:
                    session.link.wake()

    def _marked(self, message: Message) -> Message:
        self._receipts += 1
        return Message(message.topic, message.payload, self._receipts)


def _number(message: Message) -> int:
    return message.receipt if isinstance(message.receipt, int) else 0


def _matches_any(patterns: tuple[str, ...], topic: str) -> bool:
    return any(_matches(pattern.split("/"), topic.split("/")) for pattern in patterns)


def _matches(pattern: list[str], levels: list[str]) -> bool:
    if pattern[-1] == "#":
        return len(levels) >= len(pattern) - 1 and _matches_each(pattern[:-1], levels)
    return len(pattern) == len(levels) and _matches_each(pattern, levels)


def _matches_each(pattern: list[str], levels: list[str]) -> bool:
    return all(want in ("+", level) for want, level in zip(pattern, levels, strict=False))
