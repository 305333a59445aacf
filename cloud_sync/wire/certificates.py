"""Keys, signing requests and certificates as every machine of the fleet needs them: ECDSA P-256, PEM, no disk."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud_sync.wire.errors import LinkError

RENEW_SHARE = 1 / 3  # a certificate is renewed once no more than this of its life is left

_SHOWN = 200
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a certificate says: whose it is, by whom, and from when to when (aware datetimes)."""

    name: str
    issuer: str
    not_before: dt.datetime
    not_after: dt.datetime
    sha256: str

    def is_due(self, now: dt.datetime) -> bool:
        """Whether it is time to renew it: a third of its life is left, or less."""
        return self.not_after - now <= (self.not_after - self.not_before) * RENEW_SHARE

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether its time has come and is not over."""
        return self.not_before <= now <= self.not_after


@contextmanager
def readable(what: str) -> Iterator[None]:
    """They are read, or a LinkError says what was expected; some parts are read only when they are asked for."""
    try:
        yield
    except _UNREADABLE as error:
        raise LinkError(f"expected {what}: {str(error)[:_SHOWN]}") from error


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh private key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private key as unencrypted PKCS 8 in PEM: for a file of mode 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key in PEM. Raises LinkError where it is no key on P-256."""
    with readable("a private key in PEM"):
        key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise LinkError("expected a private key on P-256, got another kind")
    return key


def signing_request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A signing request for this name in PEM; its signature proves that we have the key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def read_certificate(pem: bytes) -> x509.Certificate:
    """The first certificate in PEM. Raises LinkError where there is none."""
    with readable("a certificate in PEM"):
        return x509.load_pem_x509_certificate(pem)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def standing(certificate: x509.Certificate) -> Standing:
    """What the certificate says. Raises LinkError where it names nobody."""
    with readable("a certificate"):
        return Standing(
            common_name(certificate.subject),
            common_name(certificate.issuer),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            fingerprint(certificate),
        )


def common_name(name: x509.Name) -> str:
    """The only common name. Raises LinkError where there is none, or more than one."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(found) != 1:
        raise LinkError(f"expected one common name in a certificate, got {len(found)}")
    return str(found[0].value)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, hex."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def check_fits(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, name: str
) -> None:
    """Raises LinkError unless the certificate is this name's, for this key, and signed by this authority."""
    with readable("a certificate"):
        found, public_key = common_name(certificate.subject), certificate.public_key()
    if found != name:
        raise LinkError(f"the certificate is for {found!r}, expected {name!r}")
    if public_bytes(public_key) != public_bytes(key.public_key()):
        raise LinkError("the certificate is for another key than the one made here: enrol again")
    try:
        certificate.verify_directly_issued_by(authority)
    except _UNREADABLE as error:
        raise LinkError(f"the certificate of {name!r} was not signed by the authority beside it") from error


def public_bytes(key: object) -> bytes:
    """A public key's bytes, to compare. Raises LinkError where it is not on P-256."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise LinkError("expected a public key on P-256, got another kind")
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
