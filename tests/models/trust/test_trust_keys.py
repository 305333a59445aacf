"""The keys on the disk, and what is signed with them."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trust_kit import Repository, about, signer
from tuf.api.metadata import Metadata, Root

from models.trust.about import ReleaseAbout
from models.trust.errors import ForgedError, KeyFileError, TrustError
from models.trust.keys import ROLES, TrustKeys
from models.trust.signing import SignedState, due, with_target

PASSPHRASE = b"nine small boats"


@pytest.fixture
def keys(tmp_path: Path) -> TrustKeys:
    return TrustKeys(tmp_path / "keys", PASSPHRASE)


@pytest.mark.parametrize("role", ROLES)
def test_a_key_is_its_owners_alone_and_signs_again_after_it_was_read(keys: TrustKeys, role: str) -> None:
    made = keys.make(role)
    [path] = keys.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    assert keys.ids(role) == (made.public_key.keyid,)
    read = keys.signer(role, made.public_key.keyid)
    made.public_key.verify_signature(read.sign(b"something"), b"something")


@pytest.mark.parametrize(("role", "encrypted"), [("root", 1), ("targets", 1), ("snapshot", 0), ("timestamp", 0)])
def test_only_the_keys_that_work_by_themselves_lie_there_unencrypted(
    keys: TrustKeys, role: str, encrypted: int
) -> None:
    keyid = keys.make(role).public_key.keyid
    [path] = keys.folder.iterdir()
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED" if encrypted else b"-----BEGIN PRIVATE")
    without = TrustKeys(keys.folder)
    if encrypted:
        with pytest.raises(KeyFileError, match="no passphrase was given"):
            without.signer(role, keyid)
        with pytest.raises(KeyFileError, match="the passphrase is wrong"):
            TrustKeys(keys.folder, b"another").signer(role, keyid)
        with pytest.raises(TypeError):
            load_pem_private_key(path.read_bytes(), None)
    else:
        assert without.signer(role, keyid)


def test_the_passphrase_stands_in_no_text_of_the_keys(keys: TrustKeys) -> None:
    assert PASSPHRASE.decode() not in repr(keys)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_said_so(keys: TrustKeys, content: bytes) -> None:
    keyid = keys.make("timestamp").public_key.keyid
    next(keys.folder.iterdir()).write_bytes(content)
    with pytest.raises(KeyFileError, match="it is no private key"):
        keys.signer("timestamp", keyid)


def test_a_file_under_another_keys_name_is_said_so(keys: TrustKeys) -> None:
    one, two = keys.make("snapshot").public_key.keyid, keys.make("snapshot").public_key.keyid
    (keys.folder / f"snapshot-{one}.pem").write_bytes((keys.folder / f"snapshot-{two}.pem").read_bytes())
    with pytest.raises(KeyFileError, match="another key than its name says"):
        keys.signer("snapshot", one)


def test_a_key_that_is_absent_is_said_so(keys: TrustKeys) -> None:
    with pytest.raises(KeyFileError, match="does not hold the root key abab"):
        keys.signer("root", "ab" * 32)


def test_the_first_state_names_a_key_for_each_role_and_ends_when_it_should() -> None:
    now = datetime.now(UTC)
    repository = Repository(at=now)
    root = Metadata[Root].from_bytes(repository.pinned).signed
    assert root.consistent_snapshot
    assert {role: root.roles[role].keyids for role in ROLES} == {
        role: [repository.signers[role][0].public_key.keyid] for role in ROLES
    }
    days = {role: (repository.state.expires(role) - now).days + 1 for role in ROLES}
    assert days == {"root": 365, "targets": 90, "snapshot": 7, "timestamp": 7}


def test_what_is_due_is_what_has_less_than_half_of_its_life_left() -> None:
    state = Repository().state
    now = datetime.now(UTC)
    assert due(state, now + timedelta(days=3)) == ()
    assert due(state, now + timedelta(days=4)) == ("snapshot", "timestamp")
    assert due(state, now + timedelta(days=46)) == ("targets", "snapshot", "timestamp")
    assert due(state, now + timedelta(days=183)) == ROLES


def test_the_same_release_again_changes_nothing_and_other_content_is_refused() -> None:
    repository = Repository()
    repository.release(about(1))
    before = repository.state
    repository.release(about(1))
    assert repository.state is before
    with pytest.raises(TrustError, match="signed for other content"):
        repository.release(about(1), b"other")
    with pytest.raises(TrustError, match="signed for other content"):
        repository.release(about(1, stations=("press-9",)))


def test_a_step_leaves_what_it_was_given() -> None:
    repository = Repository()
    before = repository.state
    files = {role: before.file(role) for role in ROLES}
    with_target(before, about(1), "ab" * 32, 5, repository.signers, repository.now)
    repository.rotate("root")
    repository.rotate("targets")
    assert {role: before.file(role) for role in ROLES} == files


def test_what_is_kept_is_read_as_it_was_signed_to_the_byte() -> None:
    repository = Repository()
    repository.release(about(1))
    files = {role: repository.state.file(role) for role in ROLES}
    read = SignedState.parse(files)
    assert {role: read.file(role) for role in ROLES} == files
    with pytest.raises(ForgedError, match="cannot be read"):
        SignedState.parse(files | {"targets": b"{}"})


def test_a_key_of_a_role_is_replaced_and_the_others_stay() -> None:
    repository = Repository()
    before = repository.state
    repository.rotate("snapshot")
    after = repository.state
    assert before.key_ids("snapshot") != after.key_ids("snapshot")
    assert [before.key_ids(role) for role in ROLES if role != "snapshot"] == [
        after.key_ids(role) for role in ROLES if role != "snapshot"
    ]
    assert {role: after.version(role) - before.version(role) for role in ROLES} == {
        "root": 1,
        "targets": 0,
        "snapshot": 1,
        "timestamp": 1,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": True},
        {"version": "1"},
        {"bundle": None},
        {"stations": "press-3"},
        {"stations": [1]},
        {"parent": 7},
        {"bundle_sha256": 7},
    ],
    ids=str,
)
def test_a_description_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ForgedError, match="expected"):
        ReleaseAbout.from_json(about(1).as_json() | change)


def test_a_description_is_read_as_it_was_written_whatever_a_later_version_adds() -> None:
    described = about(3, stations=("press-3",))
    assert ReleaseAbout.from_json(described.as_json() | {"later": 1}) == described
    with pytest.raises(ForgedError, match="expected a release's description"):
        ReleaseAbout.from_json(None)


def test_two_keys_are_never_alike() -> None:
    assert signer().public_key.keyid != signer().public_key.keyid
