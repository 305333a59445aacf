"""Signs what stations are to believe, over tuf's Metadata objects: no disk, no clock, no network.

- Each step makes new versions and leaves what it was given as it was; what a step did not change keeps its bytes.
- A new targets file comes with a new snapshot and a new timestamp: together they are one state, and no mix of two.
- A root that follows another is signed by the keys of both, so that who trusts the one can come to trust the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from models.trust.about import ReleaseAbout
from models.trust.errors import ForgedError, TrustError
from models.trust.keys import ROLES

LIFE = {
    "root": timedelta(days=365),
    "targets": timedelta(days=90),
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=7),
}
Signers = Mapping[str, Sequence[Signer]]

T = TypeVar("T", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class SignedState:
    """The newest of each role; the objects are never changed, only replaced."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]

    @classmethod
    def parse(cls, newest: Mapping[str, bytes]) -> "SignedState":
        """Read the newest file of each role. Raises ForgedError where one is none."""
        try:
            return cls(
                Metadata[Root].from_bytes(newest["root"]),
                Metadata[Targets].from_bytes(newest["targets"]),
                Metadata[Snapshot].from_bytes(newest["snapshot"]),
                Metadata[Timestamp].from_bytes(newest["timestamp"]),
            )
        except (RepositoryError, KeyError) as error:
            raise ForgedError(f"the signed metadata that is kept cannot be read: {error}") from error

    def version(self, role: str) -> int:
        """A role's newest version."""
        return int(getattr(self, role).signed.version)

    def expires(self, role: str) -> datetime:
        """When a role's newest version ends, aware."""
        found: datetime = getattr(self, role).signed.expires
        return found

    def file(self, role: str) -> bytes:
        """A role's newest version as a file."""
        return bytes(getattr(self, role).to_bytes())

    def key_ids(self, role: str) -> tuple[str, ...]:
        """The keys that are trusted for a role."""
        return tuple(self.root.signed.roles[role].keyids)

    def target(self, name: str) -> TargetFile | None:
        """A signed release."""
        return self.targets.signed.targets.get(name)


def founded(signers: Signers, now: datetime, thresholds: Mapping[str, int] | None = None) -> SignedState:
    """The first state: nothing is released.

    Args:
        signers: of every role, one or more.
        now: aware.
        thresholds: how many of a role's keys must sign; 1 where not said.
    """
    root = Root(expires=_end("root", now), consistent_snapshot=True)
    for role in ROLES:
        for signer in signers[role]:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = (thresholds or {}).get(role, 1)
    targets = _signed(Targets(expires=_end("targets", now)), signers["targets"])
    snapshot = _signed(
        Snapshot(expires=_end("snapshot", now), meta={"targets.json": _met(targets)}), signers["snapshot"]
    )
    timestamp = _signed(Timestamp(expires=_end("timestamp", now), snapshot_meta=_met(snapshot)), signers["timestamp"])
    return SignedState(_signed(root, signers["root"]), targets, snapshot, timestamp)


def with_target(
    state: SignedState, about: ReleaseAbout, sha256: str, size_bytes: int, signers: Signers, now: datetime
) -> SignedState:
    """One release more; the same one again changes nothing.

    Args:
        state: as it is.
        about: what it is, and for whom.
        sha256: of its file, hex.
        size_bytes: of its file.
        signers: of targets, snapshot and timestamp.
        now: aware.

    Raises:
        TrustError: the name is signed for other content, or for another description.
    """
    target = TargetFile(size_bytes, {"sha256": sha256}, about.name, {"custom": about.as_json()})
    held = state.target(about.name)
    if held == target:
        return state
    if held is not None:
        raise TrustError(
            f"{about.name!r} is signed for other content, sha256 {held.hashes.get('sha256')}: take the next version"
        )
    targets = _copied(state.targets)
    targets.signed.targets[about.name] = target
    return _with_targets(state, _next(targets, signers["targets"], now), signers, now)


def renewed(state: SignedState, roles: Sequence[str], signers: Signers, now: datetime) -> SignedState:
    """The next version of these roles, and of what names them; root has its keys' signatures as before."""
    if "root" in roles:
        state = replace(state, root=_next(_copied(state.root), signers["root"], now))
    if "targets" in roles:
        return _with_targets(state, _next(_copied(state.targets), signers["targets"], now), signers, now)
    if "snapshot" in roles:
        return _with_snapshot(state, _copied(state.snapshot), signers, now)
    return _with_timestamp(state, signers, now) if "timestamp" in roles else state


def rotated(state: SignedState, role: str, new: Sequence[Signer], signers: Signers, now: datetime) -> SignedState:
    """The role's keys are these, and no others any more.

    Args:
        state: as it is.
        role: whose keys change.
        new: what signs for it from now on; at least as many as its threshold.
        signers: of root, as it was, and of the roles below the changed one.
        now: aware.
    """
    root = _copied(state.root)
    for keyid in state.key_ids(role):
        root.signed.revoke_key(keyid, role)
    for signer in new:
        root.signed.add_key(signer.public_key, role)
    also_new = new if role == "root" else ()
    root = _next(root, [*signers["root"], *also_new], now)
    return renewed(replace(state, root=root), () if role == "root" else (role,), {**signers, role: new}, now)


def due(state: SignedState, now: datetime) -> tuple[str, ...]:
    """The roles of which less than half of their life is left."""
    return tuple(role for role in ROLES if state.expires(role) - now < LIFE[role] / 2)


def _with_targets(state: SignedState, targets: Metadata[Targets], signers: Signers, now: datetime) -> SignedState:
    snapshot = _copied(state.snapshot)
    snapshot.signed.meta["targets.json"] = _met(targets)
    return _with_snapshot(replace(state, targets=targets), snapshot, signers, now)


def _with_snapshot(state: SignedState, snapshot: Metadata[Snapshot], signers: Signers, now: datetime) -> SignedState:
    return _with_timestamp(replace(state, snapshot=_next(snapshot, signers["snapshot"], now)), signers, now)


def _with_timestamp(state: SignedState, signers: Signers, now: datetime) -> SignedState:
    timestamp = _copied(state.timestamp)
    timestamp.signed.snapshot_meta = _met(state.snapshot)
    return replace(state, timestamp=_next(timestamp, signers["timestamp"], now))


def _next(metadata: Metadata[T], signers: Sequence[Signer], now: datetime) -> Metadata[T]:
    metadata.signed.version += 1
    metadata.signed.expires = _end(metadata.signed.type, now)
    return _sign(metadata, signers)


def _signed(signed: T, signers: Sequence[Signer]) -> Metadata[T]:
    return _sign(Metadata(signed), signers)


def _sign(metadata: Metadata[T], signers: Sequence[Signer]) -> Metadata[T]:
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata


def _copied(metadata: Metadata[T]) -> Metadata[T]:
    return Metadata.from_bytes(metadata.to_bytes())


def _met(metadata: Metadata[Targets] | Metadata[Snapshot]) -> MetaFile:
    """How the file above names this one: by version, size and hash."""
    return MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])


def _end(role: str, now: datetime) -> datetime:
    return (now + LIFE[role]).replace(microsecond=0)
