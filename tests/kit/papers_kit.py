"""Real certificates of every kind that can be wrong, and servers that show them."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Life:
    """From and until when a certificate counts, days from now."""

    begin: float = -1
    end: float = 365

    @property
    def times(self) -> tuple[datetime, datetime]:
        now = datetime.now(UTC)
        return now + timedelta(days=self.begin), now + timedelta(days=self.end)


class Authority:
    """An authority that signs whatever is asked."""

    def __init__(self, name: str = "plant", life: Life = Life(-10, 3650)) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = _builder(self._name, self._name, self._key.public_key(), life)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = built.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, life: Life, use: x509.ObjectIdentifier, address: str = ""
    ) -> bytes:
        """A certificate as PEM."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = _builder(subject, self._name, key.public_key(), life)
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if address:
            names = [x509.IPAddress(ipaddress.ip_address(address))]
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def identity(
        self,
        folder: Path,
        name: str = "test-1",
        life: Life = Life(),
        use: x509.ObjectIdentifier = CLIENT,
        address: str = "",
        believed: "Authority | None" = None,
    ) -> Path:
        """A folder with `ca.crt` and `identity.pem`, mode 0600."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = folder / "identity.pem"
        pem.write_bytes(private_pem(key) + self.sign(name, key, life, use, address))
        pem.chmod(0o600)
        (folder / "ca.crt").write_bytes((believed or self).pem)
        return folder


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: Life
) -> x509.CertificateBuilder:
    begin, end = life.times
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return built.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of loopback at which each connection is talked to; whatever the other end does is fine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, talk, stop))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            socket.create_connection(server.getsockname(), 1).close()
            thread.join(_STOP_S)


def _serve(server: socket.socket, talk: Callable[[socket.socket], None], stop: threading.Event) -> None:
    while True:
        connection, _ = server.accept()
        with connection:
            if stop.is_set():
                return
            connection.settimeout(_STOP_S)
            try:
                talk(connection)
            except OSError:
                continue


def tls(identity: Path, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Callable[[socket.socket], None]:
    """A broker's side of mutual TLS by this identity: it asks for a certificate, then waits to be spoken to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = most
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(identity / "ca.crt")
    context.load_cert_chain(identity / "identity.pem")

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    return talk
