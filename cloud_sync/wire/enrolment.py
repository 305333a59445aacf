"""How a machine is given its identity: the one-time token, and what is said to the authority over HTTPS.

- The token tells a station where to ask, whom to believe there, and the secret that it may use once.
- Nothing of the token goes to a server before that server has shown a certificate by the token's authority.
- A key never leaves the machine that it was made on: what travels is a signing request and a certificate.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Self

from cloud_sync.wire import strict_json
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Address
from cloud_sync.wire.topics import checked_station

AUTHORITY_PATH = "/v1/authority"
ENROL_PATH = "/v1/enrol"
RENEW_PATH = "/v1/renew"
ENROL_PORT = 8443
REQUEST_LIMIT_BYTES = 8 * 1024
ANSWER_LIMIT_BYTES = 32 * 1024
CSR_LIMIT_BYTES = 4 * 1024
TRUST_ROOT_LIMIT_BYTES = 16 * 1024

_MARK = "inspectd1_"
_TOKEN_LIMIT = 2048
_CHECK_BYTES = 4
_SHA256 = r"[0-9a-f]{64}"
_HEX = r"[0-9a-f]{32,128}"


@dataclass(frozen=True, slots=True)
class Token:
    """One permission to enrol one station.

    Args:
        station: whose certificate it gives.
        address: where to ask.
        authority_sha256: the fingerprint of the authority's certificate, hex.
        secret: what the server knows the hash of, hex.
    """

    station: str
    address: Address
    authority_sha256: str
    secret: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `cloud pki enrol` printed. Raises LinkError where it is cut, damaged or something else."""
        try:
            packed = base64.urlsafe_b64decode(text.strip()[len(_MARK) :].encode("ascii"))
        except (ValueError, binascii.Error):
            packed = b""
        content, check = packed[:-_CHECK_BYTES], packed[-_CHECK_BYTES:]
        known = text.strip().startswith(_MARK) and len(text) <= _TOKEN_LIMIT
        if not known or not content or check != _check(content):
            raise LinkError(f"expected a token as `cloud pki enrol` prints it, {_MARK}..., whole: copy it again")
        found = strict_json.members(strict_json.loads(content), ("station", "address", "authority", "secret"), "token")
        if not strict_json.is_text(found["authority"], _SHA256) or not strict_json.is_text(found["secret"], _HEX):
            raise LinkError("the token's fingerprint or secret is no hex: ask for another token")
        address = Address.parse(str(found["address"]))
        return cls(checked_station(str(found["station"])), address, str(found["authority"]), str(found["secret"]))

    def __str__(self) -> str:
        content = strict_json.canonical(
            {
                "station": self.station,
                "address": str(self.address),
                "authority": self.authority_sha256,
                "secret": self.secret,
            }
        )
        return _MARK + base64.urlsafe_b64encode(content + _check(content)).decode()

    def __repr__(self) -> str:  # the secret must reach no log
        return f"Token({self.station!r}, {self.address}, {self.authority_sha256[:12]}...)"


@dataclass(frozen=True, slots=True)
class Grant:
    """What the authority answers: a certificate, and the authority's own, both PEM.

    With them may come the root by which signed releases are checked; hubs of before signed releases send none.
    """

    certificate: bytes
    authority: bytes
    trust_root: bytes = b""

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read an answer. Raises LinkError where it is none."""
        found = strict_json.members(
            strict_json.loads(payload, unambiguous=True), ("certificate", "authority"), "the authority's answer"
        )
        trust_root = found.get("trust_root", "")
        if not isinstance(trust_root, str):
            raise LinkError(f"expected the root of signed releases as text, got {type(trust_root).__name__}")
        return cls(str(found["certificate"]).encode(), str(found["authority"]).encode(), trust_root.encode())

    def pack(self) -> bytes:
        """Its bytes on the wire."""
        content = {"certificate": self.certificate.decode(), "authority": self.authority.decode()}
        more = {"trust_root": self.trust_root.decode()} if self.trust_root else {}
        return strict_json.canonical(content | more)


@dataclass(frozen=True, slots=True)
class Request:
    """What a station asks: a signing request in PEM, and the token's secret; "" at a renewal."""

    csr: bytes
    secret: str = ""

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read a request. Raises LinkError where it is none, or its signing request too large to be looked at."""
        found = strict_json.members(strict_json.loads(payload, unambiguous=True), ("csr", "secret"), "a request")
        csr, secret = found["csr"], found["secret"]
        if not isinstance(csr, str) or len(csr) > CSR_LIMIT_BYTES or not csr.isascii():
            raise LinkError(f"expected a signing request in PEM of at most {CSR_LIMIT_BYTES} bytes")
        if secret != "" and not strict_json.is_text(secret, _HEX):
            raise LinkError("expected a token's secret in hex")
        return cls(csr.encode(), str(secret))

    def pack(self) -> bytes:
        """Its bytes on the wire."""
        return strict_json.canonical({"csr": self.csr.decode(), "secret": self.secret})


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECK_BYTES]
