"""Brokers with everything that can be wrong with them, and a real one that never hears a word of MQTT."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from brokers import eventually, local_broker
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from doctor_kit import expect, station_around, well
from papers_kit import CLIENT, SERVER, Authority, Life, private_pem, serving, tls
from pki_kit import NEEDS_MOSQUITTO, SecureBroker, authority, enrolled

from cloud_sync.wire.broker import free_port
from edge.doctor.around import Around
from edge.doctor.rooms import broker, certificates

PLANT, OTHER = Authority(), Authority("other")
HERE = "127.0.0.1"
ALERT = bytes.fromhex("15030300020228")  # fatal, handshake_failure
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")


def sending_to(folder: Path, port: int, identity: Authority = PLANT, host: str = HERE) -> Around:
    """A station that sends to this port."""
    around = station_around(folder / "station", {"sync": {"broker": f"{host}:{port}"}})
    identity.identity(around.data_dir / "identity", believed=PLANT)
    return around


def server(
    folder: Path,
    authority: Authority = PLANT,
    life: Life = Life(),  # noqa: B008 - frozen
    use: x509.ObjectIdentifier = SERVER,
    address: str = HERE,
) -> Path:
    return authority.identity(folder / "server", "hub", life, use, address, believed=PLANT)


def says(content: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(content)
        connection.recv(4096)

    return talk


def test_a_broker_and_a_station_that_believe_each_other_are_well(tmp_path: Path) -> None:
    with serving(tls(server(tmp_path))) as port:
        (found,) = well(broker.brokers(sending_to(tmp_path, port)))
    assert "TLSv1.3" in found.found


def test_without_a_broker_there_is_nothing_to_reach(tmp_path: Path) -> None:
    well(broker.brokers(station_around(tmp_path)))


@pytest.mark.parametrize(
    ("make", "fault_id", "word"),
    [
        pytest.param(
            lambda f: tls(server(f, OTHER)), "broker.other-authority", "of another authority", id="another authority"
        ),
        pytest.param(lambda f: tls(server(f, life=Life(-9, -1))), "broker.expired", "expired", id="over"),
        pytest.param(lambda f: tls(server(f, life=Life(1, 9))), "broker.not-yet-valid", "not yet", id="not yet"),
        pytest.param(lambda f: tls(server(f, address="127.0.0.9")), "broker.other-name", "127.0.0.1", id="a name"),
        pytest.param(
            lambda f: tls(server(f, use=CLIENT)), "broker.not-believed", "not made for a server", id="not a server's"
        ),
        pytest.param(lambda f: tls(server(f), ssl.TLSVersion.TLSv1_2), "broker.old-tls", "no TLS 1.3", id="old TLS"),
        pytest.param(lambda _f: says(b"HTTP/1.0 400 no\r\n\r\n"), "broker.not-tls", "", id="something else"),
        pytest.param(lambda _f: lambda _connection: None, "broker.not-tls", "", id="it closes at once"),
        pytest.param(lambda _f: says(ALERT), "broker.no-handshake", "no TLS in common", id="another failure"),
    ],
)
def test_what_is_wrong_with_a_broker_is_found(
    tmp_path: Path, make: Callable[[Path], Callable[[socket.socket], None]], fault_id: str, word: str
) -> None:
    with serving(make(tmp_path)) as port:
        expect(broker.brokers(sending_to(tmp_path, port)), fault_id, word)


def test_a_broker_that_does_not_take_our_certificate_is_found(tmp_path: Path) -> None:
    with serving(tls(server(tmp_path))) as port:
        expect(broker.brokers(sending_to(tmp_path, port, OTHER)), "broker.refuses-us", "another authority")


def test_a_broker_that_connects_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as silent:
        around = sending_to(tmp_path, silent.getsockname()[1])
        expect(broker.brokers(around), "broker.silent", "then says nothing")


def test_a_port_without_a_broker_is_found(tmp_path: Path) -> None:
    expect(broker.brokers(sending_to(tmp_path, free_port())), "broker.no-connection", "Connection refused")


def test_a_name_that_nobody_knows_is_found(tmp_path: Path) -> None:
    around = sending_to(tmp_path, 8883, host="no-such-host.invalid")
    expect(broker.brokers(around), "broker.no-name", "no-such-host.invalid")


def test_a_station_that_was_never_enrolled_is_told(tmp_path: Path) -> None:
    with serving(tls(server(tmp_path))) as port:
        around = sending_to(tmp_path, port)
        (around.data_dir / "identity" / "identity.pem").unlink()
        expect(broker.brokers(around), "broker.no-identity", "edge enrol TOKEN")


def test_a_plain_broker_on_this_machine_is_noted(tmp_path: Path) -> None:
    with serving(says(b"")) as port:
        around = station_around(tmp_path / "station", {"sync": {"broker": f"mqtt://{HERE}:{port}"}})
        expect(broker.brokers(around), "broker.plain", "in the clear")


def test_the_broker_of_an_output_is_looked_at_too(tmp_path: Path) -> None:
    output = f"[[output]]\nid = 'bus'\nkind = 'mqtt'\nbroker = 'mqtt://{HERE}:{free_port()}'\ntopic = 'x'\n"
    found = list(broker.brokers(station_around(tmp_path / "station", more=output)))
    assert expect(found, "broker.no-connection").name == "output bus"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A real broker with mutual TLS that goes by the certificate's name; its port and log."""
    if MOSQUITTO is None:
        pytest.skip("no mosquitto")
    folder, port, log = server(tmp_path), free_port(), tmp_path / "mosquitto.log"
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "key.pem").write_bytes(private_pem(key))
    (folder / "server.pem").write_bytes(PLANT.sign("hub", key, Life(), SERVER, HERE))
    lines = (
        f"listener {port} {HERE}",
        *(
            f"{name} {folder / file}"
            for name, file in (("cafile", "ca.crt"), ("certfile", "server.pem"), ("keyfile", "key.pem"))
        ),
        "require_certificate true",
        "use_identity_as_username true",
        "tls_version tlsv1.3",
        "user root",
        "log_type all",
        f"log_dest file {log}",
    )
    (tmp_path / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen([MOSQUITTO, "-c", str(tmp_path / "mosquitto.conf")]))
        stack.callback(process.terminate)
        eventually(lambda: log.exists() and "running" in log.read_text())
        yield port, log


def test_a_real_broker_is_believed_and_never_asked_to_take_a_client(
    mosquitto: tuple[int, Path], tmp_path: Path
) -> None:
    port, log = mosquitto
    well(broker.brokers(sending_to(tmp_path, port)))
    expect(broker.brokers(sending_to(tmp_path, port, OTHER)), "broker.refuses-us")
    eventually(lambda: "New connection" in log.read_text())
    assert "New client connected" not in log.read_text()


@NEEDS_MOSQUITTO
def test_an_enrolled_station_is_well_and_once_revoked_is_told_so_by_the_broker(tmp_path: Path) -> None:
    office = authority(tmp_path / "pki")
    with SecureBroker(office, tmp_path / "broker") as secure:
        around = station_around(tmp_path / "station", {"sync": {"broker": str(secure.stations)}})
        enrolled(office, "test-1", around.data_dir / "identity")
        well([*broker.brokers(around), *certificates.identities(around)])
        office.revoke("test-1")
        secure.restart()
        expect(broker.brokers(around), "broker.refuses-us", "revoked")
        assert "New client connected" not in secure.log()


@NEEDS_MOSQUITTO
def test_a_plain_broker_where_tls_was_meant_is_found(tmp_path: Path) -> None:
    plain = local_broker("mosquitto", tmp_path)
    plain.start()
    try:
        expect(broker.brokers(sending_to(tmp_path, plain.address.port)), "broker.not-tls", "8883, not 1883")
    finally:
        plain.stop()
