"""Identities with everything that can be wrong with them, as real certificates."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from doctor_kit import expect, station_around, well
from papers_kit import SERVER, Authority, Life, private_pem
from trust_kit import Repository

from edge.doctor.rooms import certificates

PLANT, OTHER = Authority(), Authority("other")
LOCKED = (
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQI\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n"
)


def other_key(folder: Path) -> None:
    PLANT.identity(folder)
    pem = folder / "identity.pem"
    certificate = pem.read_bytes().partition(b"-----BEGIN CERTIFICATE")[2]
    pem.write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1())) + b"-----BEGIN CERTIFICATE" + certificate)


def damaged(folder: Path) -> None:
    PLANT.identity(folder)
    (folder / "identity.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def locked(folder: Path) -> None:
    PLANT.identity(folder)
    pem = folder / "identity.pem"
    pem.write_bytes(LOCKED.encode() + pem.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])


def a_folder(folder: Path) -> None:
    PLANT.identity(folder)
    (folder / "identity.pem").unlink()
    (folder / "identity.pem").mkdir()


def only_the_authority(folder: Path) -> None:
    PLANT.identity(folder)
    (folder / "identity.pem").unlink()


def test_a_good_identity_is_well(tmp_path: Path) -> None:
    around = station_around(tmp_path, {"sync": {"broker": "127.0.0.1:8883"}})
    PLANT.identity(around.data_dir / "identity")
    assert len(well(certificates.identities(around))) == 2


def test_without_a_broker_no_identity_is_asked_for(tmp_path: Path) -> None:
    assert list(certificates.identities(station_around(tmp_path))) == []
    assert list(certificates.identities(station_around(tmp_path, {"sync": {"broker": "mqtt://127.0.0.1:1"}}))) == []


@pytest.mark.parametrize(
    ("make", "fault_id", "words"),
    [
        pytest.param(lambda _folder: None, "certificates.absent", ("ca.crt", "edge enrol TOKEN -c"), id="none"),
        pytest.param(only_the_authority, "certificates.absent", ("identity.pem",), id="no key"),
        pytest.param(a_folder, "certificates.unreadable", ("Is a directory",), id="unreadable"),
        pytest.param(damaged, "certificates.no-pem", (), id="damaged"),
        pytest.param(locked, "certificates.no-pem", (), id="a key with a password"),
        pytest.param(other_key, "certificates.other-key", (), id="another key"),
        pytest.param(
            lambda folder: PLANT.identity(folder, "line-2"),
            "certificates.other-station",
            ("'line-2'", "'test-1'"),
            id="another station's",
        ),
        pytest.param(
            lambda folder: OTHER.identity(folder, believed=PLANT),
            "certificates.other-authority",
            ("CN=other",),
            id="another authority's",
        ),
        pytest.param(lambda folder: PLANT.identity(folder, use=SERVER), "certificates.no-client", (), id="a server's"),
        pytest.param(
            lambda folder: PLANT.identity(folder, life=Life(-90, -1)),
            "certificates.expired",
            ("over for 1.0 days", "edge renew -c"),
            id="over",
        ),
        pytest.param(lambda folder: PLANT.identity(folder, life=Life(2, 90)), "certificates.not-yet", (), id="not yet"),
        pytest.param(
            lambda folder: PLANT.identity(folder, life=Life(-80, 10)),
            "certificates.ends-soon",
            ("9 days left", "inspectd-renew.timer"),
            id="ends soon",
        ),
        pytest.param(
            lambda folder: Authority(life=Life(-90, -2)).identity(folder),
            "certificates.authority-expired",
            (),
            id="an authority that is over",
        ),
        pytest.param(
            lambda folder: Authority(life=Life(-90, 30)).identity(folder),
            "certificates.authority-ends",
            ("29 days left",),
            id="an authority that ends",
        ),
    ],
)
def test_what_is_wrong_with_an_identity_is_found(
    tmp_path: Path, make: Callable[[Path], object], fault_id: str, words: tuple[str, ...]
) -> None:
    around = station_around(tmp_path, {"sync": {"broker": "hub.example:8883"}})
    make(around.data_dir / "identity")
    expect(certificates.identities(around), fault_id, *words)


def test_an_outputs_own_identity_is_looked_at_too(tmp_path: Path) -> None:
    PLANT.identity(tmp_path / "bus", "plant-bus", Life(-30, -1))
    output = "[[output]]\nid = 'bus'\nkind = 'mqtt'\nbroker = 'bus.example:8883'\ntopic = 'x'\nidentity = 'bus'\n"
    found = list(certificates.identities(station_around(tmp_path, more=output)))
    expect(found, "certificates.expired", "'plant-bus'")
    assert all(finding.id != "certificates.other-station" for finding in found)


BROKER = {"sync": {"broker": "mqtt://127.0.0.1:1"}}


def test_a_pinned_root_is_well_and_nobody_asks_for_one_without_a_cloud(tmp_path: Path) -> None:
    around = station_around(tmp_path, BROKER)
    (around.data_dir / "identity").mkdir(parents=True)
    (around.data_dir / "identity" / "root.json").write_bytes(Repository().pinned)
    assert len(well(certificates.trust_root(around))) == 1
    assert list(certificates.trust_root(station_around(tmp_path / "alone"))) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(None, "certificates.no-trust-root", id="none"),
        pytest.param(b"{half", "certificates.bad-trust-root", id="no json"),
        pytest.param(b'{"signed": {"_type": "targets", "version": 1}}', "certificates.bad-trust-root", id="no root"),
    ],
)
def test_without_a_root_of_releases_it_says_that_none_is_taken(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    around = station_around(tmp_path, BROKER)
    folder = around.data_dir / "identity"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "root.json").write_bytes(content)
    expect(certificates.trust_root(around), fault)
