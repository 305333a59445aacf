"""Who must not be given a certificate: each test is an attack on the real enrolment server, over TLS."""

import contextlib
import datetime as dt
import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from pki_kit import HOST, another_authority, authority, enrolled, hub_identity, issued, serving
from tls_kit import alert_of, fake_server, server_context

from cloud_sync.hub.pki.authority import Authority, Kind
from cloud_sync.hub.pki.office import LIVE_MOST, Office, utc_now
from cloud_sync.hub.pki.server import CONNECTIONS_MOST, WRONG_MOST, WRONG_WITHIN_S, EnrolmentServer, WrongTokens
from cloud_sync.wire.certificates import new_key, read_certificate, signing_request, standing
from cloud_sync.wire.enrolment import CSR_LIMIT_BYTES, REQUEST_LIMIT_BYTES, Grant, Token
from cloud_sync.wire.enrolment_client import RefusedError, enrol, renew
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Address


@dataclass(frozen=True, slots=True)
class Counter:
    """An authority with its server."""

    office: Office
    server: EnrolmentServer

    @property
    def address(self) -> Address:
        return Address(HOST, self.server.port)

    def token(self, station: str = "line-1") -> Token:
        return self.office.token(station, address=self.address)


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    office = authority(tmp_path / "pki")
    with serving(office) as server:
        yield Counter(office, server)


def asked(token: Token, name: str = "line-1") -> Grant:
    return enrol(token, signing_request(new_key(), name))


# Tokens


def test_a_token_used_twice_is_refused_and_an_alarm(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    token = counter.token()
    first = asked(token)
    with caplog.at_level(logging.ERROR), pytest.raises(RefusedError, match="was used before: each is good once"):
        asked(token)
    assert "ALARM: the token of line-1" in caplog.text
    assert token.secret not in caplog.text
    assert standing(read_certificate(first.certificate)).name == "line-1"


def test_a_token_used_by_many_at_once_gives_one_certificate(counter: Counter) -> None:
    token, granted, refused = counter.token(), [], []

    def one() -> None:
        try:
            granted.append(asked(token))
        except RefusedError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(granted), len(refused)) == (1, 7)
    assert all("was used before" in why for why in refused)
    issued_to_it = [one for one in counter.office.issued()[0] if one.name == "line-1"]
    assert len(issued_to_it) == 1


def test_an_answer_that_was_lost_is_given_again_to_the_same_key_alone(counter: Counter) -> None:
    token, request = counter.token(), signing_request(new_key(), "line-1")
    assert enrol(token, request).certificate == enrol(token, request).certificate


def test_a_token_that_has_expired(tmp_path: Path) -> None:
    office = authority(tmp_path / "pki")
    later = replace(office, clock=lambda: utc_now() + dt.timedelta(hours=25))
    with serving(later) as server, pytest.raises(RefusedError, match="has expired"):
        asked(office.token("line-1", address=Address(HOST, server.port)))


def test_a_token_of_another_station(counter: Counter) -> None:
    with pytest.raises(RefusedError, match="the token is for station 'line-1', and the request for 'line-2'"):
        asked(counter.token("line-1"), "line-2")


def test_a_token_made_up(counter: Counter) -> None:
    with pytest.raises(RefusedError, match="this token is not known here"):
        asked(replace(counter.token(), secret="ab" * 32))


def test_a_token_taken_back(counter: Counter) -> None:
    token = counter.token()
    counter.office.revoke("line-1")
    with pytest.raises(RefusedError, match="it was taken back"):
        asked(token)


def test_tokens_tried_one_after_another(counter: Counter, tmp_path: Path) -> None:
    forged = replace(counter.token(), secret="ab" * 32)
    for _ in range(WRONG_MOST):
        with pytest.raises(RefusedError, match="not known here"):
            asked(forged)
    with pytest.raises(RefusedError, match="too many refused requests from here"):
        asked(forged)
    held = enrolled(counter.office, "line-2", tmp_path / "two")
    assert renew(counter.address, held, signing_request(new_key(), "line-2")), "a neighbour's renewal goes on"


def test_whoever_tried_too_much_is_heard_again_later_and_others_all_the_time() -> None:
    wrong = WrongTokens()
    for _ in range(WRONG_MOST):
        wrong.count("10.0.0.1", 100.0)
    assert wrong.is_too_many("10.0.0.1", 101.0)
    assert not wrong.is_too_many("10.0.0.2", 101.0)
    assert not wrong.is_too_many("10.0.0.1", 101.0 + WRONG_WITHIN_S)


def test_a_stolen_token_with_another_authoritys_server_tells_it_no_secret(counter: Counter, tmp_path: Path) -> None:
    token = counter.token()
    other = another_authority(tmp_path / "other")
    with serving(other) as server, pytest.raises(LinkError, match="is not the token's authority"):
        asked(replace(token, address=Address(HOST, server.port)))
    assert asked(token).certificate  # still good: nobody has it


def test_a_stations_certificate_in_the_middle_of_an_enrolment(counter: Counter, tmp_path: Path) -> None:
    evil = enrolled(counter.office, "evil", tmp_path / "evil")
    with fake_server(server_context(evil)) as fake:
        with pytest.raises(LinkError):
            enrol(replace(counter.token(), address=Address(HOST, fake.port)), b"x", total_timeout_s=0.5)
        assert not any(b"secret" in read for read in fake.read)


def test_the_token_is_held_as_a_hash_alone(counter: Counter) -> None:
    token = counter.token()
    everything = b"".join(path.read_bytes() for path in counter.office.folder.path.rglob("*") if path.is_file())
    assert token.secret.encode() not in everything
    assert token.secret not in repr(token)


@pytest.mark.parametrize("cut", [0, 1, 20, -1, -8], ids=str)
def test_a_token_that_is_cut_or_damaged_is_not_sent_anywhere(counter: Counter, cut: int) -> None:
    text = str(counter.token())
    with pytest.raises(LinkError, match="copy it again"):
        Token.parse(text[:cut])
    with pytest.raises(LinkError, match="copy it again"):
        Token.parse(text[:40] + ("A" if text[40] != "A" else "B") + text[41:])
    assert str(Token.parse(text)) == text


# Signing requests


def test_a_request_with_another_name_than_a_station_may_have(counter: Counter) -> None:
    for name in ("_collector", "inspectd broker", "line-1/../line-2", "#", "+"):
        with pytest.raises(RefusedError, match="the token is for station 'line-1'"):
            asked(counter.token(), name)


def test_a_request_with_two_names(counter: Counter) -> None:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("line-1", "line-2")]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(new_key(), hashes.SHA256())
    with pytest.raises(RefusedError, match="expected a common name and nothing else"):
        enrol(counter.token(), request.public_bytes(Encoding.PEM))


def test_a_request_that_wishes_for_more_gets_no_more(counter: Counter) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "line-1")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = request.add_extension(x509.BasicConstraints(ca=True, path_length=5), critical=True)
    request = request.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    grant = enrol(counter.token(), request.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.PEM))
    made = read_certificate(grant.certificate)
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    with pytest.raises(x509.ExtensionNotFound):
        made.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_request_for_a_key_that_its_sender_does_not_have(counter: Counter) -> None:
    der = x509.load_pem_x509_csr(signing_request(new_key(), "line-1")).public_bytes(Encoding.DER)
    other = x509.load_pem_x509_csr(signing_request(new_key(), "line-1"))
    forged = der.replace(_point(x509.load_der_x509_csr(der)), _point(other))
    pem = ssl.DER_cert_to_PEM_cert(forged).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    with pytest.raises(RefusedError, match="not signed by the key that it is for"):
        enrol(counter.token(), pem.encode())


def test_a_request_with_a_key_of_another_kind(counter: Counter) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "line-1")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    with pytest.raises(RefusedError, match="expected a public key on P-256"):
        enrol(counter.token(), request.public_bytes(Encoding.PEM))


@pytest.mark.parametrize("size", [CSR_LIMIT_BYTES + 1, REQUEST_LIMIT_BYTES + 1, 10_000_000], ids=str)
def test_a_request_that_is_too_large_is_not_read(counter: Counter, size: int) -> None:
    with pytest.raises(LinkError, match=r"at most|Broken pipe|reset|hung up"):
        enrol(counter.token(), b"x" * size)


# Renewal


def test_a_renewal_with_a_revoked_certificate(counter: Counter, tmp_path: Path) -> None:
    held = enrolled(counter.office, "line-1", tmp_path / "one")
    counter.office.revoke("line-1")
    with pytest.raises(RefusedError, match="the certificate of 'line-1' is revoked"):
        renew(counter.address, held, signing_request(new_key(), "line-1"))


def test_a_renewal_for_another_name(counter: Counter, tmp_path: Path) -> None:
    held = enrolled(counter.office, "line-1", tmp_path / "one")
    with pytest.raises(RefusedError, match="'line-1' may renew its own certificate only"):
        renew(counter.address, held, signing_request(new_key(), "line-2"))


def test_a_renewal_with_an_expired_certificate(counter: Counter, tmp_path: Path) -> None:
    ours, past = counter.office.folder.stations(), utc_now() - dt.timedelta(days=10)
    old = issued(ours, ours, "line-1", tmp_path / "old", now=past, life_days=9)
    with pytest.raises(LinkError, match="it has expired"):
        renew(counter.address, old, signing_request(new_key(), "line-1"))


def test_a_renewal_without_a_certificate(counter: Counter) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(counter.office.folder.broker / "ca.crt")
    body = json.dumps({"csr": signing_request(new_key(), "line-1").decode(), "secret": ""}).encode()
    assert b"403" in _posted(counter, bare, b"/v1/renew", body)


@pytest.mark.parametrize("kind", [Kind.BROKER, Kind.STATION], ids=str)
def test_a_renewal_with_a_certificate_that_no_register_knows(counter: Counter, tmp_path: Path, kind: Kind) -> None:
    ours = counter.office.folder.stations()
    forged = issued(ours, ours, "line-1", tmp_path / "forged", kind)
    with pytest.raises(LinkError, match=r"not made for a client|no station's that was issued here"):
        renew(counter.address, forged, signing_request(new_key(), "line-1"))


def test_a_renewal_with_another_authoritys_certificate(counter: Counter, tmp_path: Path) -> None:
    other = Authority.make("somebody else", utc_now(), for_servers=True)
    forged = issued(other, counter.office.folder.stations(), "line-1", tmp_path / "forged")
    with pytest.raises(LinkError, match="it is of another authority"):
        renew(counter.address, forged, signing_request(new_key(), "line-1"))


def test_a_hub_identity_renewed_as_a_station(counter: Counter) -> None:
    with pytest.raises(LinkError, match="it is of another authority"):
        renew(counter.address, hub_identity(counter.office), signing_request(new_key(), "_collector"))


def test_a_renewal_in_a_loop(counter: Counter, tmp_path: Path) -> None:
    held = enrolled(counter.office, "line-1", tmp_path / "one")
    for _ in range(LIVE_MOST - 1):
        renew(counter.address, held, signing_request(new_key(), "line-1"))
    with pytest.raises(RefusedError, match="it renews in a loop"):
        renew(counter.address, held, signing_request(new_key(), "line-1"))


# The server itself


def test_tls_1_2_is_not_spoken(counter: Counter) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(counter.office.folder.broker / "ca.crt")
    assert "PROTOCOL_VERSION" in alert_of(counter.address, context)


def test_many_who_say_nothing_do_not_keep_a_station_out_for_long(counter: Counter) -> None:
    counter.server.connection_s, counter.server.step_s = 0.5, 100.0
    silent = [socket.create_connection(("127.0.0.1", counter.server.port)) for _ in range(40)]
    token = counter.token()
    try:
        _until_granted(token)
    finally:
        for one in silent:
            one.close()


def test_one_address_does_not_take_every_place(counter: Counter) -> None:
    silent = [socket.create_connection(("127.0.0.1", counter.server.port)) for _ in range(CONNECTIONS_MOST * 2)]
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(counter.office.folder.broker / "ca.crt")
    try:
        for _ in range(CONNECTIONS_MOST):  # each gives its place back
            with (
                socket.create_connection(("127.0.0.1", counter.server.port), 10, ("127.0.0.2", 0)) as raw,
                bare.wrap_socket(raw, server_hostname=HOST) as secure,
            ):
                secure.sendall(b"GET /v1/authority HTTP/1.0\r\n\r\n")
                assert b"200" in secure.recv(4096)
                while secure.recv(4096):
                    pass
    finally:
        for one in silent:
            one.close()


def test_headers_without_end_are_not_read(counter: Counter) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(counter.office.folder.broker / "ca.crt")
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 30_000) for number in range(50))
    answer = b""
    with (
        socket.create_connection((HOST, counter.server.port), timeout=10) as raw,
        bare.wrap_socket(raw, server_hostname=HOST) as secure,
        contextlib.suppress(ConnectionError, ssl.SSLError),
    ):
        secure.sendall(b"GET /v1/authority HTTP/1.0\r\n" + lines + b"\r\n")
        answer = secure.recv(4096)
    assert answer == b""
    assert asked(counter.token()).certificate


def test_a_server_that_drips_does_not_hold_a_station(counter: Counter, tmp_path: Path) -> None:
    ours = counter.office.folder.stations()
    good = issued(ours, ours, "enrolment", tmp_path / "good", Kind.ENROLMENT, hosts=(HOST,))
    with fake_server(server_context(good)) as fake, pytest.raises(LinkError, match="cannot ask"):
        enrol(replace(counter.token(), address=Address(HOST, fake.port)), b"x", total_timeout_s=0.5)


def test_a_name_that_only_another_server_has(counter: Counter) -> None:
    with pytest.raises(Exception, match="the enrolment server's certificate is for localhost"):
        counter.office.token("line-1", address=Address("other.example", 8443))


def _until_granted(token: Token) -> None:
    until, waiting = 100, threading.Event()
    for _ in range(until):
        try:
            asked(token)
        except LinkError:
            waiting.wait(0.1)
        else:
            return
    raise AssertionError("never let in")


def _posted(counter: Counter, context: ssl.SSLContext, path: bytes, body: bytes) -> bytes:
    with (
        socket.create_connection((HOST, counter.server.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=HOST) as secure,
    ):
        secure.sendall(b"POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (path, len(body), body))
        return secure.recv(4096)


def _point(request: x509.CertificateSigningRequest) -> bytes:
    key = request.public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
