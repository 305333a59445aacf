"""Hears whatever a broker passes on, as a client of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from brokers import eventually

from cloud_sync.wire.link import Address, Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings


class _Ear:
    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.ready = False
        self.link: MqttLink | None = None

    def on_connected(self, _limits: Limits) -> None:
        self.ready = True

    def on_disconnected(self, _why: str) -> None:
        self.ready = False

    def on_message(self, message: Message) -> None:
        self.heard.append(message)
        assert self.link is not None
        self.link.acknowledge(message)

    def on_answer(self, refusal: str | None) -> None:
        pass


@contextmanager
def wiretap(address: Address, *topics: str) -> Iterator[list[Message]]:
    """The list grows while messages come; begins once the broker has taken the subscription."""
    ear = _Ear()
    ear.link = MqttLink(MqttSettings(address, "wiretap", topics))
    ear.link.start(ear)
    try:
        eventually(lambda: ear.ready)
        yield ear.heard
    finally:
        ear.link.stop(3)
