"""From nothing to records in the cloud over mutual TLS, by the commands that an installer gives, in real processes."""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from brokers import eventually
from clouds import CLOUD, CloudProcess, stored
from pki_kit import HOST, NEEDS_MOSQUITTO, SecureBroker

from cloud_sync.hub.pki.authority import Kind
from cloud_sync.hub.pki.folder import PkiFolder
from cloud_sync.hub.pki.office import Office, utc_now
from cloud_sync.hub.pki.revocation import write_lists
from cloud_sync.wire.broker import free_port
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.identity_files import own_standing
from edge.cli import main

SMALL_STATION = Path(__file__).parents[1] / "kit" / "small_station.py"
CONFIG = """
[station]
id = "line-1"
[[camera]]
id = "top"
source = "frames"
trigger = "software"
[[product]]
id = "part"
bundle = "part"
"""

pytestmark = NEEDS_MOSQUITTO


@dataclass(frozen=True, slots=True)
class Site:
    folder: Path
    address: str
    pki: Path

    @property
    def config(self) -> Path:
        return self.folder / "station.toml"

    @property
    def identity(self) -> Identity:
        return Identity(self.folder / "data" / "identity")

    @property
    def office(self) -> Office:
        return Office(PkiFolder(self.pki))

    def cloud(self, *words: str, code: int = 0) -> dict[str, Any]:
        return _said([*CLOUD, "pki", *words, "--pki", str(self.pki), "--json"], code)

    def edge(self, *words: str, code: int = 0) -> dict[str, Any]:
        said, got = io.StringIO(), 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            try:
                main([*words, "--config", str(self.config), "--json"])
            except SystemExit as end:
                got = end.code if isinstance(end.code, int) else 0
        assert got == code, said.getvalue()
        content: dict[str, Any] = json.loads(said.getvalue())
        return content

    def token(self) -> str:
        return str(self.cloud("enrol", "line-1", "--address", self.address)["token"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "station.toml").write_text(CONFIG)
    made = Site(tmp_path, f"{HOST}:{free_port()}", tmp_path / "pki")
    _said([*CLOUD, "pki", "init", str(made.pki), "--broker-host", HOST, "--json"], 0)
    listen = made.address.replace(HOST, "127.0.0.1")
    serve = [*CLOUD, "pki", "serve", "--pki", str(made.pki), "--listen", listen, "--json"]
    with (
        (tmp_path / "serve.log").open("wb") as log,
        subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        yield made
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.long
def test_an_enrolled_station_syncs_and_goes_on_through_renewal_and_revocation(site: Site) -> None:
    assert site.edge("enrol", site.token())["station"] == "line-1"
    store = site.folder / "cloud.db"
    with SecureBroker(site.office, site.folder / "broker") as broker, _collecting(broker, site, store):
        assert _sent(site, broker, 40) == 0
        assert len(stored(store)) == 80
        with _station(site, broker, 300, per_s=100) as station:
            eventually(lambda: len(stored(store)) > 120, 30)
            first = own_standing(site.identity)
            assert site.edge("renew", "--anyway")["renewed"] is True
            assert own_standing(site.identity).sha256 != first.sha256
            _revoke_all_but_the_last(site)
            broker.restart()
            assert station.wait(60) == 0, "it went on with the renewed certificate, without a restart of its own"
        assert len(stored(store)) == 600
        site.cloud("revoke", "line-1")
        broker.restart()
        with _station(site, broker, 310) as station:
            eventually(lambda: "revoked" in (site.folder / "station.log").read_text(), 30)
            station.kill()
    assert len(stored(store)) == 600


def test_a_station_is_enrolled_by_hand_where_nothing_reaches_the_server(site: Site) -> None:
    request, made = site.folder / "line-1.csr", site.folder / "line-1.crt"
    site.edge("enrol", "--csr", str(request))
    site.cloud("sign", "line-1", str(request), "--out", str(made))
    ca = site.pki / "broker" / "ca.crt"
    assert site.edge("enrol", "--certificate", str(made), "--ca", str(ca))["station"] == "line-1"
    assert site.edge("renew", "--anyway", code=2)["error"].endswith("name it with --address HOST:PORT")
    assert site.edge("renew", "--anyway", "--address", site.address)["renewed"] is True


def test_what_is_refused_ends_in_its_exit_code_and_leaves_the_identity(site: Site) -> None:
    token = site.token()
    site.edge("enrol", token)
    before = {path.name: path.read_bytes() for path in site.identity.folder.iterdir()}
    assert "was used before" in site.edge("enrol", token, code=3)["error"]
    assert "copy it again" in site.edge("enrol", token[:-9], code=2)["error"]
    other = str(site.cloud("enrol", "line-2", "--address", site.address)["token"])
    assert "the token is for station 'line-2'" in site.edge("enrol", other, code=2)["error"]
    assert site.edge("renew")["renewed"] is False
    now = {path.name: path.read_bytes() for path in site.identity.folder.iterdir()}
    assert before.items() <= now.items()
    assert "ALARM: the token of line-1" in (site.folder / "serve.log").read_text()
    assert _said([*CLOUD, "pki", "revoke", "nobody", "--pki", str(site.pki), "--json"], 2) == {}
    assert [row["name"] for row in site.cloud("list")["certificates"] if row["kind"] == "station"] == ["line-1"]


@contextmanager
def _collecting(broker: SecureBroker, site: Site, store: Path) -> Iterator[CloudProcess]:
    identity = ("--identity", str(site.pki / "identities" / "collector"))
    cloud = CloudProcess(f"mqtts://{broker.hub}", store, options=identity)
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()


@contextmanager
def _station(site: Site, broker: SecureBroker, parts: int, per_s: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    words = ["line-1", site.folder / "station.db", broker.stations, site.folder / "told.jsonl", parts, per_s]
    command = [sys.executable, SMALL_STATION, *words, site.identity.folder]
    with (site.folder / "station.log").open("ab") as log:
        process = subprocess.Popen([str(word) for word in command], stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def _sent(site: Site, broker: SecureBroker, parts: int) -> int:
    with _station(site, broker, parts) as station:
        return station.wait(60)


def _revoke_all_but_the_last(site: Site) -> None:
    now = utc_now()
    with site.office.folder.register.changing() as ledger:
        for one in ledger.issued_to("line-1", Kind.STATION)[:-1]:
            ledger.revoke(one.serial, "a test", now.timestamp())
    write_lists(site.office.folder, now)


def _said(command: list[str], code: int) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout or "{}")
    return said
