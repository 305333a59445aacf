"""The authority's folder: where what lies, and how it is written.

    ca.key, hub-ca.key       the two authorities' keys (0600)
    register.db              what was issued, and which tokens are out
    settings.json            names of the servers, lives
    broker/                  for the broker: broker.pem (key, certificate), ca.crt, hub-ca.crt, crl.pem, hub-crl.pem
    enrolment.pem            the enrolment server's own key and certificate
    trust-root.json          the root of signed releases, if there is one: stations are given it at enrolment
    identities/NAME/         hub identities: ca.crt, identity.pem, share.key

The revocation lists are good for as long as their authority is. They lie beside the register that they are written
from, and are written anew at each revocation: a shorter life would protect from nothing here, and lock out the whole
fleet on the day that nobody wrote one. `cloud pki list` and `serve` say where a list is behind the register.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_sync.hub.pki.authority import LEAF_LIFE_DAYS, LEAF_LIFE_MOST_DAYS, Authority
from cloud_sync.hub.pki.errors import PkiError, RequestError
from cloud_sync.hub.pki.register import Register
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.whole_file import make_private_folder, write_whole

BROKER_FILES = ("ca.crt", "hub-ca.crt", "crl.pem", "hub-crl.pem", "broker.pem")


class Settings(BaseModel):
    """settings.json, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: list[str] = Field(min_length=1)
    enrolment: str
    life_days: float = Field(LEAF_LIFE_DAYS, gt=0, le=LEAF_LIFE_MOST_DAYS)


@dataclass(frozen=True, slots=True)
class PkiFolder:
    """The folder; nothing is read before it is asked for."""

    path: Path

    @classmethod
    def existing(cls, path: Path) -> Self:
        """The folder, as `cloud pki init` made it. Raises RequestError where it is none."""
        found = cls(path)
        if not found.settings_path.exists():
            raise RequestError(
                f"{path} is no authority's folder: make one with `cloud pki init {path} --broker-host ...`"
            )
        return found

    @property
    def settings_path(self) -> Path:
        """Written once both authorities are there: whatever is missing then, `renew-own` and `hub` make."""
        return self.path / "settings.json"

    @property
    def broker(self) -> Path:
        """What the broker needs, and nothing else."""
        return self.path / "broker"

    @property
    def enrolment(self) -> Path:
        """The enrolment server's key and certificate."""
        return self.path / "enrolment.pem"

    @property
    def trust_root(self) -> Path:
        """Where the root of signed releases lies, as `cloud keys root` wrote it, if it was put here."""
        return self.path / "trust-root.json"

    @property
    def register(self) -> Register:
        """What was issued."""
        return Register(self.path / "register.db")

    @property
    def identities(self) -> Path:
        """Where hub identities lie."""
        return self.path / "identities"

    def identity(self, name: str) -> Identity:
        """A hub identity's folder, by its name without the underscore."""
        return Identity(self.identities / name)

    def settings(self) -> Settings:
        """Raises PkiError where the file is damaged."""
        try:
            return Settings.model_validate_json(self.settings_path.read_bytes())
        except (OSError, ValidationError) as error:
            raise PkiError(f"cannot use {self.settings_path}: {error}") from error

    def stations(self) -> Authority:
        """The authority of stations and servers. Raises PkiError."""
        return self._authority("ca")

    def hubs(self) -> Authority:
        """The authority of hub identities. Raises PkiError."""
        return self._authority("hub-ca")

    def make(self) -> None:
        """The empty folder, for its owner alone. Raises RequestError where there is something."""
        if self.path.exists() and any(self.path.iterdir()):
            raise RequestError(f"{self.path} is not empty, and an authority is made once: name a new folder")
        for folder in (self.path, self.broker, self.identities):
            make_private_folder(folder)
            folder.chmod(0o700)

    def keep_authority(self, name: str, authority: Authority) -> None:
        """Write `ca` or `hub-ca`."""
        write_whole(self.path / f"{name}.key", authority.key_pem)
        write_whole(self.broker / f"{name}.crt", authority.pem, 0o644)

    def keep_settings(self, settings: Settings) -> None:
        """Write settings.json."""
        content = json.dumps(settings.model_dump(), indent=1, sort_keys=True)
        write_whole(self.settings_path, content.encode() + b"\n")

    def share_key(self) -> str:
        """The secret in the collectors' share names, made once; see `topics.shared`."""
        path = self.path / "share.key"
        if not path.exists():
            write_whole(path, secrets.token_hex(16).encode())
        return path.read_text("ascii")

    def _authority(self, name: str) -> Authority:
        try:
            return Authority.read((self.path / f"{name}.key").read_bytes(), (self.broker / f"{name}.crt").read_bytes())
        except (OSError, LinkError) as error:
            raise PkiError(f"cannot use the authority {self.path / name}: {error}") from error
