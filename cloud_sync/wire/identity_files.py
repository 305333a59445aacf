"""An identity's folder as it is renewed: what is there stays in use until the new one is whole and proven to fit.

- `pending.key` is the key of a request under way; it is kept until its certificate is here, so that a request whose
  answer was lost is asked again with the same key, and an offline request finds its key.
- `renewal.key` is that of a renewal: whoever asks again with it is given the same certificate, not one more.
- `identity.pem` is replaced by one rename. Where the authority changes, both are believed until then, so that neither
  a crash nor a daemon that connects in between meets an identity and an authority that do not fit.
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_sync.wire.certificates import (
    Standing,
    certificate_pem,
    check_fits,
    key_pem,
    new_key,
    read_certificate,
    read_key,
    standing,
)
from cloud_sync.wire.enrolment import Grant
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import TRUST_ROOT_FILE, Identity
from cloud_sync.wire.link import Address
from cloud_sync.wire.whole_file import make_private_folder, sync_folder, write_whole

PENDING_FILE = "pending.key"
RENEWAL_FILE = "renewal.key"
ENROLMENT_FILE = "enrolment"


def key_under_way(identity: Identity) -> ec.EllipticCurvePrivateKey:
    """The key that a certificate is asked for; made and kept where there is none. Raises LinkError or OSError."""
    make_private_folder(identity.folder)
    path = identity.folder / PENDING_FILE
    try:
        return read_key(path.read_bytes())
    except FileNotFoundError:
        key = new_key()
        write_whole(path, key_pem(key))
        return key


def renewal_key(identity: Identity) -> ec.EllipticCurvePrivateKey:
    """The key of a renewal whose answer never came, or a new one, kept before it is used. Raises OSError."""
    path = identity.folder / RENEWAL_FILE
    try:
        return read_key(path.read_bytes())
    except (FileNotFoundError, LinkError):  # nobody holds a certificate for a key that nobody can read
        key = new_key()
        write_whole(path, key_pem(key))
        return key


def request_made(identity: Identity) -> ec.EllipticCurvePrivateKey:
    """The key of a request that was made before. Raises LinkError where none was, or OSError."""
    try:
        return read_key((identity.folder / PENDING_FILE).read_bytes())
    except FileNotFoundError:
        raise LinkError(f"no request is under way in {identity.folder}: make one with `edge enrol --csr`") from None


def install(identity: Identity, grant: Grant, key: ec.EllipticCurvePrivateKey, name: str) -> Standing:
    """Take the certificate into use.

    Args:
        identity: its folder.
        grant: certificate and authority.
        key: made on this machine, for this certificate.
        name: whose certificate it has to be.

    Returns:
        What the new certificate says.

    Raises:
        LinkError: it does not fit name, key or authority; nothing was changed.
        OSError: the disk refuses; the old identity is in use still.
    """
    certificate, authority = read_certificate(grant.certificate), read_certificate(grant.authority)
    check_fits(certificate, key, authority, name)
    _believe(identity, authority)
    write_whole(identity.pem, key_pem(key) + certificate_pem(certificate))
    write_whole(identity.ca, certificate_pem(authority), 0o644)
    return standing(certificate)


def pin_trust_root(identity: Identity, grant: Grant, *, anew: bool) -> None:
    """Keep the root that came with a certificate, by which signed releases are checked. Raises OSError.

    Args:
        identity: its folder.
        grant: what the authority gave.
        anew: also where one is pinned: this enrolment begins a new trust; a renewal never changes it.
    """
    path = identity.folder / TRUST_ROOT_FILE
    if grant.trust_root and (anew or not path.exists()):
        write_whole(path, grant.trust_root, 0o644)


def forget_key_under_way(identity: Identity, file: str = PENDING_FILE) -> None:
    """Its certificate is here. Raises OSError."""
    (identity.folder / file).unlink(missing_ok=True)
    sync_folder(identity.folder)


def _believe(identity: Identity, authority: x509.Certificate) -> None:
    """Also the new authority, beside the old one."""
    try:
        held = identity.ca.read_bytes()
    except FileNotFoundError:
        held = b""
    pem = certificate_pem(authority)
    if pem not in held:
        write_whole(identity.ca, pem + held, 0o644)


def own_standing(identity: Identity) -> Standing:
    """What our certificate says. Raises LinkError where there is none."""
    try:
        return standing(read_certificate(_certificates(identity.pem)))
    except OSError as error:
        raise LinkError(f"cannot read our identity {identity.pem}: {error.strerror}: enrol this machine") from error


def keep_address(identity: Identity, address: Address) -> None:
    """Where this identity is renewed. Raises OSError."""
    write_whole(identity.folder / ENROLMENT_FILE, f"{address}\n".encode(), 0o644)


def kept_address(identity: Identity) -> Address | None:
    """Where this identity is renewed; None where nobody said. Raises LinkError where the file holds no address."""
    try:
        return Address.parse((identity.folder / ENROLMENT_FILE).read_text("utf-8").strip())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LinkError(f"cannot read {identity.folder / ENROLMENT_FILE}: {error}") from error


def is_private(path: Path) -> bool:
    """Whether nobody but its owner may read the file. Raises OSError."""
    return path.stat().st_mode & 0o077 == 0


def _certificates(path: Path) -> bytes:
    """The file from its first certificate on."""
    content = path.read_bytes()
    return content[max(0, content.find(b"-----BEGIN CERTIFICATE-----")) :]
