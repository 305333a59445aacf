"""Signs releases and keeps what is signed: each step is one transaction, so that a kill leaves all of it or nothing.

- The content goes to the blob store first: until a signature names it, it is only a file there.
- The same release again does nothing; the same name with other content is refused.
- Two that sign at once wait for each other: no version is ever signed twice.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.files.releases import Release, checked_name, read_release
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.file_tables import releases
from cloud_sync.hub.trust.kept import changing, keep, needed_state, read_state, state_in
from models.archive import manifest_sha256
from models.trust.about import ReleaseAbout
from models.trust.errors import TrustError
from models.trust.keys import ENCRYPTED, ROLES, TrustKeys
from models.trust.signing import SignedState, Signers, due, founded, renewed, rotated, with_target

Now = Callable[[], dt.datetime]

_ONLINE = ("snapshot", "timestamp")
_SIGNING = ("targets", *_ONLINE)


def utc_now() -> dt.datetime:
    """The time, aware."""
    return dt.datetime.now(dt.UTC)


def begin(place: str, keys: TrustKeys, now: Now = utc_now) -> bool:
    """Make keys and the first signed metadata; False where it was begun before, with these keys.

    Keys that lie in the folder already are used: a kill between them and the store leaves no two of a kind.

    Raises:
        KeyFileError: a key cannot be made or read, or the store was begun with other keys.
        StoreError: the store cannot be written.
    """
    with changing(place, create=True) as connection:
        if (state := state_in(connection)) is not None:
            _signers(keys, state, _ONLINE)
            return False
        signers = {role: [keys.held_or_made(role)] for role in ROLES}
        keep(connection, None, founded(signers, now()), now())
    return True


def publish_release(
    place: str, blobs: Blobs, keys: TrustKeys, archive: Path, about: ReleaseAbout, now: Now = utc_now
) -> None:
    """Sign a release, so that stations may take it; the same one again does nothing.

    Args:
        place: the store.
        blobs: where its content goes.
        keys: with the passphrase that opens the targets key.
        archive: the bundle as one file, as `models.archive.pack` wrote it.
        about: what it is, and for whom; its name becomes the release's.
        now: aware.

    Raises:
        TrustError: nothing was begun, the archive is not what is said of it, or the name is signed for other content.
        KeyFileError: a key or the passphrase is absent or wrong.
        OfferError: it cannot be a release: its name is none, no such file, empty, too large.
        BlobError, StoreError: the outside world failed; say the same again.
    """
    found = read_release(archive)
    release = Release(checked_name(about.name), found.sha256, found.size_bytes)
    if manifest_sha256(archive) != about.bundle_sha256:
        raise TrustError(f"{archive} does not hold the bundle {about.bundle_sha256[:16]}... that is to be signed")
    with changing(place) as connection:  # what cannot be signed is not stored either
        _signed(connection, place, keys, about, release, now())
        connection.rollback()
    if not blobs.holds(release.sha256):
        with archive.open("rb") as content:
            blobs.put(release.sha256, content)
    with changing(place) as connection:
        before, after = _signed(connection, place, keys, about, release, now())
        keep(connection, before, after, now())
        _name(connection, release, now())


def renew(place: str, keys: TrustKeys, now: Now = utc_now, *, anyway: Sequence[str] = ()) -> tuple[str, ...]:
    """Sign anew what has less than half of its life left, and what names it; says which roles were due.

    Snapshot and timestamp come first, so that no fault of the other keys lets them run out. Root and targets are left
    alone where no passphrase is given, or their key lies elsewhere: `signing.due` says what is left.

    Raises:
        TrustError: nothing was begun.
        KeyFileError: a key or the passphrase is absent or wrong.
        StoreError: the store cannot be written.
    """
    seen = read_state(place)  # asked every minute, and nearly always nothing is due: no writer is held up for that
    if seen is not None and not anyway and not due(seen, now()):
        return ()
    online = _renew(place, keys, now, _ONLINE, anyway)
    offline = _renew(place, keys, now, tuple(ENCRYPTED), anyway)
    return tuple(role for role in ROLES if role in {*online, *offline})


def rotate(place: str, keys: TrustKeys, role: str, now: Now = utc_now) -> None:
    """A new key for a role; the one before it is trusted no more, and its file goes.

    Raises:
        TrustError: nothing was begun.
        KeyFileError: a key or the passphrase is absent or wrong, or a key cannot be made.
        StoreError: the store cannot be written; then the old key counts.
    """
    with changing(place) as connection:
        state = needed_state(connection, place)
        signers = _signers(keys, state, {"root", *_ONLINE} - {role} | ({"root"} if role == "root" else set()))
        new = [keys.make(role) for _ in state.key_ids(role)]
        keep(connection, state, rotated(state, role, new, signers, now()), now())
    for keyid in state.key_ids(role):
        keys.remove(role, keyid)


def _renew(place: str, keys: TrustKeys, now: Now, roles: Sequence[str], anyway: Sequence[str]) -> tuple[str, ...]:
    """Of these roles, those that are due and can be signed here, and those that are wanted anyway."""
    with changing(place) as connection:
        state, at = needed_state(connection, place), now()
        can = [role for role in due(state, at) if _can_sign(keys, state, role)]
        chosen = tuple(role for role in roles if role in can or role in anyway)
        if chosen:
            signers = _signers(keys, state, {*chosen, *_ONLINE})
            keep(connection, state, renewed(state, chosen, signers, at), at)
    return chosen


def _can_sign(keys: TrustKeys, state: SignedState, role: str) -> bool:
    is_open = role not in ENCRYPTED or keys.passphrase is not None
    return is_open and set(state.key_ids(role)) <= set(keys.ids(role))


def _signed(
    connection: sa.Connection, place: str, keys: TrustKeys, about: ReleaseAbout, release: Release, at: dt.datetime
) -> tuple[SignedState, SignedState]:
    """What is signed, and what would be with this release."""
    held = connection.scalar(sa.select(releases.c.sha256).where(releases.c.name == release.name))
    if held not in {None, release.sha256}:
        raise TrustError(f"{release.name!r} stands for other content, sha256 {held}: take the next version")
    before = needed_state(connection, place)
    return before, with_target(before, about, release.sha256, release.size_bytes, _signers(keys, before, _SIGNING), at)


def _name(connection: sa.Connection, release: Release, at: dt.datetime) -> None:
    row = {"name": release.name, "sha256": release.sha256, "size_bytes": release.size_bytes}
    add_absent(connection, releases, row | {"made_at_ms": round(at.timestamp() * 1000)})


def _signers(keys: TrustKeys, state: SignedState, roles: Sequence[str] | set[str]) -> Signers:
    """What signs for these roles by the root's word."""
    return {role: [keys.signer(role, keyid) for keyid in state.key_ids(role)] for role in roles}
