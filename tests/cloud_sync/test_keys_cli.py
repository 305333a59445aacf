"""`cloud keys` from the command line: what it says, how it ends, where the passphrase comes from."""

import json
import os
import pty
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clouds import CLOUD
from pki_kit import authority
from stores import everything
from trust_kit import Repository
from typer.testing import CliRunner, Result

from cloud_sync.hub.cli import app
from cloud_sync.hub.trust.kept import changing, keep, read_state
from cloud_sync.wire.broker import free_port
from cloud_sync.wire.certificates import new_key, signing_request
from cloud_sync.wire.enrolment_client import enrol
from cloud_sync.wire.link import Address
from models.trust.keys import TrustKeys
from models.trust.signing import founded
from models.trust.verifying import TrustStore

PASSPHRASE = "nine small boats"  # noqa: S105 - of keys that live as long as a test


class Cloud:
    """A folder in which somebody types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = str(folder / "cloud.db")
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(f"{PASSPHRASE}\n")
        self.passphrase.chmod(0o600)

    def keys(self, *words: str, code: int = 0, environment: dict[str, str] | None = None) -> Result:
        trust = [] if words[0] == "root" else ["--trust", str(self.folder / "trust")]
        said = CliRunner().invoke(app, ["keys", *words, "--store", self.store, *trust], env=environment)
        assert said.exit_code == code, said.output
        return said

    def with_passphrase(self, *words: str, code: int = 0) -> Result:
        return self.keys(*words, "--passphrase-file", str(self.passphrase), code=code)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    made = Cloud(tmp_path)
    made.with_passphrase("init")
    return made


def test_keys_are_made_once_and_the_root_can_be_given_away(cloud: Cloud, tmp_path: Path) -> None:
    before = everything(cloud.store)
    assert "was begun before" in cloud.with_passphrase("init").output
    assert everything(cloud.store) == before
    cloud.keys("root", "--out", str(tmp_path / "root.json"))
    state = read_state(cloud.store)
    assert state is not None
    assert (tmp_path / "root.json").read_bytes() == state.file("root")
    files = {f"1.{role}.json": state.file(role) for role in ("snapshot", "targets")}
    files["timestamp.json"] = state.file("timestamp")
    station = TrustStore(tmp_path / "station", (tmp_path / "root.json").read_bytes())
    station.refresh(lambda name, _limit_bytes: files.get(name))


def test_each_role_is_listed_with_its_key_and_its_end(cloud: Cloud) -> None:
    said = json.loads(cloud.keys("list", "--json").output)
    assert said["ok"] is True
    assert said["releases"] == []
    assert [(row["role"], row["version"], row["here"]) for row in said["roles"]] == [
        (role, 1, True) for role in ("root", "targets", "snapshot", "timestamp")
    ]
    assert cloud.keys("list").output.split()[:5] == ["role", "key", "here", "version", "until"]


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_rotated_key_is_another_one(cloud: Cloud, role: str) -> None:
    before = json.loads(cloud.keys("list", "--json").output)["roles"]
    cloud.with_passphrase("rotate", role)
    after = json.loads(cloud.keys("list", "--json").output)["roles"]
    changed = [new["role"] for old, new in zip(before, after, strict=True) if old["key"] != new["key"]]
    assert changed == [role]
    assert all(row["here"] for row in after)


def test_what_is_not_due_is_not_renewed_unless_it_is_said(cloud: Cloud) -> None:
    assert json.loads(cloud.keys("renew", "--json").output) == {"ok": True, "renewed": [], "due": []}
    assert json.loads(cloud.keys("renew", "--anyway", "timestamp", "--json").output)["renewed"] == ["timestamp"]


def test_what_has_expired_is_said_and_renewed_as_far_as_the_keys_go(tmp_path: Path) -> None:
    cloud, long_ago = Cloud(tmp_path), datetime.now(UTC) - timedelta(days=400)
    keys = TrustKeys(tmp_path / "trust", PASSPHRASE.encode())
    signers = {role: [keys.make(role)] for role in ("root", "targets", "snapshot", "timestamp")}
    with changing(cloud.store, create=True) as connection:
        keep(connection, None, founded(signers, long_ago), long_ago)
    assert "what has expired is trusted by no station" in cloud.keys("list", code=1).output
    said = json.loads(cloud.keys("renew", "--json", code=1).output)
    assert (said["renewed"], said["due"]) == (["snapshot", "timestamp"], ["root", "targets"])
    cloud.with_passphrase("renew")
    cloud.keys("list")


def test_the_passphrase_may_come_by_the_environment(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.keys("init", environment={"INSPECTD_TRUST_PASSPHRASE": PASSPHRASE})
    cloud.with_passphrase("rotate", "targets")


def test_the_passphrase_may_be_typed_and_is_not_shown(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*CLOUD, "keys", "init", "--store", str(tmp_path / "cloud.db"), "--trust", str(tmp_path / "trust")]
    typing = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown, typed = b"", 0
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # it has ended
            break
        if shown.count(b": ") > typed and shown.endswith(b": "):
            typed += 1
            os.write(ours, f"{PASSPHRASE}\n".encode())
    os.close(ours)
    assert typing.wait(20) == 0, shown
    assert typed == 2
    assert PASSPHRASE.encode() not in shown
    cloud = Cloud(tmp_path)
    cloud.with_passphrase("rotate", "root")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(lambda file: file.write_text("wrong"), "the passphrase is wrong", id="wrong"),
        pytest.param(lambda file: file.write_text("\n"), "holds no passphrase on its first line", id="empty"),
        pytest.param(lambda file: file.chmod(0o644), "others than its owner can read", id="open"),
        pytest.param(lambda file: file.unlink(), "cannot read the passphrase", id="absent"),
    ],
)
def test_a_passphrase_that_is_none_is_wrong_usage_and_changes_nothing(cloud: Cloud, spoil: object, why: str) -> None:
    before = everything(cloud.store)
    spoil(cloud.passphrase)  # type: ignore[operator]
    assert why in cloud.with_passphrase("rotate", "root", code=2).output
    assert everything(cloud.store) == before


def test_without_a_passphrase_or_a_terminal_it_says_where_one_goes(cloud: Cloud) -> None:
    assert "--passphrase-file FILE, or INSPECTD_TRUST_PASSPHRASE" in cloud.keys("rotate", "root", code=2).output


@pytest.mark.parametrize("words", [("list",), ("renew",), ("root",)])
def test_where_nothing_was_begun_it_says_how(tmp_path: Path, words: tuple[str, ...]) -> None:
    cloud = Cloud(tmp_path)
    assert "there is no store" in cloud.keys(*words, code=3).output
    with changing(cloud.store, create=True):
        pass
    assert "`cloud keys init`" in cloud.keys(*words, code=2).output


def test_keys_of_another_store_are_said_to_be_absent(cloud: Cloud, tmp_path: Path) -> None:
    other = Repository()
    place = str(tmp_path / "other.db")
    with changing(place, create=True) as connection:
        keep(connection, None, other.state, other.now)
    cloud.store = place
    assert "does not hold" in cloud.with_passphrase("rotate", "timestamp", code=2).output
    assert not json.loads(cloud.keys("list", "--json").output)["roles"][0]["here"]


def test_the_enrolment_server_gives_each_station_the_root(cloud: Cloud, tmp_path: Path) -> None:
    cloud.keys("root", "--out", str(tmp_path / "root.json"))
    office = authority(tmp_path / "pki")
    at = Address("localhost", free_port())
    serve = [*CLOUD, "pki", "serve", "--pki", str(tmp_path / "pki"), "--listen", f"127.0.0.1:{at.port}", "--json"]
    words = [*serve, "--trust-root", str(tmp_path / "root.json")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        assert json.loads(serving.stdout.readline())["event"] == "ready"
        try:
            grant = enrol(office.token("line-1", address=at), signing_request(new_key(), "line-1"))
        finally:
            serving.terminate()
        assert serving.wait(20) == 0
    assert grant.trust_root == (tmp_path / "root.json").read_bytes()


def test_an_enrolment_server_does_not_start_with_a_root_that_is_none(tmp_path: Path) -> None:
    authority(tmp_path / "pki")
    (tmp_path / "root.json").write_text('{"signed": {"_type": "snapshot"}, "signatures": []}')
    words = ["pki", "serve", "--pki", str(tmp_path / "pki"), "--trust-root"]
    assert "is no root" in CliRunner().invoke(app, [*words, str(tmp_path / "root.json")]).output
    said = CliRunner().invoke(app, [*words, str(tmp_path / "absent.json")])
    assert (said.exit_code, "cannot use the root of signed releases" in said.output) == (2, True)
