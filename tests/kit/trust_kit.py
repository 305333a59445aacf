"""A repository of signed metadata in memory, and stations that fetch from it by name: what a simulator is to tuf."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Signer

from models.trust.about import ReleaseAbout
from models.trust.keys import ROLES
from models.trust.signing import SignedState, founded, renewed, rotated, with_target

STATION = "press-3"
BUNDLES = ("cells",)
ARCHIVE = b"a bundle as one file" * 1000


def about(version: int = 1, bundle: str = "cells", stations: tuple[str, ...] = ()) -> ReleaseAbout:
    return ReleaseAbout(bundle, version, "anomaly", ("defect",), "cell", stations, "ab" * 32, None)


def signer() -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.generate())


class Repository:
    """What the cloud signs and serves. `files` is what is on the wire: a test may change any of it.

    Args:
        keys: how many of each role.
        thresholds: how many of them must sign.
        at: when it was begun.
    """

    def __init__(
        self,
        keys: Mapping[str, int] | None = None,
        thresholds: Mapping[str, int] | None = None,
        at: datetime | None = None,
    ) -> None:
        self.now = at or datetime.now(UTC)
        self.signers: dict[str, Sequence[Signer]] = {
            role: [signer() for _ in range((keys or {}).get(role, 1))] for role in ROLES
        }
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.state = founded(self.signers, self.now, thresholds)
        self.publish(self.state)

    @cached_property
    def pinned(self) -> bytes:
        return self.files["1.root.json"]

    def publish(self, state: SignedState) -> None:
        self.state = state
        for role in ROLES:
            name = "timestamp.json" if role == "timestamp" else f"{state.version(role)}.{role}.json"
            self.files[name] = state.file(role)

    def release(self, what: ReleaseAbout, content: bytes = ARCHIVE) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        self.publish(with_target(self.state, what, sha256, len(content), self.signers, self.now))

    def renew(self, *roles: str) -> None:
        self.publish(renewed(self.state, roles, self.signers, self.now))

    def rotate(self, role: str) -> Sequence[Signer]:
        """A new key of the role; what signed before is given back."""
        old, new = self.signers[role], [signer()]
        self.publish(rotated(self.state, role, new, self.signers, self.now))
        self.signers[role] = new
        return old

    def fetch(self, name: str, limit_bytes: int) -> bytes | None:
        self.asked.append(name)
        content = self.files.get(name)
        return None if content is None else content[: limit_bytes + 1]

    def past(self, days: float, act: Callable[[], None]) -> None:
        """Do something as it would have been done so many days ago."""
        self.now -= timedelta(days=days)
        act()
        self.now += timedelta(days=days)


def archive_of(folder: Path, what: ReleaseAbout, size_bytes: int = 1000) -> tuple[Path, ReleaseAbout]:
    """A bundle as one file, as far as publishing looks; and its description with the right digest."""
    manifest = json.dumps({"id": what.bundle, "version": what.version}).encode()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / what.name
    with tarfile.open(file, "w") as archive:
        for name, content in (("bundle.json", manifest), ("model.bin", bytes(size_bytes))):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return file, replace(what, bundle_sha256=hashlib.sha256(manifest).hexdigest())
