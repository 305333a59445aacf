"""Who we are to a broker, and whom we believe: a folder with a certificate authority and our own certificate.

One file holds key and certificate, so that a renewal replaces both by one rename.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.wire.errors import LinkError

CA_FILE = "ca.crt"
IDENTITY_FILE = "identity.pem"
SHARE_FILE = "share.key"
TRUST_ROOT_FILE = "root.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """A folder of two PEM files: `ca.crt`, and `identity.pem` with private key and certificate; read at each use."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The authority by which a peer's certificate is checked."""
        return self.folder / CA_FILE

    @property
    def pem(self) -> Path:
        """Our private key, then our certificate; nobody but us may read it."""
        return self.folder / IDENTITY_FILE

    def share_key(self) -> str:
        """What makes the name of the collectors' share a secret; "" where there is none. Raises LinkError.

        mosquitto asks no access list about a subscription, only about what is then delivered. Whoever knows a share's
        name can join it, and the messages that fall to him are lost: he is not given them, and nobody else is.
        """
        path = self.folder / SHARE_FILE
        try:
            return f"-{path.read_text('ascii').strip()}" if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise LinkError(f"cannot read {path}: {error}") from error

    def context(self) -> ssl.SSLContext:
        """A client's TLS 1.3 with the peer's name checked. Raises LinkError where a file is absent or no PEM."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_verify_locations(self.ca)
        except (OSError, ssl.SSLError) as error:
            raise LinkError(f"cannot use the authority {self.ca}: {_why(error)}: enrol this machine") from error
        try:
            context.load_cert_chain(self.pem, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise LinkError(f"cannot use our identity {self.pem}: {_why(error)}: enrol this machine") from error


def _no_password() -> str:
    """Else OpenSSL asks at the terminal, and a daemon hangs."""
    return ""


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
