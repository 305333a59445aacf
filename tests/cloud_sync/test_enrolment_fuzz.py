"""What strangers send where identities are given: whatever the bytes, a declared error or a value."""

import base64
import random
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_sync.hub.pki.authority import Authority
from cloud_sync.hub.pki.errors import RefusedError
from cloud_sync.hub.pki.office import utc_now
from cloud_sync.hub.pki.requests import read_request
from cloud_sync.wire.certificates import check_fits, new_key, read_certificate, signing_request, standing
from cloud_sync.wire.enrolment import Grant, Request, Token
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Address

ROUNDS = 2000
KEY = new_key()
AUTHORITY = Authority.make("an authority", utc_now(), for_servers=True)
CSR = signing_request(KEY, "line-1")


def damaged(good: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, lost or added."""
    content = bytearray(good)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(content))
        match chance.randrange(4):
            case 0:
                del content[at : at + chance.randint(1, 5)]
            case 1:
                content[at:at] = chance.randbytes(chance.randint(1, 4))
            case _:
                content[at] = chance.randrange(256)
    return bytes(content)


def pem(der: bytes, label: str) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()


def _certificate(content: bytes) -> None:
    found = read_certificate(pem(content, "CERTIFICATE"))
    standing(found)
    check_fits(found, KEY, AUTHORITY.certificate, "line-1")


TARGETS: list[tuple[str, bytes, Callable[[bytes], object]]] = [
    (
        "signing request",
        x509.load_pem_x509_csr(CSR).public_bytes(Encoding.DER),
        lambda content: read_request(pem(content, "CERTIFICATE REQUEST")),
    ),
    ("signing request, its text", CSR, read_request),
    ("certificate", AUTHORITY.certificate.public_bytes(Encoding.DER), _certificate),
    ("request", Request(CSR, "ab" * 32).pack(), Request.parse),
    ("grant", Grant(AUTHORITY.pem, AUTHORITY.pem).pack(), Grant.parse),
    (
        "token",
        str(Token("line-1", Address("hub.example", 8443), "ab" * 32, "cd" * 32)).encode(),
        lambda content: Token.parse(content.decode("latin-1")),
    ),
]


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # a serial below zero
@pytest.mark.parametrize(("good", "read"), [target[1:] for target in TARGETS], ids=[target[0] for target in TARGETS])
def test_damaged_input_ends_in_a_declared_error_or_is_read(good: bytes, read: Callable[[bytes], object]) -> None:
    chance, refused = random.Random(8), 0
    for _ in range(ROUNDS):
        try:
            read(damaged(good, chance))
        except (LinkError, RefusedError):
            refused += 1
    assert refused > ROUNDS / 4
