"""Somebody at a memory broker who sends what a test wants and keeps what comes back."""

import contextlib
from collections.abc import Iterator

from brokers import eventually

from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker


class Sender:
    """A listener with its link."""

    def __init__(self, broker: MemoryBroker, subscriptions: tuple[str, ...]) -> None:
        self.heard: list[Message] = []
        self.connected = False
        self.link = MemoryLink(broker, "sender", subscriptions)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        eventually(lambda: self.link.publish(topic, payload, retain=retain))

    def on_connected(self, limits: Limits) -> None:  # noqa: ARG002 - messages here are small
        self.connected = True

    def on_disconnected(self, why: str) -> None:
        pass

    def on_message(self, message: Message) -> None:
        self.heard.append(message)
        self.link.acknowledge(message)

    def on_answer(self, refusal: str | None) -> None:
        pass


@contextlib.contextmanager
def sender(broker: MemoryBroker, subscriptions: tuple[str, ...] = ()) -> Iterator[Sender]:
    made = Sender(broker, subscriptions)
    made.link.start(made)
    try:
        eventually(lambda: made.connected)
        yield made
    finally:
        made.link.stop(3.0)
