"""Messages from a stranger, over a real broker."""

import threading

from brokers import eventually

from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings


class _Publisher:
    """Counts the broker's answers."""

    def __init__(self) -> None:
        self.connected = threading.Event()
        self.answers = 0

    def on_connected(self, limits: Limits) -> None:  # noqa: ARG002 - messages of tests are small
        self.connected.set()

    def on_disconnected(self, why: str) -> None:
        pass

    def on_message(self, message: Message) -> None:
        pass

    def on_answer(self, refusal: str | None) -> None:
        assert refusal is None
        self.answers += 1


def publish(broker: LocalBroker, *messages: Message, retain: bool = False) -> None:
    """Publish them in this order, and return when the broker has answered for all."""
    told = _Publisher()
    link = MqttLink(MqttSettings(broker.address, "stranger"))
    link.start(told)
    try:
        assert told.connected.wait(10)
        for message in messages:
            eventually(lambda message=message: link.publish(message.topic, message.payload, retain=retain))
        eventually(lambda: told.answers == len(messages))
    finally:
        link.stop(5)
