"""Who the station is to the cloud: its certificate, its key, and the authority of both ends."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.identity import Identity
from edge.config_outputs import MqttSection
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok

_LATE_SHARE = 0.3  # of a certificate's life: `edge renew`, asked each day, gets another from a third on
_AUTHORITY_DAYS = 90


@dataclass(frozen=True, slots=True)
class _Papers:
    """Our certificate, whether the key beside it is its own, and the authority, if it is its own."""

    own: x509.Certificate
    fits: bool
    authority: x509.Certificate
    issued: bool


def identities(around: Around) -> Iterator[Finding]:
    """Every identity that station.toml asks for."""
    if around.config is None:
        return
    folders: dict[Path, str | None] = {}
    sync = around.config.sync.broker
    if sync is not None and Endpoint.parse(sync, around.config.identity_dir).identity is not None:
        folders[around.config.identity_dir] = around.config.station.id
    for output in around.config.output:
        if isinstance(output, MqttSection) and Endpoint.parse(output.broker, Path()).identity is not None:
            folders.setdefault(output.identity or around.config.identity_dir, None)
    for folder, station in folders.items():
        yield from _identity(around, Identity(folder), station)


def trust_root(around: Around) -> Iterator[Finding]:
    """What signed releases are checked by, where there is a cloud to send some."""
    if around.config is None or around.config.sync.broker is None:
        return
    path, name = around.config.trust_root_path, "trust root"
    try:
        signed = json.loads(path.read_bytes())["signed"]
        found = f"version {signed['version']}, {path}" if signed["_type"] == "root" else ""
    except FileNotFoundError:
        yield fault("certificates.no-trust-root", name, f"{path} is not there")
        return
    except (OSError, ValueError, LookupError, TypeError) as error:
        yield fault("certificates.bad-trust-root", name, f"{path}: {error}", file=path)
        return
    yield (
        ok("certificates", name, found)
        if found
        else fault("certificates.bad-trust-root", name, f"{path} is signed metadata of another kind", file=path)
    )


def _identity(around: Around, identity: Identity, station: str | None) -> Iterator[Finding]:
    option = around.config_option
    try:
        papers = _read(identity)
    except FileNotFoundError as error:
        yield fault("certificates.absent", "identity", f"{error.filename} is not there", option=option)
        return
    except OSError as error:
        found = f"{error.filename} cannot be read: {error.strerror}"
        yield fault("certificates.unreadable", "identity", found, folder=identity.folder)
        return
    except (ValueError, TypeError) as error:
        found = f"{identity.folder} does not hold what it should: {error}"
        yield fault("certificates.no-pem", "identity", found, option=option)
        return
    yield from _whose(papers, station, option)
    yield _life(papers.own, around.now, option)
    yield _authority(papers.authority, around.now)


def _read(identity: Identity) -> _Papers:
    """Raises OSError, ValueError, TypeError (a key that wants a password)."""
    authorities = x509.load_pem_x509_certificates(identity.ca.read_bytes())  # two while one takes over from the other
    pem = identity.pem.read_bytes()
    own, key = x509.load_pem_x509_certificate(pem), load_pem_private_key(pem, None)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    fits = key.public_key().public_bytes(*form) == own.public_key().public_bytes(*form)
    issuer = next((each for each in authorities if _issued(own, each)), None)
    return _Papers(own, fits, issuer or authorities[0], issuer is not None)


def _whose(papers: _Papers, station: str | None, option: str) -> Iterator[Finding]:
    """Whether it is this station's, by this authority, for this use."""
    name = _common_name(papers.own)
    if not papers.fits:
        yield fault("certificates.other-key", "private key", "the key is not the certificate's", option=option)
    if station is not None and name != station:
        found = f"the certificate is {name!r}'s, and this station is {station!r}"
        yield fault("certificates.other-station", "certificate", found, option=option, other=name)
    if not papers.issued:
        found = f"it was issued by {papers.own.issuer.rfc4514_string()}, not by the authority in ca.crt"
        yield fault("certificates.other-authority", "certificate", found, option=option)
    if not _for_clients(papers.own):
        yield fault(
            "certificates.no-client", "certificate", "it is not for clients (extended key usage)", option=option
        )


def _life(own: x509.Certificate, now: datetime, option: str) -> Finding:
    begin, end = own.not_valid_before_utc, own.not_valid_after_utc
    left = end - now
    found = f"{_common_name(own)!r}, {begin:%Y-%m-%d} to {end:%Y-%m-%d %H:%M} UTC, {_left(left)}"
    if left.total_seconds() <= 0:
        return fault("certificates.expired", "certificate", found, option=option)
    if now < begin:
        return fault("certificates.not-yet", "certificate", found, option=option)
    if left < (end - begin) * _LATE_SHARE:
        return fault("certificates.ends-soon", "certificate", found, option=option)
    return ok("certificates", "certificate", found)


def _authority(authority: x509.Certificate, now: datetime) -> Finding:
    left = authority.not_valid_after_utc - now
    found = f"{authority.subject.rfc4514_string()}, until {authority.not_valid_after_utc:%Y-%m-%d}, {_left(left)}"
    if left.total_seconds() <= 0:
        return fault("certificates.authority-expired", "authority", found)
    if left.days < _AUTHORITY_DAYS:
        return fault("certificates.authority-ends", "authority", found)
    return ok("certificates", "authority", found)


def _left(left: timedelta) -> str:
    return f"{left.days} days left" if left >= timedelta() else f"over for {-left.total_seconds() / 86400:.1f} days"


def _issued(own: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        own.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _for_clients(own: x509.Certificate) -> bool:
    try:
        use = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True  # then it is for any use
    return ExtendedKeyUsageOID.CLIENT_AUTH in use


def _common_name(own: x509.Certificate) -> str:
    names = own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
