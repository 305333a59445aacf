"""A connection that lives, and on which publishes are never answered, is begun anew: its window would be lost."""

import pytest
from brokers import eventually
from mqtt_proxy import mqtt_proxy

from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.connection import Connection
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings


class Ear:
    """Remembers what the link said."""

    def __init__(self) -> None:
        self.begun = 0
        self.answers = 0
        self.ends: list[str] = []

    def on_connected(self, _limits: Limits) -> None:
        self.begun += 1

    def on_disconnected(self, why: str) -> None:
        self.ends.append(why)

    def on_message(self, message: Message) -> None:
        pass

    def on_answer(self, _refusal: str | None) -> None:
        self.answers += 1


def test_answers_that_get_lost_cost_a_connection_and_no_more(broker: LocalBroker) -> None:
    with broker, mqtt_proxy(broker.address) as proxy:
        ear, link = Ear(), MqttLink(MqttSettings(proxy.address, "unheard", answer_timeout_s=0.5))
        proxy.down.drop_acks = 1.0
        link.start(ear)
        eventually(lambda: link.publish("a/b", b"1"))

        eventually(lambda: ear.begun == 2)
        proxy.down.clear()
        eventually(lambda: link.publish("a/b", b"2"))
        eventually(lambda: ear.answers == 1)
        link.stop(5)

    assert ear.ends[0].endswith("answered no publish for 0.5 s")


@pytest.mark.parametrize(
    ("answered", "waits", "found"),
    [
        pytest.param(False, True, True, id="no answer"),
        pytest.param(True, True, False, id="another one was answered"),
        pytest.param(False, False, False, id="nothing waits"),
    ],
)
def test_only_a_connection_on_which_nothing_moves_is_unanswered(*, answered: bool, waits: bool, found: bool) -> None:
    connection = Connection(0.0, Limits(1000, 20))
    for _ in range(2 if answered else int(waits)):
        assert connection.take_place()
    assert not connection.is_unanswered(50.0, 60.0)
    if answered:
        connection.give_place()

    assert connection.is_unanswered(61.0, 60.0) is found


def test_a_publish_after_a_long_silence_has_its_time() -> None:
    connection = Connection(0.0, Limits(1000, 20))
    assert not connection.is_unanswered(0.0, 60.0)
    assert not connection.is_unanswered(5000.0, 60.0)
    connection.take_place()

    assert not connection.is_unanswered(5030.0, 60.0)
    assert connection.is_unanswered(5061.0, 60.0)
