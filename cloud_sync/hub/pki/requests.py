"""Signing requests from strangers: small, for one plain name, on P-256, signed by the key that they are for."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_sync.hub.pki.errors import RefusedError, RequestError
from cloud_sync.wire.certificates import common_name, public_bytes, readable
from cloud_sync.wire.enrolment import CSR_LIMIT_BYTES
from cloud_sync.wire.errors import LinkError


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """Whose certificate is asked for, and for which key."""

    name: str
    key: ec.EllipticCurvePublicKey


def read_request(csr: bytes) -> CheckedRequest:
    """Read a signing request. Raises RefusedError; one that is too large is not looked at."""
    if len(csr) > CSR_LIMIT_BYTES:
        raise RefusedError(f"expected a signing request of at most {CSR_LIMIT_BYTES} bytes, got {len(csr)}")
    try:
        with readable("a signing request in PEM"):
            return _checked(x509.load_pem_x509_csr(csr))
    except LinkError as error:
        raise RefusedError(str(error)) from error


def _checked(request: x509.CertificateSigningRequest) -> CheckedRequest:
    key, subject = public_key_of(request.public_key()), request.subject
    if not request.is_signature_valid:
        raise RefusedError("the signing request is not signed by the key that it is for")
    if len(list(subject)) != 1:
        raise RefusedError(f"expected a common name and nothing else in the request, got {len(list(subject))}")
    return CheckedRequest(common_name(subject), key)


def public_key_of(key: object) -> ec.EllipticCurvePublicKey:
    """The key itself. Raises LinkError where it is not on P-256."""
    public_bytes(key)
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - what was just checked
    return key


def read_file(path: Path) -> bytes:
    """A request's file, no more of it than a request may have. Raises RequestError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(CSR_LIMIT_BYTES + 1)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
