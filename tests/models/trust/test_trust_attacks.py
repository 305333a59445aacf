"""Attacks on signed releases, each by its name: the station takes nothing, says why, and runs on.

The repository is simulated down to the bytes on the wire (`trust_kit.Repository`); the client is tuf's own.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from mutator import ODD_VALUES
from trust_kit import BUNDLES, STATION, Repository, about, signer
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from models.trust.errors import ExpiredError, ForgedError, RefusedError, TrustError, UnreachableError
from models.trust.signing import founded, rotated
from models.trust.verifying import TrustStore


def refused(store: TrustStore, repository: Repository, kind: type[TrustError], why: str) -> None:
    """The refresh is refused for this reason, and then nothing can be taken."""
    with pytest.raises(kind, match=why):
        store.refresh(repository.fetch)
    with pytest.raises(TrustError, match="refresh first"):
        store.admitted("cells-v1.bundle", STATION, BUNDLES)


def edited(content: bytes, edit: Callable[[dict[str, object]], None]) -> bytes:
    """The file with its signed part changed and its signatures as they were."""
    found = json.loads(content)
    edit(found["signed"])
    return json.dumps(found).encode()


def test_rollback_of_the_timestamp_is_refused_also_after_a_restart(tmp_path: Path, repository: Repository) -> None:
    old = repository.files["timestamp.json"]
    repository.renew("timestamp")
    TrustStore(tmp_path / "trust", repository.pinned).refresh(repository.fetch)
    repository.files["timestamp.json"] = old
    refused(TrustStore(tmp_path / "trust", repository.pinned), repository, ForgedError, "timestamp")


def test_rollback_of_the_snapshot_under_a_new_timestamp_is_refused(store: TrustStore, repository: Repository) -> None:
    older = Repository()
    older.signers = repository.signers
    older.publish(founded(repository.signers, repository.now))  # snapshot 1, and the station has seen snapshot 2
    for _ in range(5):
        older.renew("timestamp")
    repository.files["timestamp.json"] = older.files["timestamp.json"]
    refused(store, repository, ForgedError, "(?i)snapshot")


def test_rollback_of_the_targets_under_a_new_snapshot_is_refused(store: TrustStore, repository: Repository) -> None:
    snapshot = Metadata[Snapshot].from_bytes(repository.state.snapshot.to_bytes())
    snapshot.signed.meta["targets.json"].version = 1
    snapshot.signed.meta["targets.json"].hashes = snapshot.signed.meta["targets.json"].length = None
    snapshot.sign(repository.signers["snapshot"][0])
    repository.state = repository.state.__class__(
        repository.state.root, repository.state.targets, snapshot, repository.state.timestamp
    )
    repository.renew("snapshot")
    refused(store, repository, ForgedError, "targets")


def test_rollback_of_the_root_is_refused(store: TrustStore, repository: Repository) -> None:
    repository.files["2.root.json"] = repository.files["1.root.json"]
    refused(store, repository, ForgedError, "(?i)version")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_freeze_what_has_expired_is_run_on_with_and_nothing_new_is_taken(tmp_path: Path, role: str) -> None:
    repository = Repository()
    repository.release(about(1))
    expire(repository, role)
    refused(TrustStore(tmp_path / "trust", repository.pinned), repository, ExpiredError, f"{role}.*takes nothing new")


def expire(repository: Repository, role: str) -> None:
    """This role's newest version ended a moment ago; all that name it are signed anew and have long to go."""
    order = ["root", "targets", "snapshot", "timestamp"]
    real = repository.now
    repository.now = real - timedelta(days=366)
    repository.renew(role)
    repository.now = real
    above = order[order.index(role) + 1 :]
    if role != "root" and above:
        repository.renew(above[0])


def test_freeze_ends_when_the_cloud_renews(tmp_path: Path) -> None:
    repository = Repository(at=datetime.now(UTC) - timedelta(days=8))
    repository.release(about(1))
    store = TrustStore(tmp_path / "trust", repository.pinned)
    refused(store, repository, ExpiredError, "run")
    repository.now = datetime.now(UTC)
    repository.renew("snapshot", "timestamp")
    store.refresh(repository.fetch)
    assert store.admitted("cells-v1.bundle", STATION, BUNDLES)


def test_a_root_that_expired_is_no_obstacle_where_a_newer_one_follows(tmp_path: Path) -> None:
    repository = Repository(at=datetime.now(UTC) - timedelta(days=800))
    pinned = repository.pinned
    repository.now = datetime.now(UTC)
    repository.renew("root", "targets", "snapshot")
    repository.release(about(1))
    store = TrustStore(tmp_path / "trust", pinned)
    store.refresh(repository.fetch)
    assert store.admitted("cells-v1.bundle", STATION, BUNDLES)


def test_mix_and_match_targets_of_another_moment_are_refused(store: TrustStore, repository: Repository) -> None:
    repository.release(about(2))
    other = Repository()
    other.signers = repository.signers
    other.publish(founded(repository.signers, repository.now))
    other.release(about(9))
    other.release(about(8))
    assert other.state.version("targets") == repository.state.version("targets") == 3
    repository.files["3.targets.json"] = other.files["3.targets.json"]  # well signed, and of no snapshot of ours
    refused(store, repository, ForgedError, "hash|length")


def test_mix_and_match_a_snapshot_of_another_moment_is_refused(store: TrustStore, repository: Repository) -> None:
    repository.release(about(2))
    repository.files["3.snapshot.json"] = repository.files["2.snapshot.json"]
    refused(store, repository, ForgedError, "hash|length")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_wrong_key_signs_nothing(tmp_path: Path, role: str) -> None:
    repository = Repository()
    pinned = repository.pinned
    repository.signers[role] = [signer()]
    repository.renew("root", "targets")
    refused(TrustStore(tmp_path / "trust", pinned), repository, ForgedError, "not to be believed")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_the_key_of_a_removed_role_signs_nothing_more(store: TrustStore, repository: Repository, role: str) -> None:
    old = repository.rotate(role)
    store.refresh(repository.fetch)
    assert store.admitted("cells-v1.bundle", STATION, BUNDLES)
    repository.signers[role] = old
    repository.renew("root", "targets")
    refused(store, repository, ForgedError, "not to be believed")


def test_a_new_root_that_the_old_one_did_not_sign_is_refused(store: TrustStore, repository: Repository) -> None:
    new = [signer()]
    forged = rotated(repository.state, "root", new, {**repository.signers, "root": new}, repository.now)
    repository.files["2.root.json"] = forged.file("root")
    refused(store, repository, ForgedError, "root")


def test_a_new_root_that_it_does_not_sign_itself_is_refused(store: TrustStore, repository: Repository) -> None:
    root = Metadata[Root].from_bytes(
        rotated(repository.state, "root", [signer()], repository.signers, repository.now).file("root")
    )
    root.sign(repository.signers["root"][0])  # the old key alone
    repository.files["2.root.json"] = root.to_bytes()
    refused(store, repository, ForgedError, "root")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_too_few_signatures_are_refused(tmp_path: Path, role: str) -> None:
    repository = Repository(keys={role: 3}, thresholds={role: 2})
    repository.release(about(1))
    store = TrustStore(tmp_path / "trust", repository.pinned)
    store.refresh(repository.fetch)
    repository.signers[role] = repository.signers[role][:1]
    repository.renew("root", "targets")
    refused(store, repository, ForgedError, "not to be believed")
    repository.signers[role] = [repository.signers[role][0]] * 3  # one key three times is one signature
    refused(store, repository, ForgedError, "not to be believed")


@pytest.mark.parametrize(
    "name", ["timestamp.json", "3.snapshot.json", "3.targets.json", "2.root.json"], ids=lambda name: name
)
@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda content: content[:-1], id="cut off"),
        pytest.param(lambda _content: b"", id="empty"),
        pytest.param(lambda content: content.replace(b'"version":', b'"version":1'), id="a digit more"),
        pytest.param(lambda content: content.replace(b"sig", b"gis"), id="without signatures"),
        pytest.param(lambda _content: b"[" * 5000, id="deep"),
        pytest.param(lambda content: edited(content, lambda signed: signed.update(more=1)), id="a member more"),
    ],
)
def test_altered_bytes_of_metadata_are_refused(
    store: TrustStore, repository: Repository, name: str, alter: Callable[[bytes], bytes]
) -> None:
    repository.renew("root")
    repository.release(about(2))
    repository.files[name] = alter(repository.files[name])
    refused(store, repository, ForgedError, "not to be believed|endless")


@pytest.mark.parametrize("name", ["timestamp.json", "3.snapshot.json", "3.targets.json", "2.root.json"])
def test_endless_data_in_metadata_is_refused(store: TrustStore, repository: Repository, name: str) -> None:
    repository.renew("root")
    repository.release(about(2))
    repository.files[name] = b" " * 8_000_000
    refused(store, repository, ForgedError, "endless")


def test_endless_roots_end(tmp_path: Path, repository: Repository) -> None:
    asked = []

    def fetch(name: str, _limit_bytes: int) -> bytes | None:
        asked.append(name)
        repository.renew("root")
        return repository.files.get(name)

    store = TrustStore(tmp_path / "trust", repository.pinned)
    store.refresh(fetch)
    assert len([name for name in asked if "root" in name]) == 256


def test_metadata_of_another_repository_is_refused(store: TrustStore, repository: Repository) -> None:
    other = Repository()
    other.release(about(7))
    repository.files = other.files | {"1.root.json": repository.pinned}
    refused(store, repository, ForgedError, "not to be believed")


def test_a_station_pinned_anew_to_another_repository_believes_only_that(tmp_path: Path, store: TrustStore) -> None:
    assert store.target("cells-v1.bundle")
    other = Repository()
    other.release(about(7))
    moved = TrustStore(tmp_path / "trust", other.pinned)
    moved.refresh(other.fetch)
    assert moved.admitted("cells-v7.bundle", STATION, BUNDLES)
    with pytest.raises(RefusedError):
        moved.target("cells-v1.bundle")


@pytest.mark.parametrize("roles", [("timestamp",), ("snapshot", "timestamp"), ("targets", "snapshot", "timestamp")])
def test_fast_forward_is_recovered_from_by_rotating_the_keys(
    store: TrustStore, repository: Repository, roles: tuple[str, ...]
) -> None:
    """Whoever had the keys signed such high versions that ours would look old for ever."""
    forward(repository, roles)
    store.refresh(repository.fetch)
    repository.publish(repository.state)
    refused(store, repository, ForgedError, "not to be believed")
    for role in roles:
        repository.rotate(role)
    repository.release(about(2))
    store.refresh(repository.fetch)
    assert store.admitted("cells-v2.bundle", STATION, BUNDLES)


def forward(repository: Repository, roles: tuple[str, ...]) -> None:
    """Serve versions of these roles from far ahead; the repository's own state stays where it is."""
    stolen = Repository()
    stolen.signers = repository.signers
    copies = {
        "targets": Metadata[Targets].from_bytes(repository.state.targets.to_bytes()),
        "snapshot": Metadata[Snapshot].from_bytes(repository.state.snapshot.to_bytes()),
        "timestamp": Metadata[Timestamp].from_bytes(repository.state.timestamp.to_bytes()),
    }
    for role in roles:
        copies[role].signed.version = 2_000_000
    stolen.state = repository.state.__class__(repository.state.root, **copies)  # type: ignore[arg-type]
    stolen.renew(*roles)
    repository.files |= {name: content for name, content in stolen.files.items() if "root" not in name}


def test_no_metadata_at_all_is_said_so(tmp_path: Path, repository: Repository) -> None:
    pinned, repository.files = repository.pinned, {}
    refused(TrustStore(tmp_path / "trust", pinned), repository, UnreachableError, "the cloud has no timestamp.json")


def test_whatever_the_way_raises_is_an_answer_that_did_not_come(store: TrustStore) -> None:
    def fetch(_name: str, _limit_bytes: int) -> bytes | None:
        raise KeyError("anything")

    with pytest.raises(UnreachableError, match=r"cannot fetch 2\.root\.json"):
        store.refresh(fetch)


@pytest.mark.parametrize("pinned", [b"", b"{}", b"no json", b"[" * 9999], ids=["empty", "no root", "text", "deep"])
def test_a_pinned_root_that_is_none_is_said_so(tmp_path: Path, repository: Repository, pinned: bytes) -> None:
    with pytest.raises(TrustError, match="not to be believed"):
        TrustStore(tmp_path / "trust", pinned).refresh(repository.fetch)


def test_a_refresh_is_good_for_a_day(tmp_path: Path, repository: Repository) -> None:
    time_s = [1000.0]
    store = TrustStore(tmp_path / "trust", repository.pinned, clock=lambda: time_s[0])
    store.refresh(repository.fetch)
    time_s[0] += 86_401
    with pytest.raises(TrustError, match="refresh first"):
        store.target("cells-v1.bundle")


def test_whatever_is_served_nothing_but_a_trust_error_is_raised(tmp_path: Path, repository: Repository) -> None:
    """Damage by chance to the bytes and to what they mean, also well signed: the way and the hub may both be theirs."""
    chance = Random(3)
    refusals = 0
    for number in range(100):
        good = dict(repository.files)
        name = chance.choice(["timestamp.json", "2.snapshot.json", "2.targets.json"])
        if number % 2:
            damaged = bytearray(good[name])
            for _ in range(chance.randrange(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            repository.files[name] = bytes(damaged)
        else:
            content = json.loads(good[name])
            place = content["signed"] if number % 4 else content
            place[chance.choice(sorted(place))] = chance.choice(ODD_VALUES)
            repository.files[name] = json.dumps(content).encode()
        store = TrustStore(tmp_path / f"trust{number}", repository.pinned)
        try:
            store.refresh(repository.fetch)
            store.admitted("cells-v1.bundle", STATION, BUNDLES)
        except TrustError:
            refusals += 1
        repository.files = good
    assert refusals > 90  # the others hit a signature's name, or a space
