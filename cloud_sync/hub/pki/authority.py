"""A certificate authority on ECDSA P-256: makes itself, signs leaves, lists who was revoked. No disk, no register.

There are two of them, so that neither can be used for the other's: one for stations and servers, whose key the
enrolment server holds, and one for hub identities, which the broker's hub listener alone believes.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_sync.wire.certificates import certificate_pem, key_pem, new_key, read_certificate, read_key

AUTHORITY_LIFE = dt.timedelta(days=3652)
LEAF_LIFE_DAYS = 90
LEAF_LIFE_MOST_DAYS = 825
CLOCK_SKEW = dt.timedelta(hours=1)  # a station whose clock is so far behind takes the broker's new certificate still

_ANY_SERVER: list[x509.GeneralName] = [
    x509.DNSName(""),
    x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
    x509.IPAddress(ipaddress.ip_network("::/0")),
]


class Kind(StrEnum):
    """What a certificate is for."""

    STATION = "station"
    HUB = "hub"
    BROKER = "broker"
    ENROLMENT = "enrolment"

    @property
    def is_server(self) -> bool:
        """Whether it is shown by a server, and never by a client."""
        return self in {Kind.BROKER, Kind.ENROLMENT}


@dataclass(frozen=True, slots=True)
class Revoked:
    """A serial that is no longer good, since when."""

    serial: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority's key and certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str, now: dt.datetime, *, for_servers: bool) -> Self:
        """A new authority that signs leaves only.

        Args:
            name: its common name; two authorities never share one.
            now: aware.
            for_servers: False excludes every host name and address from what it may vouch for.
        """
        key = new_key()
        subject = _name(name)
        builder = _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        if not for_servers:
            builder = builder.add_extension(x509.NameConstraints(None, _ANY_SERVER), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def read(cls, key: bytes, certificate: bytes) -> Self:
        """From PEM. Raises LinkError."""
        return cls(read_key(key), read_certificate(certificate))

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return certificate_pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """Its private key."""
        return key_pem(self.key)

    def issue(
        self,
        public_key: ec.EllipticCurvePublicKey,
        name: str,
        kind: Kind,
        now: dt.datetime,
        life_days: float,
        hosts: Sequence[str] = (),
    ) -> x509.Certificate:
        """A leaf for this key; whatever else a signing request wished for is not looked at.

        Args:
            public_key: its owner's, on P-256.
            name: the common name.
            kind: stations and hubs are clients only, broker and enrolment server are servers only.
            now: aware.
            life_days: how long it is good; never longer than the authority itself.
            hosts: a server's names and addresses.
        """
        life = min(dt.timedelta(days=life_days), self.certificate.not_valid_after_utc - now)
        builder = _builder(_name(name), self.certificate.subject, public_key, now, life)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if kind.is_server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(ours, critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())

    def revocation_list(self, revoked: Sequence[Revoked], number: int, now: dt.datetime) -> bytes:
        """The list of these serials in PEM. It is good as long as the authority is: see `PkiFolder`."""
        until = self.certificate.not_valid_after_utc
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, now - CLOCK_SKEW, until)
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(ours, critical=False)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder(one.serial, one.at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def checked_host(host: str) -> str:
    """A server's name or address itself. Raises ValueError where a certificate cannot hold it."""
    _host(host)
    labels = host.split(".")
    plain = all(0 < len(label) < 64 and label.replace("-", "a").isalnum() for label in labels)  # noqa: PLR2004 - DNS
    if not host.isascii() or not (plain or ":" in host):
        raise ValueError(f"expected a host's name or address, got {host[:120]!r}")
    return host


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    return builder.not_valid_before(now - CLOCK_SKEW).not_valid_after(now + life)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
