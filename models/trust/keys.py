"""The private keys by which releases are signed: a folder of PKCS8 files, for its owner alone.

- The keys of root and targets are encrypted with a passphrase: who takes the machine that renews signs no release.
- Those of snapshot and timestamp are not: they work by day and night without anybody, and prove no more than that
  what is served is the newest.
- A file is named by role and key, so that a key that was made and never came into use harms nothing.
"""

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from models.durable import sync_directory
from models.trust.errors import KeyFileError

ROLES = ("root", "targets", "snapshot", "timestamp")
ENCRYPTED = frozenset({"root", "targets"})

_FILE = re.compile(rf"({'|'.join(ROLES)})-([0-9a-f]{{64}})\.pem")


@dataclass(frozen=True, slots=True)
class TrustKeys:
    """A folder of keys, and what opens those that are encrypted; read at each use.

    Args:
        folder: made, for its owner alone, with the first key.
        passphrase: None: only snapshot and timestamp can be signed.
    """

    folder: Path
    passphrase: bytes | None = field(default=None, repr=False)

    def ids(self, role: str) -> tuple[str, ...]:
        """The keys of a role that lie here, whether in use or not, oldest first. Raises KeyFileError."""
        try:
            found = [(path.stat().st_mtime_ns, match[2]) for path, match in self._files() if match[1] == role]
        except OSError as error:
            raise KeyFileError(f"cannot read the keys in {self.folder}: {error.strerror}") from error
        return tuple(keyid for _, keyid in sorted(found))

    def make(self, role: str) -> CryptoSigner:
        """A new key of a role, on the disk before it is used. Raises KeyFileError."""
        private = Ed25519PrivateKey.generate()
        signer = CryptoSigner(private)
        content = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, self._encryption(role))
        path = self._path(role, signer.public_key.keyid)
        try:
            _make_private_folder(self.folder)
            _write_private(path, content)
        except OSError as error:
            raise KeyFileError(f"cannot write {path}: {error.strerror}") from error
        return signer

    def held_or_made(self, role: str) -> CryptoSigner:
        """The newest key of a role that lies here, or a first one. Raises KeyFileError."""
        held = self.ids(role)
        return self.signer(role, held[-1]) if held else self.make(role)

    def signer(self, role: str, keyid: str) -> CryptoSigner:
        """What signs with this key. Raises KeyFileError: absent, no key, wrong passphrase."""
        path = self._path(role, keyid)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise KeyFileError(f"{self.folder} does not hold the {role} key {keyid[:12]}...: name its folder") from None
        except OSError as error:
            raise KeyFileError(f"cannot read {path}: {error.strerror}") from error
        signer = CryptoSigner(self._private(path, role, content))
        if signer.public_key.keyid != keyid:
            raise KeyFileError(f"{path} holds another key than its name says: put the right file back")
        return signer

    def remove(self, role: str, keyid: str) -> None:
        """A key that nobody trusts any more. Raises KeyFileError."""
        try:
            self._path(role, keyid).unlink(missing_ok=True)
            sync_directory(self.folder)
        except OSError as error:
            raise KeyFileError(f"cannot remove {self._path(role, keyid)}: {error.strerror}") from error

    def _files(self) -> list[tuple[Path, re.Match[str]]]:
        if not self.folder.exists():
            return []
        return [(path, match) for path in self.folder.iterdir() if (match := _FILE.fullmatch(path.name))]

    def _path(self, role: str, keyid: str) -> Path:
        return self.folder / f"{role}-{keyid}.pem"

    def _encryption(self, role: str) -> KeySerializationEncryption:
        return BestAvailableEncryption(self._needed(role)) if role in ENCRYPTED else NoEncryption()

    def _needed(self, role: str) -> bytes:
        if not self.passphrase:
            raise KeyFileError(f"the {role} key is encrypted, and no passphrase was given: name a file that holds it")
        return self.passphrase

    def _private(self, path: Path, role: str, content: bytes) -> Ed25519PrivateKey:
        passphrase = self._needed(role) if role in ENCRYPTED else None
        try:
            private = load_pem_private_key(content, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            what = "the passphrase is wrong, or it is no key" if role in ENCRYPTED else "it is no private key"
            raise KeyFileError(f"cannot use {path}: {what}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"{path} holds another kind of key than Ed25519: put the right file back")
        return private


def _make_private_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_directory(folder.parent)


def _write_private(path: Path, content: bytes) -> None:
    """Whole or not there, and readable by its owner alone from the first byte on."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    sync_directory(path.parent)
