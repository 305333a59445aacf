"""Who must not get in, and what whoever is in must not do: each test is an attack on a real broker, by its
configuration in deploy/mosquitto, with real certificates."""

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from pki_kit import (
    HOST,
    NEEDS_MOSQUITTO,
    SecureBroker,
    authority,
    enrolled,
    hub_identity,
    issued,
    linked,
    why_refused,
)
from tls_kit import alert_of, fake_server, mqtt_connect, mqtt_publish_head, server_context

from cloud_sync.hub.collector import subscriptions
from cloud_sync.hub.pki.authority import Authority, Kind
from cloud_sync.hub.pki.office import Office, utc_now
from cloud_sync.hub.pki.own import renew_own
from cloud_sync.wire import topics
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address
from cloud_sync.wire.tls import FreshContext

pytestmark = NEEDS_MOSQUITTO


@dataclass(frozen=True, slots=True)
class Fleet:
    office: Office
    broker: SecureBroker
    one: Identity
    two: Identity
    hub: Identity


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    office = authority(folder / "pki")
    with SecureBroker(office, folder / "broker") as broker:
        one, two = (enrolled(office, name, folder / name) for name in ("line-1", "line-2"))
        yield Fleet(office, broker, one, two, hub_identity(office))


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return Authority.make("somebody else", utc_now(), for_servers=True)


# What a station must not do


def test_a_station_writes_where_another_station_writes(fleet: Fleet) -> None:
    with (
        linked(fleet.broker.hub, fleet.hub, "watching", (topics.ANY_STATE,)) as (_, heard),
        linked(fleet.broker.stations, fleet.one, "inspectd-line-1") as (link, said),
    ):
        eventually(lambda: heard.is_connected and said.is_connected)
        link.publish(topics.state("line-2"), b"forged")
        link.publish(topics.state("line-1"), b"true")
        eventually(lambda: len(said.answers) == 2 and heard.messages)
        assert said.answers == ["Not authorized", None]
        assert [message.payload for message in heard.messages if message.topic == topics.state("line-2")] == []
        assert said.whys == []


@pytest.mark.parametrize(
    "pattern", [topics.ack("line-2"), "inspectd/v1/+/down/#", "#", "+/+/+/#", "$SYS/#"], ids=lambda text: text
)
def test_a_station_reads_what_is_for_another(fleet: Fleet, pattern: str) -> None:
    with (
        linked(fleet.broker.stations, fleet.one, "inspectd-line-1", (topics.ack("line-1"), pattern)) as (_, heard),
        linked(fleet.broker.hub, fleet.hub, "telling") as (hub, told),
    ):
        eventually(lambda: heard.is_connected and told.is_connected)
        hub.publish(topics.ack("line-2"), b"secret")
        hub.publish(topics.ack("line-1"), b"mine")
        eventually(lambda: any(message.payload == b"mine" for message in heard.messages))
        assert {message.topic for message in heard.messages} == {topics.ack("line-1")}


def test_a_station_writes_down_and_reads_up(fleet: Fleet) -> None:
    up = topics.inspections("line-1")
    with linked(fleet.broker.stations, fleet.one, "inspectd-line-1", (up, topics.ack("line-1"))) as (link, heard):
        eventually(lambda: heard.is_connected)
        link.publish(topics.ack("line-1"), b"forged")
        link.publish(up, b"a record")
        eventually(lambda: len(heard.answers) == 2)
        assert heard.answers == ["Not authorized", None]
        with linked(fleet.broker.hub, fleet.hub, "telling") as (hub, told):
            eventually(lambda: told.is_connected)
            hub.publish(topics.ack("line-1"), b"true")
            eventually(lambda: heard.messages)
        assert [message.payload for message in heard.messages] == [b"true"]


def test_a_station_joins_the_collectors_share_to_make_messages_vanish(fleet: Fleet) -> None:
    key = fleet.hub.share_key()
    assert len(key) > 16
    with (
        linked(fleet.broker.hub, fleet.hub, "collecting", subscriptions(key)) as (_, heard),
        linked(fleet.broker.stations, fleet.one, "inspectd-line-1", subscriptions()) as (_, thief),
        linked(fleet.broker.stations, fleet.two, "inspectd-line-2") as (link, said),
    ):
        eventually(lambda: heard.is_connected and thief.is_connected and said.is_connected)
        for number in range(20):
            eventually(lambda number=number: link.publish(topics.inspections("line-2"), b"%d" % number))  # type: ignore[misc]
        eventually(lambda: len([m for m in heard.messages if m.topic == topics.inspections("line-2")]) == 20)
        assert thief.messages == []


@pytest.mark.parametrize("client_id", ["inspectd-line-2", "line-2"])
def test_a_station_takes_another_stations_session(fleet: Fleet, client_id: str) -> None:
    with (
        linked(fleet.broker.stations, fleet.two, "inspectd-line-2") as (_, victim),
        linked(fleet.broker.stations, fleet.one, client_id) as (_, thief),
    ):
        eventually(lambda: victim.is_connected and thief.is_connected)
        with linked(fleet.broker.hub, fleet.hub, "meanwhile") as (_, other):
            eventually(lambda: other.is_connected)
        assert victim.connected == 1
        assert victim.whys == []


def test_a_stations_will_speaks_for_another(fleet: Fleet) -> None:
    with linked(fleet.broker.hub, fleet.hub, "watching", (topics.ANY_STATE,)) as (_, heard):
        eventually(lambda: heard.is_connected)
        for station in ("line-2", "line-1"):
            with _raw(fleet.broker.stations, fleet.one) as secure:
                secure.sendall(mqtt_connect("x", topics.state(station), b"a will"))
                assert secure.recv(1) == b"\x20"
        eventually(lambda: [m for m in heard.messages if m.topic == topics.state("line-1") and m.payload == b"a will"])
        assert [m for m in heard.messages if m.topic == topics.state("line-2") and m.payload == b"a will"] == []


def test_an_oversized_packet_ends_its_sender_and_nobody_else(fleet: Fleet) -> None:
    address = fleet.broker.stations
    with linked(address, fleet.two, "inspectd-line-2") as (_, other):
        eventually(lambda: other.is_connected)
        with _raw(address, fleet.one) as secure:
            secure.sendall(mqtt_connect("x"))
            assert secure.recv(1) == b"\x20"
            secure.sendall(mqtt_publish_head(topics.state("line-1"), 200_000_000) + bytes(1000))
            assert _read_to_end(secure)[-1:] != b""
        assert other.whys == []


# Who must not get in


def test_no_certificate(fleet: Fleet) -> None:
    for address in (fleet.broker.stations, fleet.broker.hub):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(fleet.one.ca)
        assert "CERTIFICATE_REQUIRED" in alert_of(address, context)


def test_a_self_signed_certificate(fleet: Fleet, tmp_path: Path) -> None:
    own = Authority.make("line-1", utc_now(), for_servers=True)
    identity = Identity(tmp_path)
    identity.ca.write_bytes(fleet.one.ca.read_bytes())
    identity.pem.write_bytes(own.key_pem + own.pem)
    assert "refuses our certificate: it is of another authority" in why_refused(fleet.broker.stations, identity)


def test_a_certificate_of_another_authority(fleet: Fleet, stranger: Authority, tmp_path: Path) -> None:
    identity = issued(stranger, fleet.office.folder.stations(), "line-1", tmp_path / "other")
    assert "refuses our certificate: it is of another authority" in why_refused(fleet.broker.stations, identity)


def test_an_expired_certificate(fleet: Fleet, tmp_path: Path) -> None:
    ours, past = fleet.office.folder.stations(), utc_now() - dt.timedelta(days=10)
    identity = issued(ours, ours, "line-1", tmp_path / "old", now=past, life_days=9)
    assert "refuses our certificate: it has expired" in why_refused(fleet.broker.stations, identity)


def test_a_certificate_that_is_not_valid_yet(fleet: Fleet, tmp_path: Path) -> None:
    ours, later = fleet.office.folder.stations(), utc_now() + dt.timedelta(days=2)
    identity = issued(ours, ours, "line-1", tmp_path / "early", now=later)
    assert "refuses our certificate" in why_refused(fleet.broker.stations, identity)


def test_a_servers_certificate_used_as_a_client(fleet: Fleet, tmp_path: Path) -> None:
    ours = fleet.office.folder.stations()
    identity = issued(ours, ours, "line-1", tmp_path / "server", Kind.BROKER, hosts=(HOST,))
    assert "it is not made for a client" in why_refused(fleet.broker.stations, identity)


def test_a_station_comes_in_by_the_hubs_door_and_a_hub_by_the_stations(fleet: Fleet) -> None:
    assert "it is of another authority" in why_refused(fleet.broker.hub, fleet.one, "inspectd-collector-1")
    assert "it is of another authority" in why_refused(fleet.broker.stations, fleet.hub, "line-1")


def test_a_revoked_station_is_put_out_and_kept_out_while_others_come_back(tmp_path: Path) -> None:
    office = authority(tmp_path / "pki")
    with SecureBroker(office, tmp_path / "broker") as broker, ExitStack() as stack:
        good, bad = (enrolled(office, name, tmp_path / name) for name in ("good", "bad"))
        _, kept = stack.enter_context(linked(broker.stations, good, "inspectd-good"))
        _, out = stack.enter_context(linked(broker.stations, bad, "inspectd-bad"))
        eventually(lambda: kept.is_connected and out.is_connected)
        assert office.revoke("bad") == 1
        broker.restart()
        eventually(lambda: kept.connected == 2 and any("it was revoked" in why for why in out.whys))
        assert out.connected == 1


def test_a_reload_is_enough_for_newcomers_and_for_the_brokers_own_renewal(tmp_path: Path) -> None:
    office = authority(tmp_path / "pki")
    with SecureBroker(office, tmp_path / "broker") as broker:
        bad, good = (enrolled(office, name, tmp_path / name) for name in ("bad", "good"))
        with linked(broker.stations, bad, "inspectd-bad") as (_, connected):
            eventually(lambda: connected.is_connected)
            before = _certificate_shown(broker.stations, good)
            office.revoke("bad")
            renew_own(office.folder, utc_now(), anyway=True)
            broker.reload()
            eventually(lambda: "REVOKED" in alert_of(broker.stations, bad.context()))
            assert _certificate_shown(broker.stations, good) != before
            assert connected.whys == []  # why a revocation is followed by a restart


def test_a_revoked_hub_identity(tmp_path: Path) -> None:
    office = authority(tmp_path / "pki")
    office.revoke("_collector")
    with SecureBroker(office, tmp_path / "broker") as broker:
        assert "it was revoked" in why_refused(broker.hub, hub_identity(office), "c")


def test_only_tls_1_2_is_spoken_to_our_broker(fleet: Fleet) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(fleet.one.ca)
    context.load_cert_chain(fleet.one.pem)
    assert "PROTOCOL_VERSION" in alert_of(fleet.broker.stations, context)


def test_plain_mqtt_at_the_tls_port(fleet: Fleet) -> None:
    address = Address("127.0.0.1", fleet.broker.stations.port)
    assert "is it a port for TLS?" in why_refused(address, None)


# Whom a station must not believe


def test_a_stations_certificate_used_as_the_broker_in_the_middle(fleet: Fleet) -> None:
    with fake_server(server_context(fleet.two)) as fake:
        assert "its certificate is not made for a server" in why_refused(Address(HOST, fake.port), fleet.one)
        assert fake.read == []


def test_a_broker_with_another_name(fleet: Fleet, tmp_path: Path) -> None:
    ours = fleet.office.folder.stations()
    other = issued(ours, ours, "broker", tmp_path / "broker", Kind.BROKER, hosts=("other.example",))
    with fake_server(server_context(other)) as fake:
        assert "its certificate is for another name" in why_refused(Address(HOST, fake.port), fleet.one)
        assert "its certificate is for another address" in why_refused(Address("127.0.0.1", fake.port), fleet.one)


def test_a_broker_of_another_authority(fleet: Fleet, stranger: Authority, tmp_path: Path) -> None:
    other = issued(stranger, stranger, "broker", tmp_path / "broker", Kind.BROKER, hosts=(HOST,))
    with fake_server(server_context(other)) as fake:
        assert "its certificate is of another authority" in why_refused(Address(HOST, fake.port), fleet.one)


def test_a_broker_certified_by_the_hubs_authority(fleet: Fleet, tmp_path: Path) -> None:
    hubs = fleet.office.folder.hubs()
    other = issued(hubs, hubs, "broker", tmp_path / "broker", Kind.BROKER, hosts=(HOST,))
    deceived = Identity(tmp_path / "deceived")
    deceived.folder.mkdir()
    deceived.ca.write_bytes(hubs.pem)
    deceived.pem.write_bytes(fleet.one.pem.read_bytes())
    with fake_server(server_context(other)) as fake:
        assert "excluded subtree" in why_refused(Address(HOST, fake.port), deceived)


def test_a_broker_whose_certificate_has_expired(fleet: Fleet, tmp_path: Path) -> None:
    ours, past = fleet.office.folder.stations(), utc_now() - dt.timedelta(days=10)
    old = issued(ours, ours, "broker", tmp_path / "broker", Kind.BROKER, past, 9, (HOST,))
    with fake_server(server_context(old)) as fake:
        assert "its certificate has expired" in why_refused(Address(HOST, fake.port), fleet.one)


def test_a_broker_that_speaks_only_tls_1_2(fleet: Fleet, tmp_path: Path) -> None:
    ours = fleet.office.folder.stations()
    good = issued(ours, ours, "broker", tmp_path / "broker", Kind.BROKER, hosts=(HOST,))
    with fake_server(server_context(good, ssl.TLSVersion.TLSv1_2)) as fake:
        assert "speaks no TLS 1.3" in why_refused(Address(HOST, fake.port), fleet.one)


def test_a_plain_broker_where_tls_is_expected(fleet: Fleet, tmp_path: Path) -> None:
    with local_broker("mosquitto", tmp_path) as plain:
        assert "is it a port for plain connections?" in why_refused(plain.address, fleet.one)


def test_a_broker_that_takes_connections_and_says_nothing(fleet: Fleet) -> None:
    with fake_server(None) as fake, socket.create_connection(("127.0.0.1", fake.port)) as raw:
        context = FreshContext.of(fleet.one, 0.5, lambda: False)
        with pytest.raises(LinkError, match="shook no hands within"):
            context.wrap_socket(raw, server_hostname=HOST)


def test_a_silent_broker_does_not_hold_up_a_stop(fleet: Fleet) -> None:
    with fake_server(None) as fake, linked(Address(HOST, fake.port), fleet.one, "x") as (link, _heard):
        eventually(lambda: fake.accepted)
        assert not link.stop(2)
        assert not link._thread.is_alive()  # noqa: SLF001 - no other way to see that it ended


def _certificate_shown(address: Address, identity: Identity) -> bytes | None:
    with _raw(address, identity) as secure:
        return secure.getpeercert(binary_form=True)


def _raw(address: Address, identity: Identity) -> ssl.SSLSocket:
    """A connection that has shaken hands, for an attacker's own bytes."""
    raw = socket.create_connection((address.host, address.port), timeout=10)
    return identity.context().wrap_socket(raw, server_hostname=address.host)


def _read_to_end(secure: ssl.SSLSocket) -> bytes:
    """What comes until the other end closes; fails where it does not."""
    read = b"?"
    try:
        while piece := secure.recv(4096):
            read += piece
    except ConnectionError:
        return read
    return read
