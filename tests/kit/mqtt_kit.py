"""A reader of the topic that an MQTT output publishes on, and the section that fits it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from brokers import eventually

from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

TOPIC = "factory/line-1/verdicts"


def output(broker: LocalBroker, **settings: int) -> str:
    text = f"[[output]]\nid = 'bus'\nkind = 'mqtt'\nbroker = 'mqtt://{broker.address}'\ntopic = '{TOPIC}'\n"
    return text + "".join(f"{name} = {value}\n" for name, value in settings.items())


class Reader:
    """Keeps what comes on the topic."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.at_s: list[float] = []
        self.connected = False
        self.link: MqttLink | None = None

    def on_connected(self, _limits: Limits) -> None:
        self.connected = True

    def on_disconnected(self, _why: str) -> None:
        self.connected = False

    def on_message(self, message: Message) -> None:
        self.heard.append(json.loads(message.payload))
        self.at_s.append(time.monotonic())
        assert self.link is not None
        self.link.acknowledge(message)

    def on_answer(self, refusal: str | None) -> None:
        pass

    def parts(self) -> set[str]:
        return {message["part_id"] for message in self.heard}


@contextmanager
def reader(broker: LocalBroker) -> Iterator[Reader]:
    made = Reader()
    made.link = MqttLink(MqttSettings(broker.address, "reader", (TOPIC,), session_expiry_s=600))
    made.link.start(made)
    try:
        eventually(lambda: made.connected)
        yield made
    finally:
        made.link.stop(5)
