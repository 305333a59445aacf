import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pki_kit import HOST, authority, serving
from trust_kit import Repository

from cloud_sync.hub.pki.office import LIVE_MOST, Office
from cloud_sync.hub.pki.server import EnrolmentServer
from cloud_sync.wire.broker import free_port
from cloud_sync.wire.enrolment import Grant
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.identity_files import is_private, own_standing
from cloud_sync.wire.link import Address
from edge.cli import main
from edge.config import load_config

CONFIG = """
[station]
id = "line-1"
[[camera]]
id = "top"
source = "frames"
[[product]]
id = "part"
bundle = "part"
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """A station's folder and the authority that it asks."""

    office: Office
    server: EnrolmentServer
    config: Path

    @property
    def identity(self) -> Identity:
        return Identity(self.config.parent / "data" / "identity")

    def token(self, port: int | None = None) -> str:
        return str(self.office.token("line-1", address=Address(HOST, port or self.server.port)))

    def edge(self, *words: str, code: int = 0) -> dict[str, Any]:
        said, got = io.StringIO(), 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            try:
                main([*words, "--config", str(self.config), "--json"])
            except SystemExit as end:
                got = end.code if isinstance(end.code, int) else 0
        assert got == code, said.getvalue()
        content: dict[str, Any] = json.loads(said.getvalue() or "{}")
        return content


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "station.toml").write_text(CONFIG)
    office = authority(tmp_path / "pki")
    with serving(office) as server:
        yield Desk(office, server, tmp_path / "station.toml")


def test_a_token_by_stdin_stands_in_no_list_of_processes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{desk.token()}\n".encode())))
    assert desk.edge("enrol", "-")["station"] == "line-1"
    assert own_standing(desk.identity).name == "line-1"
    assert is_private(desk.identity.pem)
    assert is_private(desk.identity.folder)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((), id="nothing"),
        pytest.param(("token", "--csr", "x"), id="two ways"),
        pytest.param(("--certificate", "x"), id="no authority"),
        pytest.param(("--certificate", "absent", "--ca", "absent"), id="no such file"),
        pytest.param(("no-token",), id="no token"),
    ],
)
def test_a_wrong_word_is_wrong_usage_and_makes_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    assert desk.edge("enrol", *words, code=2)["error"]
    assert not desk.identity.pem.exists()


def test_a_server_that_is_away_is_the_outside_worlds_and_the_token_stays_good(desk: Desk) -> None:
    port = free_port()
    token = desk.token(port)
    assert f"cannot ask the enrolment server localhost:{port}" in desk.edge("enrol", token, code=3)["error"]
    with serving(desk.office, port):
        assert desk.edge("enrol", token)["ok"] is True


def test_a_certificate_is_renewed_where_it_was_enrolled_and_not_before_its_time(desk: Desk) -> None:
    desk.edge("enrol", desk.token())
    first = own_standing(desk.identity)
    assert desk.edge("renew")["renewed"] is False
    assert own_standing(desk.identity) == first
    assert desk.edge("renew", "--anyway")["renewed"] is True
    assert own_standing(desk.identity).sha256 != first.sha256


def test_a_certificate_that_is_due_is_renewed_without_being_asked_to(desk: Desk) -> None:
    settings = desk.office.folder.settings()
    desk.office.folder.keep_settings(settings.model_copy(update={"life_days": 0.02}))  # the hour before now is older
    desk.edge("enrol", desk.token())
    desk.office.folder.keep_settings(settings)
    assert desk.edge("renew")["renewed"] is True
    assert desk.edge("renew")["renewed"] is False


def test_a_station_that_was_never_enrolled_has_nothing_to_renew(desk: Desk) -> None:
    assert "enrol this machine" in desk.edge("renew", code=3)["error"]


def test_a_disk_that_refuses_leaves_the_identity_in_use(desk: Desk) -> None:
    desk.edge("enrol", desk.token())
    before = desk.identity.pem.read_bytes()
    (desk.identity.folder / "pending.key").mkdir()
    assert "cannot read or write in" in desk.edge("enrol", desk.token(), code=3)["error"]
    assert desk.identity.pem.read_bytes() == before


@dataclass(frozen=True, slots=True)
class LosesAnswers:
    """An office whose renewals count, and whose answers never arrive."""

    office: Office

    def renew(self, csr: bytes, shown: x509.Certificate) -> Grant:
        self.office.renew(csr, shown)
        raise OSError("the answer is lost")


def test_renewals_whose_answers_are_lost_for_days_do_not_lock_the_station_out(desk: Desk) -> None:
    desk.edge("enrol", desk.token())
    desk.server.office = LosesAnswers(desk.office)  # type: ignore[assignment]
    for _ in range(LIVE_MOST + 2):
        assert "cannot answer" in desk.edge("renew", "--anyway", code=3)["error"]
    desk.server.office = desk.office
    assert desk.edge("renew", "--anyway")["renewed"] is True
    assert not (desk.identity.folder / "renewal.key").exists()
    assert len(desk.office.issued()[0]) == len(others(desk)) + 2


def others(desk: Desk) -> list[str]:
    return [one.name for one in desk.office.issued()[0] if one.name != "line-1"]


def test_a_renewals_key_that_is_damaged_is_made_anew(desk: Desk) -> None:
    desk.edge("enrol", desk.token())
    (desk.identity.folder / "renewal.key").write_text("half a ke")
    assert desk.edge("renew", "--anyway")["renewed"] is True


def test_a_request_by_hand_keeps_its_key_through_a_renewal(desk: Desk, tmp_path: Path) -> None:
    desk.edge("enrol", desk.token())
    desk.edge("enrol", "--csr", str(tmp_path / "a.csr"))
    desk.edge("renew", "--anyway")
    grant = desk.office.sign("line-1", (tmp_path / "a.csr").read_bytes())
    (tmp_path / "a.pem").write_bytes(grant.certificate)
    (tmp_path / "ca.crt").write_bytes(grant.authority)
    desk.edge("enrol", "--certificate", str(tmp_path / "a.pem"), "--ca", str(tmp_path / "ca.crt"))
    assert own_standing(desk.identity).name == "line-1"


# The root of signed releases


@pytest.fixture
def root(desk: Desk, tmp_path: Path) -> Path:
    """A root that the enrolment server gives to every station from now on."""
    path = tmp_path / "given.json"
    path.write_bytes(Repository().pinned)
    desk.server.office = dataclasses.replace(desk.office, trust_root=path)
    return path


def pinned(desk: Desk) -> bytes:
    return load_config(desk.config).trust_root_path.read_bytes()


def test_the_root_of_signed_releases_is_pinned_with_the_certificate(desk: Desk, root: Path) -> None:
    desk.edge("enrol", desk.token())
    assert pinned(desk) == root.read_bytes()
    assert load_config(desk.config).trust_root_path == desk.identity.folder / "root.json"


def test_a_root_that_lies_in_the_authoritys_folder_is_given_without_a_word(desk: Desk) -> None:
    desk.office.folder.trust_root.write_bytes(Repository().pinned)
    desk.edge("enrol", desk.token())
    assert pinned(desk) == desk.office.folder.trust_root.read_bytes()


def test_a_renewal_never_changes_the_root_that_is_pinned(desk: Desk, root: Path) -> None:
    desk.edge("enrol", desk.token())
    before = root.read_bytes()
    root.write_bytes(Repository().pinned)
    desk.edge("renew", "--anyway")
    assert pinned(desk) == before
    desk.edge("enrol", desk.token())  # somebody with a token begins a new trust
    assert pinned(desk) == root.read_bytes()


def test_a_station_that_was_enrolled_before_there_was_a_root_gets_it_with_its_renewal(
    desk: Desk, tmp_path: Path
) -> None:
    desk.edge("enrol", desk.token())
    assert not load_config(desk.config).trust_root_path.exists()
    (tmp_path / "late.json").write_bytes(Repository().pinned)
    desk.server.office = dataclasses.replace(desk.office, trust_root=tmp_path / "late.json")
    desk.edge("renew", "--anyway")
    assert pinned(desk) == (tmp_path / "late.json").read_bytes()


def test_the_root_that_the_configuration_names_counts_before_the_one_that_came(desk: Desk, root: Path) -> None:
    desk.edge("enrol", desk.token())
    desk.config.write_text(f'{CONFIG}[sync]\ntrust_root = "other/root.json"\n')
    assert load_config(desk.config).trust_root_path == desk.config.parent / "other" / "root.json"
    assert root.exists()


def test_hubs_and_stations_of_before_signed_releases_understand_each_other(desk: Desk) -> None:
    before = json.dumps({"certificate": "c", "authority": "a"}).encode()
    assert Grant.parse(before) == Grant(b"c", b"a")
    assert Grant(b"c", b"a").pack() == b'{"authority":"a","certificate":"c"}'  # to the byte as it was
    assert Grant.parse(Grant(b"c", b"a", b"{}").pack()) == Grant(b"c", b"a", b"{}")
    desk.edge("enrol", desk.token())
    assert not (desk.identity.folder / "root.json").exists()


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"signed": {"_type": "targets"}, "signatures": []}'])
def test_a_server_with_a_root_that_is_none_gives_no_certificate_and_the_token_stays_good(
    desk: Desk, root: Path, content: bytes | None
) -> None:
    token, good = desk.token(), root.read_bytes()
    root.unlink() if content is None else root.write_bytes(content)
    assert "cannot answer just now" in desk.edge("enrol", token, code=3)["error"]
    root.write_bytes(good)
    desk.edge("enrol", token)
    assert pinned(desk) == good
