"""What the cloud signs, keeps and serves: exactly once, whatever is killed, whoever else signs at that moment."""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import killed_publishing as publisher
import pytest
import sqlalchemy as sa
from stores import ask, everything
from tracing import calls_in, counted, killed_at, needs_strace, traced
from trust_kit import about, archive_of

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.releases import OfferError, offer
from cloud_sync.hub.store.errors import BlobError, StoreError
from cloud_sync.hub.trust.kept import KEPT_VERSIONS, changing, read_state
from cloud_sync.hub.trust.publishing import begin, publish_release, renew, rotate
from models.trust.errors import ForgedError, KeyFileError, TrustError
from models.trust.keys import ROLES, TrustKeys
from models.trust.verifying import TrustStore

PASSPHRASE = b"nine small boats"


@pytest.fixture
def keys(tmp_path: Path) -> TrustKeys:
    return TrustKeys(tmp_path / "keys", PASSPHRASE)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def store(tmp_path: Path, keys: TrustKeys) -> str:
    made = str(tmp_path / "cloud.db")
    assert begin(made, keys)
    return made


def fetch_from(place: str) -> Callable[[str, int], bytes | None]:
    """What a station would be given, past the wire."""

    def fetch(name: str, _limit_bytes: int) -> bytes | None:
        version, _, role = name.removesuffix(".json").rpartition(".")
        rows = ask(place, "SELECT role, version, payload FROM trust_files")
        found = [row for row in rows if row[0] == role and version in ("", str(row[1]))]
        return bytes(max(found, key=lambda row: row[1])[2]) if found else None  # type: ignore[arg-type, call-overload]

    return fetch


def check(place: str, tmp_path: Path, *names: str) -> None:
    """A station that is pinned to the first root sees exactly these releases."""
    station = TrustStore(tmp_path / "station", fetch_from(place)("1.root.json", 0) or b"")
    station.refresh(fetch_from(place))
    state = read_state(place)
    assert state is not None
    assert sorted(state.targets.signed.targets) == sorted(names)
    assert [station.target(name).name for name in names] == list(names)
    assert [row[0] for row in ask(place, "SELECT name FROM releases")] == sorted(names)


def test_a_release_is_signed_kept_and_seen(tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs) -> None:
    archive, what = archive_of(tmp_path / "made", about(1))
    publish_release(store, blobs, keys, archive, what)
    check(store, tmp_path, "cells-v1.bundle")
    [(sha256, size_bytes)] = ask(store, "SELECT sha256, size_bytes FROM releases")
    assert blobs.read(str(sha256), 0, archive.stat().st_size) == archive.read_bytes()
    assert size_bytes == archive.stat().st_size


def test_the_same_release_again_does_nothing(tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs) -> None:
    archive, what = archive_of(tmp_path / "made", about(1))
    publish_release(store, blobs, keys, archive, what)
    before = everything(store)
    publish_release(store, blobs, keys, archive, what)
    assert everything(store) == before


def test_a_name_has_one_content_for_ever(tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs) -> None:
    publish_release(store, blobs, keys, *archive_of(tmp_path / "made", about(1)))
    before = everything(store)
    with pytest.raises(TrustError, match="take the next version"):
        publish_release(store, blobs, keys, *archive_of(tmp_path / "other", about(1), 2000))
    archive, what = archive_of(tmp_path / "made", about(1, stations=("press-9",)))
    with pytest.raises(TrustError, match="take the next version"):
        publish_release(store, blobs, keys, archive, what)
    other = tmp_path / "offered" / "cells-v2.bundle"
    other.parent.mkdir()
    other.write_bytes(b"offered before, unsigned")
    offer(store, blobs, other, ["press-3"])
    with pytest.raises(TrustError, match="stands for other content"):
        publish_release(store, blobs, keys, *archive_of(tmp_path / "made", about(2)))
    assert everything(store)["trust_files"] == before["trust_files"]


def test_what_is_signed_is_what_the_archive_holds(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    archive, _ = archive_of(tmp_path / "made", about(1))
    with pytest.raises(TrustError, match="does not hold the bundle abab"):
        publish_release(store, blobs, keys, archive, about(1))
    archive, what = archive_of(tmp_path / "made", about(1, bundle="tuf.x"))
    with pytest.raises(OfferError, match="signed metadata"):
        publish_release(store, blobs, keys, archive, what)
    assert not (tmp_path / "blobs").exists()


def test_without_the_passphrase_no_release_is_signed_and_nothing_is_left(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    before = everything(store)
    archive, what = archive_of(tmp_path / "made", about(1))
    for passphrase, why in ((None, "no passphrase was given"), (b"wrong", "the passphrase is wrong")):
        with pytest.raises(KeyFileError, match=why):
            publish_release(store, blobs, TrustKeys(keys.folder, passphrase), archive, what)
    assert everything(store) == before
    assert not (tmp_path / "blobs").exists()


def test_where_nothing_was_begun_nothing_is_signed_and_no_store_is_made_by_a_slip(
    tmp_path: Path, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    archive, what = archive_of(tmp_path / "made", about(1))
    for act in (
        lambda: publish_release(str(tmp_path / "no.db"), blobs, keys, archive, what),
        lambda: renew(str(tmp_path / "no.db"), keys),
        lambda: rotate(str(tmp_path / "no.db"), keys, "timestamp"),
    ):
        with pytest.raises(StoreError, match="there is no store"):
            act()
    assert not (tmp_path / "no.db").exists()


def test_to_begin_twice_changes_nothing_and_with_other_keys_is_refused(
    tmp_path: Path, store: str, keys: TrustKeys
) -> None:
    before = everything(store)
    assert begin(store, keys) is False
    with pytest.raises(KeyFileError, match="does not hold"):
        begin(store, TrustKeys(tmp_path / "other keys", PASSPHRASE))
    assert everything(store) == before
    assert {role: len(keys.ids(role)) for role in ROLES} == dict.fromkeys(ROLES, 1)


def test_two_workers_that_publish_at_once_sign_each_release_once(
    tmp_path: Path, place: str, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    begin(place, keys)
    made = [archive_of(tmp_path / "made", about(version)) for version in range(1, 5)]
    failed: list[Exception] = []
    together = threading.Barrier(3)

    def work(mine: list[tuple[Path, object]]) -> None:
        try:
            together.wait(10)
            for archive, what in mine:
                publish_release(place, blobs, keys, archive, what)  # type: ignore[arg-type]
                renew(place, keys, anyway=["timestamp"])
        except Exception as error:  # noqa: BLE001 - the test says which
            failed.append(error)

    workers = [threading.Thread(target=work, args=(order,)) for order in (made, made[::-1], made)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert failed == []
    check(place, tmp_path, *(what.name for _, what in made))
    state = read_state(place)
    assert state is not None
    assert state.version("targets") == 1 + 4  # no version was skipped, none signed twice
    assert state.version("timestamp") == 1 + 4 + 3 * 4


def killed_at_step(count: int, act: Callable[[], None]) -> bool:
    """Do it in a process that is killed at its N-th look at the store, before or after a commit; False if it ended."""
    child = os.fork()
    if child == 0:
        left = [count]

        def step(*_: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        for event in ("begin", "commit", "rollback", "engine_disposed"):
            sa.event.listen(sa.Engine, event, step)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_while_publishing_at_every_step_at_the_store_it_is_published_once(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    kills = 0
    for version in range(1, 100):
        archive, what = archive_of(tmp_path / "made", about(version))
        was_killed = killed_at_step(version, lambda a=archive, w=what: publish_release(store, blobs, keys, a, w))  # type: ignore[misc]
        released = {row[0] for row in ask(store, "SELECT name FROM releases")}
        state = read_state(store)
        assert state is not None
        assert set(state.targets.signed.targets) == released  # all of it, or nothing
        publish_release(store, blobs, keys, archive, what)
        kills += was_killed
        if not was_killed:
            break
    assert kills >= 8
    check(store, tmp_path, *(f"cells-v{version}.bundle" for version in range(1, kills + 2)))
    state = read_state(store)
    assert state is not None
    assert state.version("targets") == 1 + kills + 1


@needs_strace
@pytest.mark.parametrize(
    "step",
    [pytest.param(9, marks=pytest.mark.long), pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_killed_at_every_write_and_every_sync_of_a_publishing_it_is_published_once(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs, step: int
) -> None:
    versions = iter(range(1, 1000))

    def publishing(prefix: list[str]) -> int:
        """One release more, by a process that is traced; it is whole or not there, and the next try publishes it."""
        archive, what = archive_of(tmp_path / "made", about(next(versions)))
        places = [store, str(tmp_path / "blobs"), str(keys.folder), str(archive), str(what.version)]
        with traced(prefix, [sys.executable, publisher.__file__, *places], tmp_path / "log") as process:
            ended = process.wait(60)
        state = read_state(store)
        assert state is not None
        assert set(state.targets.signed.targets) == {row[0] for row in ask(store, "SELECT name FROM releases")}
        publish_release(store, blobs, keys, archive, what)
        return ended

    assert publishing(counted(tmp_path / "trace")) == 0
    calls = calls_in(tmp_path / "trace")
    assert min(calls.values()) > 0
    kills = [publishing(killed_at(call, number)) for call in calls for number in range(1, calls[call] + 1, step)]
    assert sum(ended != 0 for ended in kills) > len(kills) * 0.8
    published = next(versions) - 1
    check(store, tmp_path, *(f"cells-v{version}.bundle" for version in range(1, published + 1)))
    state = read_state(store)
    assert state is not None
    assert state.version("targets") == 1 + published


@pytest.mark.parametrize("role", ["root", *(pytest.param(role, marks=pytest.mark.long) for role in ROLES[1:])])
def test_killed_while_rotating_either_the_old_or_the_new_key_counts(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs, role: str
) -> None:
    for count in range(1, 100):
        was_killed = killed_at_step(count, lambda: rotate(store, keys, role))
        archive, what = archive_of(tmp_path / "made", about(count))
        publish_release(store, blobs, keys, archive, what)  # whichever counts, it signs
        if not was_killed:
            break
    assert count > 4
    check(store, tmp_path, *(f"cells-v{version}.bundle" for version in range(1, count + 1)))


def test_killed_while_beginning_it_begins_again_with_the_same_keys(tmp_path: Path, keys: TrustKeys) -> None:
    place, count = str(tmp_path / "cloud.db"), 1
    while killed_at_step(count, lambda: begin(place, keys) and None):
        count += 1
    assert count > 4
    assert {role: len(keys.ids(role)) for role in ROLES} == dict.fromkeys(ROLES, 1)
    check(place, tmp_path)


def test_a_blob_store_that_fails_leaves_nothing_signed(tmp_path: Path, store: str, keys: TrustKeys) -> None:
    (tmp_path / "blobs").write_text("in the way")
    archive, what = archive_of(tmp_path / "made", about(1))
    with pytest.raises(BlobError):
        publish_release(store, FolderBlobs(tmp_path / "blobs"), keys, archive, what)
    (tmp_path / "blobs").unlink()
    check(store, tmp_path)
    publish_release(store, FolderBlobs(tmp_path / "blobs"), keys, archive, what)
    check(store, tmp_path, "cells-v1.bundle")


def in_days(days: float) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) + timedelta(days=days)


def test_what_is_due_is_renewed_by_the_keys_that_lie_open(store: str, keys: TrustKeys) -> None:
    online = TrustKeys(keys.folder)
    assert renew(store, online) == ()
    assert renew(store, online, in_days(4)) == ("snapshot", "timestamp")
    assert renew(store, online, in_days(4)) == ()
    assert renew(store, online, in_days(50)) == ("snapshot", "timestamp")
    assert renew(store, keys, in_days(50)) == ("targets",)
    assert renew(store, keys, in_days(200)) == ROLES
    assert renew(store, online, anyway=["timestamp"]) == ("timestamp",)
    with pytest.raises(KeyFileError, match="no passphrase"):
        renew(store, online, anyway=["root"])


def test_to_look_whether_something_is_due_waits_for_no_other_writer(store: str, keys: TrustKeys) -> None:
    with changing(store) as writer:
        assert renew(store, keys) == ()
        writer.rollback()


def test_a_root_key_that_lies_in_a_safe_keeps_nothing_else_from_being_renewed_or_released(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    [root] = keys.ids("root")
    safe = tmp_path / "safe.pem"
    file = keys.folder / f"root-{root}.pem"
    file.rename(safe)
    publish_release(store, blobs, keys, *archive_of(tmp_path / "made", about(1)))
    assert renew(store, keys, in_days(200)) == ("targets", "snapshot", "timestamp")
    safe.rename(file)
    assert renew(store, keys, in_days(200)) == ("root",)


def test_a_wrong_passphrase_keeps_the_keys_that_lie_open_from_nothing(store: str, keys: TrustKeys) -> None:
    with pytest.raises(KeyFileError, match="the passphrase is wrong"):
        renew(store, TrustKeys(keys.folder, b"wrong"), in_days(50))
    state = read_state(store)
    assert state is not None
    assert {role: state.version(role) for role in ROLES} == {"root": 1, "targets": 1, "snapshot": 2, "timestamp": 2}


def test_every_root_is_kept_and_of_the_others_the_newest(store: str, keys: TrustKeys) -> None:
    for _ in range(KEPT_VERSIONS + 2):
        renew(store, keys, anyway=ROLES)
    state = read_state(store)
    assert state is not None
    kept = {role: (1 if role == "root" else state.version(role) - KEPT_VERSIONS + 1) for role in ROLES}
    assert min(state.version(role) for role in ROLES) == KEPT_VERSIONS + 3
    rows = ask(store, "SELECT role, min(version), max(version), count(*) FROM trust_files GROUP BY role")
    assert rows == sorted(
        (role, kept[role], state.version(role), state.version(role) - kept[role] + 1) for role in ROLES
    )


def test_after_a_rotation_the_old_key_is_gone_and_stations_follow_from_the_first_root(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    before = {role: keys.ids(role) for role in ROLES}
    for role in ROLES:
        rotate(store, keys, role)
    assert all(set(keys.ids(role)).isdisjoint(before[role]) and len(keys.ids(role)) == 1 for role in ROLES)
    publish_release(store, blobs, keys, *archive_of(tmp_path / "made", about(1)))
    check(store, tmp_path, "cells-v1.bundle")


def test_no_release_is_offered_under_a_name_of_metadata(tmp_path: Path, store: str, blobs: FolderBlobs) -> None:
    file = tmp_path / "tuf.timestamp.json"
    file.write_bytes(b"{}")
    with pytest.raises(OfferError, match="is of signed metadata"):
        offer(store, blobs, file, ["press-3"])


def test_a_store_that_was_brought_back_from_a_copy_is_believed_again_once_its_keys_are_rotated(
    tmp_path: Path, store: str, keys: TrustKeys, blobs: FolderBlobs
) -> None:
    """Its versions are older than what stations have seen: to them that is a rollback, whoever did it."""
    publish_release(store, blobs, keys, *archive_of(tmp_path / "made", about(1)))
    shutil.copy(store, tmp_path / "copy.db")
    publish_release(store, blobs, keys, *archive_of(tmp_path / "made", about(2)))
    check(store, tmp_path, "cells-v1.bundle", "cells-v2.bundle")
    restored = str(tmp_path / "copy.db")
    with pytest.raises(ForgedError):
        check(restored, tmp_path, "cells-v1.bundle")
    for role in ("targets", "snapshot", "timestamp"):
        rotate(restored, keys, role)
    check(restored, tmp_path, "cells-v1.bundle")
