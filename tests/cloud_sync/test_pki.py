import datetime as dt
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pki_kit import HOST, authority, enrolled, hub_identity

from cloud_sync.hub.pki.authority import Kind
from cloud_sync.hub.pki.errors import PkiError, RefusedError, RequestError
from cloud_sync.hub.pki.folder import PkiFolder
from cloud_sync.hub.pki.office import Office, utc_now
from cloud_sync.hub.pki.own import FIRST_HUB, found, give_hub, own_standings, renew_own
from cloud_sync.hub.pki.publishing import publish
from cloud_sync.hub.pki.revocation import list_faults, write_lists
from cloud_sync.hub.pki.serving import look_after
from cloud_sync.hub.pki.watch import faults
from cloud_sync.wire.certificates import (
    certificate_pem,
    check_fits,
    key_pem,
    new_key,
    read_certificate,
    signing_request,
    standing,
)
from cloud_sync.wire.enrolment import Grant
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.identity_files import (
    forget_key_under_way,
    install,
    is_private,
    key_under_way,
    own_standing,
    request_made,
)

NOW = utc_now()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return authority(tmp_path / "pki")


def later(office: Office, days: float) -> Office:
    return replace(office, clock=lambda: NOW + dt.timedelta(days=days))


def test_nobody_but_its_owner_reads_the_authoritys_folder(office: Office) -> None:
    folder = office.folder.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = [*folder.rglob("*.key"), *folder.rglob("*.pem"), folder / "register.db", folder / "settings.json"]
    readable = {path.name for path in keys if not is_private(path)}
    assert readable == {"crl.pem", "hub-crl.pem"}


def test_an_authority_is_made_once(office: Office) -> None:
    with pytest.raises(RequestError, match="is not empty, and an authority is made once"):
        found(office.folder.path, [HOST], NOW)


@pytest.mark.parametrize("host", ["", "two words", "a..b", "x" * 300, "ünïcode", "*"])
def test_a_host_that_no_certificate_can_hold_is_refused_before_anything_is_made(tmp_path: Path, host: str) -> None:
    with pytest.raises(RequestError):
        found(tmp_path / "pki", [host], NOW)
    assert not (tmp_path / "pki").exists()


@pytest.mark.parametrize("host", ["broker.example", "10.1.2.3", "fd00::1", "broker"])
def test_the_brokers_certificate_is_for_its_hosts_and_for_loopback(tmp_path: Path, host: str) -> None:
    folder = found(tmp_path / "pki", [host], NOW)
    names = _certificate(folder.broker / "broker.pem").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    found_names = {str(name.value) for name in names.value}
    assert {host, "localhost", "127.0.0.1", "::1"} == found_names


def test_each_certificate_is_for_its_purpose_alone(office: Office, tmp_path: Path) -> None:
    client, server = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
    station = enrolled(office, "line-1", tmp_path / "one").pem
    wanted = {
        station: [client],
        hub_identity(office).pem: [client],
        office.folder.broker / "broker.pem": [server],
        office.folder.enrolment: [server],
    }
    for path, purposes in wanted.items():
        extensions = _certificate(path).extensions
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == purposes
        assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    for signer in (office.folder.stations(), office.folder.hubs()):
        basic = signer.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (basic.ca, basic.path_length) == (True, 0)


def test_a_station_that_enrols_again_loses_what_it_had(office: Office, tmp_path: Path) -> None:
    old = _certificate(enrolled(office, "line-1", tmp_path / "old").pem)
    other = _certificate(enrolled(office, "line-2", tmp_path / "other").pem)
    new = _certificate(enrolled(office, "line-1", tmp_path / "new").pem)
    named = _named(office.folder.broker / "crl.pem")
    assert old.serial_number in named
    assert named.isdisjoint({new.serial_number, other.serial_number})


def test_a_revoked_name_is_on_the_list_with_all_it_has_and_its_tokens_are_gone(office: Office, tmp_path: Path) -> None:
    held = enrolled(office, "line-1", tmp_path / "one")
    office.renew(signing_request(new_key(), "line-1"), _certificate(held.pem))
    office.token("line-1")
    assert office.revoke("line-1") == 2
    assert len(_named(office.folder.broker / "crl.pem")) == 2
    assert office.issued()[1] == []
    assert office.revoke("line-1") == 0


def test_a_hub_identity_that_was_revoked_is_not_renewed_until_it_is_given_anew(office: Office) -> None:
    office.revoke(f"_{FIRST_HUB}")
    assert [made.name for made in renew_own(office.folder, NOW + dt.timedelta(days=80))] == [
        "inspectd broker",
        "inspectd enrolment",
    ]
    give_hub(office.folder, FIRST_HUB, NOW + dt.timedelta(days=80))
    assert f"_{FIRST_HUB}" in {made.name for made in renew_own(office.folder, NOW + dt.timedelta(days=160))}


def test_what_is_the_clouds_own_is_renewed_once_a_third_is_left(office: Office) -> None:
    assert renew_own(office.folder, NOW + dt.timedelta(days=59)) == []
    renewed = renew_own(office.folder, NOW + dt.timedelta(days=61))
    assert {made.name for made in renewed} == {"inspectd broker", "inspectd enrolment", "_collector"}
    assert all(not made.is_due(NOW + dt.timedelta(days=61)) for made in own_standings(office.folder).values())


def test_a_list_that_is_behind_the_register_is_said_and_mended(office: Office, tmp_path: Path) -> None:
    enrolled(office, "line-1", tmp_path / "one")
    before = (office.folder.broker / "crl.pem").read_bytes()
    office.revoke("line-1")
    assert list_faults(office.folder, NOW) == []
    (office.folder.broker / "crl.pem").write_bytes(before)
    assert "does not name 1 revoked certificates" in list_faults(office.folder, NOW)[0]
    look_after(office)
    assert list_faults(office.folder, NOW) == []


def test_the_lists_do_not_run_out_before_their_authority_and_say_so_in_time(office: Office) -> None:
    assert list_faults(office.folder, NOW + dt.timedelta(days=3600)) == []
    assert "after that the broker lets nobody in" in list_faults(office.folder, NOW + dt.timedelta(days=3640))[0]


def test_a_station_that_does_not_renew_is_named_while_there_is_time(office: Office, tmp_path: Path) -> None:
    enrolled(office, "line-1", tmp_path / "one")
    assert not [one for one in faults(office.folder, NOW + dt.timedelta(days=66)) if "line-1" in one]
    assert [one for one in faults(office.folder, NOW + dt.timedelta(days=70)) if "'line-1' has not renewed" in one]
    later(office, 69).renew(signing_request(new_key(), "line-1"), _certificate(tmp_path / "one" / "identity.pem"))
    assert not [one for one in faults(office.folder, NOW + dt.timedelta(days=70)) if "line-1" in one]


def test_a_hub_identity_for_another_machine_may_live_longer(office: Office) -> None:
    assert give_hub(office.folder, "far", NOW, 800).not_after - NOW > dt.timedelta(days=799)


def test_no_certificate_outlives_its_authority(office: Office) -> None:
    made = later(office, 3650).sign("line-1", signing_request(new_key(), "line-1"))
    assert (
        standing(read_certificate(made.certificate)).not_after
        <= office.folder.stations().certificate.not_valid_after_utc
    )


def test_each_list_has_a_higher_number_than_the_last(office: Office) -> None:
    numbers = []
    for _ in range(3):
        write_lists(office.folder, NOW)
        found_list = x509.load_pem_x509_crl((office.folder.broker / "crl.pem").read_bytes())
        numbers.append(found_list.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    assert numbers == sorted(set(numbers))


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
HUB_USER = 65534  # any that is not root


@AS_ROOT
@pytest.mark.parametrize("way", ["link", "folder", "another's file", "pipe"])
def test_a_hub_user_has_root_publish_nothing_but_its_own_files(office: Office, tmp_path: Path, way: str) -> None:
    pki, secret = office.folder.path, tmp_path / "secret" / "ca.crt"
    secret.parent.mkdir()
    secret.write_text("root's own\n")
    for path in (pki, *pki.rglob("*")):
        os.chown(path, HUB_USER, HUB_USER)
    assert publish(office.folder, tmp_path / "before")
    target = office.folder.broker / "ca.crt"
    if way == "folder":
        office.folder.broker.rename(pki / "away")
        office.folder.broker.symlink_to(secret.parent)
    else:
        target.unlink()
        match way:
            case "link":
                target.symlink_to(secret)
            case "another's file":
                target.hardlink_to(secret)
            case "pipe":
                os.mkfifo(target)
                os.chown(target, HUB_USER, HUB_USER)
    with pytest.raises((PkiError, OSError), match=r"ca\.crt"):
        publish(office.folder, tmp_path / "to")
    assert not (tmp_path / "to" / "ca.crt").exists()


@AS_ROOT
def test_a_publish_that_was_killed_before_the_broker_could_read_is_mended_by_the_next(
    office: Office, tmp_path: Path
) -> None:
    publish(office.folder, tmp_path / "to", "nobody")
    os.chown(tmp_path / "to" / "crl.pem", -1, 0)
    assert publish(office.folder, tmp_path / "to", "nobody") == []
    assert (tmp_path / "to" / "crl.pem").stat().st_gid != 0


def test_only_what_changed_is_published(office: Office, tmp_path: Path) -> None:
    to = tmp_path / "etc"
    assert "broker.pem" in publish(office.folder, to)
    assert publish(office.folder, to) == []
    office.token("line-1")
    office.revoke("line-1")
    assert publish(office.folder, to) == ["crl.pem", "hub-crl.pem"]
    with pytest.raises(RequestError, match="no user 'nobody-of-that-name'"):
        publish(office.folder, to, "nobody-of-that-name")


@pytest.mark.parametrize("station", ["_collector", "", "Line", "a/b", "-a", "x" * 64])
def test_a_name_that_no_station_can_have_gets_no_token(office: Office, station: str) -> None:
    with pytest.raises(RequestError, match="a station id is"):
        office.token(station)


@pytest.mark.parametrize("name", ["", "_x", "A", "../x", "x" * 63])
def test_a_hub_identity_has_a_plain_name(office: Office, name: str) -> None:
    with pytest.raises(RequestError, match="a hub identity's name"):
        give_hub(office.folder, name, NOW)


def test_a_request_by_hand_is_signed_for_the_station_that_was_named_alone(office: Office) -> None:
    with pytest.raises(RefusedError, match="the request is for 'line-2', and 'line-1' was named"):
        office.sign("line-1", signing_request(new_key(), "line-2"))


def test_a_folder_that_lost_its_key_says_so(office: Office) -> None:
    (office.folder.path / "ca.key").write_text("damaged")
    with pytest.raises(PkiError, match="cannot use the authority"):
        office.token("line-1")
    with pytest.raises(RequestError, match="is no authority's folder"):
        PkiFolder.existing(office.folder.path / "broker")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_service_whose_folder_it_is(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    os.chown(tmp_path / "var", 4711, 4712)
    office = Office(found(tmp_path / "var" / "pki", [HOST], NOW))
    office.token("line-1")
    identity = Identity(tmp_path / "var" / "identity")
    key = key_under_way(identity)
    install(identity, office.sign("line-1", signing_request(key, "line-1")), key, "line-1")
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (tmp_path / "var").rglob("*")}
    assert owners == {(4711, 4712)}


# The station's folder


def test_a_certificate_that_does_not_fit_changes_nothing(office: Office, tmp_path: Path) -> None:
    held = enrolled(office, "line-1", tmp_path / "one")
    before = {path.name: path.read_bytes() for path in held.folder.iterdir()}
    key = new_key()
    grants = {
        "is for 'line-2'": (key, office.sign("line-2", signing_request(key, "line-2"))),
        "is for another key": (new_key(), office.sign("line-1", signing_request(key, "line-1"))),
        "was not signed by": (key, _by_another(office, signing_request(key, "line-1"))),
        "expected a certificate in PEM": (key, Grant(b"no certificate", b"none")),
    }
    for why, (with_key, grant) in grants.items():
        with pytest.raises(LinkError, match=why):
            install(held, grant, with_key, "line-1")
    assert {path.name: path.read_bytes() for path in held.folder.iterdir()} == before


def test_the_key_under_way_is_kept_until_its_certificate_is_here(office: Office, tmp_path: Path) -> None:
    identity = Identity(tmp_path / "identity")
    with pytest.raises(LinkError, match="no request is under way"):
        request_made(identity)
    key = key_under_way(identity)
    assert key_pem(key_under_way(identity)) == key_pem(key) == key_pem(request_made(identity))
    install(identity, office.sign("line-1", signing_request(key, "line-1")), key, "line-1")
    forget_key_under_way(identity)
    assert own_standing(identity).name == "line-1"
    assert is_private(identity.pem)
    assert {path.name for path in identity.folder.iterdir()} == {"ca.crt", "identity.pem"}


def test_while_the_authority_changes_both_are_believed(office: Office, tmp_path: Path) -> None:
    held = enrolled(office, "line-1", tmp_path / "one")
    other = Office(found(tmp_path / "other", [HOST], NOW))
    key = new_key()
    grant = other.sign("line-1", signing_request(key, "line-1"))
    held.pem.rename(tmp_path / "away")
    (held.folder / "identity.pem").mkdir()  # the disk refuses between authority and identity
    with pytest.raises(OSError, match="directory"):
        install(held, grant, key, "line-1")
    believed = x509.load_pem_x509_certificates(held.ca.read_bytes())
    assert [one.subject for one in believed] == [
        other.folder.stations().certificate.subject,
        office.folder.stations().certificate.subject,
    ]
    (held.folder / "identity.pem").rmdir()
    install(held, grant, key, "line-1")
    assert held.ca.read_bytes() == other.folder.stations().pem
    check_fits(_certificate(held.pem), key, other.folder.stations().certificate, "line-1")


def _by_another(office: Office, csr: bytes) -> Grant:
    key = x509.load_pem_x509_csr(csr).public_key()
    made = office.folder.hubs().issue(key, "line-1", Kind.STATION, NOW, 90)  # type: ignore[arg-type]
    return Grant(certificate_pem(made), office.folder.stations().pem)


def _certificate(path: Path) -> x509.Certificate:
    content = path.read_bytes()
    return read_certificate(content[content.find(b"-----BEGIN CERTIFICATE") :])


def _named(path: Path) -> set[int]:
    return {one.serial_number for one in x509.load_pem_x509_crl(path.read_bytes())}


def test_what_was_made_while_a_clock_was_ahead_is_made_anew(tmp_path: Path) -> None:
    """The broker would let nobody in before that time has come, and nobody would say why."""
    now = utc_now()
    office = Office(found(tmp_path / "pki", [HOST], now - dt.timedelta(days=1)), clock=lambda: now)
    ahead = now + dt.timedelta(days=3)
    write_lists(office.folder, ahead)
    renew_own(office.folder, ahead, anyway=True)
    give_hub(office.folder, FIRST_HUB, ahead)
    assert len([fault for fault in list_faults(office.folder, now) if "a clock was ahead" in fault]) == 2
    look_after(office)
    assert not faults(office.folder, now)
    assert all(standing.is_valid(now) for standing in own_standings(office.folder).values())
