"""What every Link promises, over both real brokers, over mutual TLS, and over the one in memory."""

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from brokers import BROKER_KINDS, eventually, local_broker
from pki_kit import NEEDS_MOSQUITTO, authority, enrolled, tls_options

from cloud_sync.wire.broker import LocalBroker, free_port
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Limits, Link, Message
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.mqtt import WINDOW, MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings, Will


class Ear:
    """A listener that remembers, and fails on the messages it is told to fail on."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.connections: list[Limits] = []
        self.breaks: list[str] = []
        self.answers: list[str | None] = []
        self.fails_once_on: bytes | None = None

    def on_connected(self, limits: Limits) -> None:
        self.connections.append(limits)

    def on_disconnected(self, why: str) -> None:
        self.breaks.append(why)

    def on_message(self, message: Message) -> None:
        if message.payload == self.fails_once_on:
            self.fails_once_on = None
            raise RuntimeError("the listener's own fault")
        self.messages.put(message)

    def on_answer(self, refusal: str | None) -> None:
        self.answers.append(refusal)

    def next(self, within_s: float = 10.0) -> Message:
        return self.messages.get(timeout=within_s)


class World(Protocol):
    """A broker of some kind, and links to it. `least_receive_limit`: rumqttd keeps to its own, not to a client's."""

    least_receive_limit: int

    def come(self) -> None: ...
    def go(self) -> None: ...
    def link(
        self,
        name: str,
        *subscriptions: str,
        keep_session: bool = False,
        will: Message | None = None,
        receive_limit: int = 100,
    ) -> Link: ...


class MqttWorld:
    def __init__(self, broker: LocalBroker, identity: Identity | None = None) -> None:
        self.broker = broker
        self._identity = identity
        self.least_receive_limit = 100 if broker.kind == "iotcore" else 3

    def come(self) -> None:
        self.broker.start()

    def go(self) -> None:
        self.broker.kill()

    def link(
        self,
        name: str,
        *subscriptions: str,
        keep_session: bool = False,
        will: Message | None = None,
        receive_limit: int = 100,
    ) -> Link:
        left = Will(will.topic, will.payload) if will else None
        expiry_s = 600 if keep_session else 0
        settings = MqttSettings(
            self.broker.address,
            name,
            subscriptions,
            left,
            expiry_s,
            receive_limit=receive_limit,
            identity=self._identity,
        )
        return MqttLink(settings)


class MemoryWorld:
    least_receive_limit = 3

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.close()

    def come(self) -> None:
        self.broker.open()

    def go(self) -> None:
        self.broker.close()

    def link(
        self,
        name: str,
        *subscriptions: str,
        keep_session: bool = False,
        will: Message | None = None,
        receive_limit: int = 100,
    ) -> Link:
        return MemoryLink(
            self.broker, name, subscriptions, keep_session=keep_session, will=will, receive_limit=receive_limit
        )


@pytest.fixture(
    params=[*BROKER_KINDS, pytest.param("tls", id="tls", marks=NEEDS_MOSQUITTO), pytest.param("memory", id="memory")]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    if request.param == "tls":
        office = authority(tmp_path / "pki")
        broker = LocalBroker("mosquitto", tmp_path / "broker", free_port(), options=tls_options(office))
        made = MqttWorld(broker, enrolled(office, "line-1", tmp_path / "identity"))
    else:
        broker = local_broker(request.param, tmp_path)
        made = MqttWorld(broker)
    yield made
    broker.stop()


@pytest.fixture
def links() -> Iterator[list[Link]]:
    """Links to be stopped when the test ends."""
    started: list[Link] = []
    yield started
    for link in started:
        link.stop(3.0)


def listen(links: list[Link], link: Link, *, awaited: bool = True) -> Ear:
    ear = Ear()
    links.append(link)
    link.start(ear)
    if awaited:
        eventually(lambda: ear.connections)
    return ear


def publish(link: Link, topic: str, payload: bytes, *, retain: bool = False) -> None:
    eventually(lambda: link.publish(topic, payload, retain=retain))


def test_a_message_arrives_with_its_bytes_intact(world: World, links: list[Link]) -> None:
    world.come()
    ear = listen(links, world.link("receiver", "t/+/up/x"))
    sender = world.link("sender")
    listen(links, sender)
    payload = bytes(range(256)) * 200

    publish(sender, "t/1/up/x", payload)
    publish(sender, "t/1/up/other", b"not subscribed")
    publish(sender, "t/2/up/x", b"")

    assert ear.next() == Message("t/1/up/x", payload)
    assert ear.next() == Message("t/2/up/x", b"")


def test_an_absent_broker_is_waited_for(world: World, links: list[Link]) -> None:
    link = world.link("early", "t")
    ear = listen(links, link, awaited=False)

    assert link.publish("t", b"too early") is False
    world.come()
    eventually(lambda: ear.connections)

    publish(link, "t", b"now")
    assert ear.next() == Message("t", b"now")


def test_a_broker_that_was_killed_is_found_again(world: World, links: list[Link]) -> None:
    world.come()
    link = world.link("both", "t")
    ear = listen(links, link)

    world.go()
    eventually(lambda: ear.breaks)
    assert link.publish("t", b"into the void") is False
    world.come()
    eventually(lambda: len(ear.connections) == 2)

    publish(link, "t", b"again")
    assert ear.next() == Message("t", b"again")


def test_what_was_under_way_when_the_connection_broke_is_not_sent_by_itself(world: World, links: list[Link]) -> None:
    world.come()
    link = world.link("both", "t")
    ear = listen(links, link)
    world.go()
    link.publish("t", b"between the death and its discovery")
    eventually(lambda: ear.breaks)
    world.come()
    eventually(lambda: len(ear.connections) == 2)

    publish(link, "t", b"first after")

    assert ear.next() == Message("t", b"first after")


def test_an_unacknowledged_message_comes_again_after_a_restart(world: World, links: list[Link]) -> None:
    world.come()
    receiver = world.link("receiver", "t", keep_session=True)
    ear = listen(links, receiver)
    sender = world.link("sender")
    listen(links, sender)
    for payload in (b"1", b"2", b"3"):
        publish(sender, "t", payload)
    first, _, third = ear.next(), ear.next(), ear.next()
    receiver.acknowledge(first)
    assert third.payload == b"3"
    assert receiver.stop(3.0)

    again = listen(links, world.link("receiver", "t", keep_session=True))

    assert [again.next().payload, again.next().payload] == [b"2", b"3"]


def test_what_comes_while_the_receiver_is_away_is_kept_for_it(world: World, links: list[Link]) -> None:
    world.come()
    receiver = world.link("receiver", "t", keep_session=True)
    listen(links, receiver)
    receiver.stop(3.0)
    sender = world.link("sender")
    listen(links, sender)
    publish(sender, "t", b"meanwhile")

    ear = listen(links, world.link("receiver", "t", keep_session=True))

    assert ear.next().payload == b"meanwhile"


def test_a_receipt_of_an_old_connection_acknowledges_nothing(world: World, links: list[Link]) -> None:
    world.come()
    sender = world.link("sender")
    listen(links, sender)
    receiver = world.link("receiver", "t", keep_session=True)
    ear = listen(links, receiver)
    publish(sender, "t", b"1")
    old = ear.next()
    receiver.stop(3.0)
    second = world.link("receiver", "t", keep_session=True)
    listen(links, second).next()

    second.acknowledge(Message("t", b"1", old.receipt))
    second.stop(3.0)

    assert listen(links, world.link("receiver", "t", keep_session=True)).next().payload == b"1"


def test_a_listener_that_fails_breaks_the_connection_and_gets_the_message_again(
    world: World, links: list[Link]
) -> None:
    world.come()
    receiver = world.link("receiver", "t", keep_session=True)
    ear = Ear()
    ear.fails_once_on = b"poison"
    links.append(receiver)
    receiver.start(ear)
    eventually(lambda: ear.connections)
    sender = world.link("sender")
    listen(links, sender)

    publish(sender, "t", b"poison")

    assert ear.next().payload == b"poison"
    assert "the listener's own fault" in ear.breaks[0]


def test_no_more_than_the_window_is_under_way(world: World, links: list[Link]) -> None:
    class Burst(Ear):
        taken = 0

        def on_connected(self, limits: Limits) -> None:
            while link.publish("t", b"x"):  # on the link's own thread: no answer can come in between
                self.taken += 1
            super().on_connected(limits)

    world.come()
    link = world.link("burst")
    links.append(link)
    ear = Burst()
    link.start(ear)
    eventually(lambda: ear.connections)

    assert ear.taken == ear.connections[0].in_flight == WINDOW
    eventually(lambda: len(ear.answers) == WINDOW)
    assert set(ear.answers) == {None}


def test_no_more_than_the_receive_limit_is_given_out(world: World, links: list[Link]) -> None:
    world.come()
    limit = world.least_receive_limit
    receiver = world.link("receiver", "t", receive_limit=limit)
    ear = listen(links, receiver)
    sender = world.link("sender")
    heard = listen(links, sender)
    for number in range(2 * limit):
        publish(sender, "t", bytes([number]))
    eventually(lambda: len(heard.answers) == 2 * limit)

    held = [ear.next() for _ in range(limit)]
    with pytest.raises(queue.Empty):
        ear.next(within_s=0.3)
    for message in held:
        receiver.acknowledge(message)

    assert [ear.next().payload for _ in range(limit)] == [bytes([limit + number]) for number in range(limit)]


def test_a_payload_too_large_is_refused_and_breaks_nothing(world: World, links: list[Link]) -> None:
    world.come()
    link = world.link("both", "t")
    ear = listen(links, link)

    with pytest.raises(LinkError, match="expected at most"):
        link.publish("t", b"x" * (ear.connections[0].payload_bytes + 1))
    publish(link, "t", b"x" * ear.connections[0].payload_bytes)

    assert len(ear.next().payload) == ear.connections[0].payload_bytes
    assert ear.breaks == []


def test_what_is_retained_reaches_who_comes_later(world: World, links: list[Link]) -> None:
    world.come()
    sender = world.link("sender")
    heard = listen(links, sender)
    publish(sender, "t/state", b"old", retain=True)
    publish(sender, "t/state", b"online", retain=True)
    eventually(lambda: len(heard.answers) == 2)

    assert listen(links, world.link("late", "t/#")).next() == Message("t/state", b"online")


def test_a_farewell_leaves_no_will(world: World, links: list[Link]) -> None:
    world.come()
    ear = listen(links, world.link("watcher", "t/#"))
    mortal = world.link("mortal", will=Message("t/state", b"offline"))
    listen(links, mortal)
    publish(mortal, "t/x", b"last words")

    assert mortal.stop(3.0)

    assert ear.next().payload == b"last words"
    with pytest.raises(queue.Empty):
        ear.next(within_s=0.3)


def test_it_starts_once(world: World, links: list[Link]) -> None:
    link = world.link("once")
    listen(links, link, awaited=False)

    with pytest.raises(LinkError, match="started before"):
        link.start(Ear())


def test_one_that_was_never_started_stops(world: World) -> None:
    assert world.link("never").stop(1.0)
