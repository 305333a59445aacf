"""An authority, its broker by deploy/mosquitto's own configuration, and identities good and bad."""

import atexit
import datetime as dt
import functools
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from brokers import eventually

from cloud_sync.hub.pki.authority import Authority, Kind
from cloud_sync.hub.pki.folder import PkiFolder
from cloud_sync.hub.pki.office import Office, utc_now
from cloud_sync.hub.pki.own import found
from cloud_sync.hub.pki.publishing import publish
from cloud_sync.hub.pki.server import EnrolmentServer
from cloud_sync.wire.broker import available_kinds, free_port
from cloud_sync.wire.certificates import certificate_pem, key_pem, new_key, signing_request
from cloud_sync.wire.enrolment import Grant
from cloud_sync.wire.identity import SHARE_FILE, Identity
from cloud_sync.wire.identity_files import install
from cloud_sync.wire.link import Address, Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings, Will

DEPLOYED = Path(__file__).parents[2] / "deploy" / "mosquitto"
HOST = "localhost"
NEEDS_MOSQUITTO = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")

_MORE = """
persistence true
persistence_location {folder}/
log_dest file {folder}/broker.log
user root
"""


def authority(folder: Path) -> Office:
    """An authority for localhost; the same one for every folder, because making one costs many fsyncs."""
    shutil.copytree(_made_once(), folder)
    return Office(PkiFolder(folder))


def another_authority(folder: Path) -> Office:
    """One that shares nothing with that one."""
    return Office(found(folder, [HOST, "127.0.0.1"], utc_now()))


@functools.cache
def _made_once() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="authority-"))
    atexit.register(shutil.rmtree, folder)
    found(folder / "pki", [HOST, "127.0.0.1"], utc_now())
    return folder / "pki"


def tls_options(office: Office) -> tuple[str, ...]:
    """What makes a `LocalBroker` of mosquitto one that wants certificates, and lets whoever has one do anything."""
    files = office.folder.broker
    return (
        f"cafile {files}/ca.crt",
        f"certfile {files}/broker.pem",
        f"keyfile {files}/broker.pem",
        "tls_version tlsv1.3",
        "require_certificate true",
    )


class SecureBroker:
    """mosquitto by deploy/mosquitto/, with ports and paths of this test; a context manager."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.stations = Address(HOST, free_port())
        self.hub = Address(HOST, free_port())
        self.office = office
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    def start(self) -> None:
        publish(self.office.folder, self._folder / "inspectd")
        config = self._folder / "mosquitto.conf"
        config.write_text(self._config())
        self._process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.PIPE)
        eventually(lambda: _listens(self.stations) and _listens(self.hub))

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=10)

    def restart(self) -> None:
        """What inspectd-broker.path does: publish, restart."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Publish and SIGHUP."""
        assert self._process is not None
        publish(self.office.folder, self._folder / "inspectd")
        self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        return (self._folder / "broker.log").read_text()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self) -> str:
        text = (DEPLOYED / "inspectd.conf").read_text()
        for name in ("inspectd-stations.acl", "inspectd-hub.acl"):
            (self._folder / name).write_text((DEPLOYED / name).read_text())
        text = text.replace("/etc/mosquitto/", f"{self._folder}/")
        for port, address in ((8883, self.stations), (8884, self.hub)):
            assert f"listener {port}\n" in text
            text = text.replace(f"listener {port}\n", f"listener {address.port} 127.0.0.1\n")
        return text + _MORE.format(folder=self._folder)


def enrolled(office: Office, station: str, folder: Path) -> Identity:
    """A station's good identity."""
    key = new_key()
    return _installed(folder, station, key, office.enrol(signing_request(key, station), office.token(station).secret))


def issued(  # noqa: PLR0913, PLR0917 - what a certificate may be wrong in
    signer: Authority,
    believed: Authority,
    name: str,
    folder: Path,
    kind: Kind = Kind.STATION,
    now: dt.datetime | None = None,
    life_days: float = 90,
    hosts: tuple[str, ...] = (),
) -> Identity:
    """An identity that no register knows, as wrong as a test wants it."""
    key = new_key()
    made = signer.issue(key.public_key(), name, kind, now or utc_now(), life_days, hosts)
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(believed.pem)
    (folder / "identity.pem").write_bytes(key_pem(key) + certificate_pem(made))
    return Identity(folder)


def hub_identity(office: Office, name: str = "collector") -> Identity:
    assert (office.folder.identity(name).folder / SHARE_FILE).exists()
    return office.folder.identity(name)


class Heard:
    """What a link was told."""

    def __init__(self) -> None:
        self.connected = 0
        self.whys: list[str] = []
        self.messages: list[Message] = []
        self.answers: list[str | None] = []
        self.is_connected = False

    def on_connected(self, _limits: Limits) -> None:
        self.connected += 1
        self.is_connected = True

    def on_disconnected(self, why: str) -> None:
        self.is_connected = False
        self.whys.append(why)

    def on_message(self, message: Message) -> None:
        self.messages.append(message)

    def on_answer(self, refusal: str | None) -> None:
        self.answers.append(refusal)


@contextmanager
def linked(
    address: Address,
    identity: Identity | None,
    client_id: str,
    subscriptions: tuple[str, ...] = (),
    will: Will | None = None,
) -> Iterator[tuple[MqttLink, Heard]]:
    """A started link and what it hears."""
    heard = Heard()
    link = MqttLink(MqttSettings(address, client_id, subscriptions, will=will, identity=identity))
    link.start(heard)
    try:
        yield link, heard
    finally:
        link.stop(5)


def why_refused(address: Address, identity: Identity | None, client_id: str = "inspectd-line-1") -> str:
    """Why a link cannot connect; fails where it can."""
    with linked(address, identity, client_id) as (_, heard):
        eventually(lambda: heard.whys or heard.connected)
        assert not heard.connected, "it was let in"
        return heard.whys[0]


@contextmanager
def serving(office: Office, port: int = 0) -> Iterator[EnrolmentServer]:
    """The enrolment server in a thread."""
    with EnrolmentServer(office, Address("127.0.0.1", port)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


def _installed(folder: Path, name: str, key: object, grant: Grant) -> Identity:
    folder.mkdir(parents=True, exist_ok=True)
    install(Identity(folder), grant, key, name)  # type: ignore[arg-type]
    return Identity(folder)


def _listens(address: Address) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=0.5):
            return True
    except OSError:
        time.sleep(0.02)
        return False
