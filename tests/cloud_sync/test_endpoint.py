"""Which broker, and how: mutual TLS unless plain is asked for by name, and plain never to another machine."""

from pathlib import Path

import pytest

from cloud_sync.hub.collector import collector_link
from cloud_sync.station.connection import station_link
from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address
from cloud_sync.wire.mqtt_settings import MqttSettings

FOLDER = Path("who")
TLS = [
    ("hub.example:8883", "mqtts://hub.example:8883"),
    ("mqtts://hub.example:8883", "mqtts://hub.example:8883"),
    ("127.0.0.1:8883", "mqtts://127.0.0.1:8883"),
    ("[::1]:8883", "mqtts://[::1]:8883"),
]
PLAIN = ["mqtt://127.0.0.1:1883", "mqtt://localhost:1883", "mqtt://[::1]:1883", "mqtt://127.9.9.9:1883"]
NOT_HERE = [
    "mqtt://10.0.0.7:1883",
    "mqtt://hub.example:1883",
    "mqtt://0.0.0.0:1883",
    "mqtt://127.0.0.1.evil.example:1883",
    "mqtt://localhost.evil.example:1883",
    "mqtt://[::ffff:10.0.0.7]:1883",
    "mqtt://2130706433:1883",
    "mqtt://LOCALHOST.:1883",
]


@pytest.mark.parametrize(("text", "said"), TLS)
def test_a_broker_is_reached_over_tls_unless_asked_otherwise(text: str, said: str) -> None:
    endpoint = Endpoint.parse(text, FOLDER)

    assert endpoint.identity == Identity(FOLDER)
    assert str(endpoint) == said


@pytest.mark.parametrize("text", PLAIN)
def test_plain_mqtt_is_asked_for_by_name(text: str) -> None:
    endpoint = Endpoint.parse(text, FOLDER)

    assert endpoint.identity is None
    assert str(endpoint) == text


@pytest.mark.parametrize("text", NOT_HERE)
def test_plain_mqtt_never_leaves_this_machine(text: str) -> None:
    with pytest.raises(LinkError, match="loopback only"):
        Endpoint.parse(text, FOLDER)


@pytest.mark.parametrize("text", ["ws://127.0.0.1:80", "MQTT://127.0.0.1:1883", "://a:1", "tcp://127.0.0.1:1883"])
def test_any_other_way_is_refused_with_the_ways_there_are(text: str) -> None:
    with pytest.raises(LinkError, match=r"HOST:PORT, mqtts://HOST:PORT or mqtt://127.0.0.1:PORT"):
        Endpoint.parse(text, FOLDER)


def test_no_link_of_ours_speaks_plainly_to_another_machine() -> None:
    """Whoever makes it, and whatever it forgot to check."""
    far = Address("10.0.0.7", 1883)
    with pytest.raises(LinkError, match="loopback only"):
        MqttSettings(far, "anybody")
    with pytest.raises(LinkError, match="loopback only"):
        station_link("press-3", far)
    with pytest.raises(LinkError, match="loopback only"):
        collector_link(Endpoint(far, None), "")


def test_an_identity_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"ca\.crt: No such file.*enrol this machine"):
        Identity(tmp_path).context()


def test_an_authority_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("not PEM", encoding="ascii")

    with pytest.raises(LinkError, match=r"cannot use the authority .*ca\.crt"):
        Identity(tmp_path).context()
