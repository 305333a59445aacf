"""What a station keeps of signed metadata on its disk: it makes it quicker, and never locks it out."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from trust_kit import Repository, about

from models.trust.errors import ForgedError, TrustError
from models.trust.verifying import TrustStore

FILES = ["timestamp.json", "snapshot.json", "targets.json", "root.json", "root_history/1.root.json"]
FILES += ["root_history/2.root.json", "root_history", "taken.json"]


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    assert made.pinned
    made.rotate("root")
    made.release(about(1))
    made.release(about(2))
    return made


def refreshed(folder: Path, repository: Repository) -> TrustStore:
    store = TrustStore(folder, repository.pinned)
    store.refresh(repository.fetch)
    return store


def as_folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def as_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:100]), id="half"),
        pytest.param(lambda path: path.write_bytes(Random(1).randbytes(3000)), id="garbage"),
        pytest.param(lambda path: path.write_bytes(b"[" * 100_000), id="deep"),
        pytest.param(as_folder, id="a folder"),
        pytest.param(as_broken_link, id="a broken link"),
    ],
)
def test_whatever_became_of_a_file_on_its_disk_the_station_starts_over_from_the_pinned_root(
    tmp_path: Path, repository: Repository, name: str, damage: Callable[[Path], None]
) -> None:
    store = refreshed(tmp_path / "trust", repository)
    store.note_taken(store.target("cells-v2.bundle"))
    path = tmp_path / "trust" / name
    if path.is_dir():
        path.rename(tmp_path / "moved")
        path.write_bytes(b"x")
    damage(path)
    repository.release(about(3))
    again = refreshed(tmp_path / "trust", repository)
    assert again.admitted("cells-v3.bundle", "press-3", ["cells"])
    again.note_taken(again.target("cells-v3.bundle"))
    assert TrustStore(tmp_path / "trust", repository.pinned).newest_taken("cells") == 3


def killed_at(count: int, act: Callable[[], object]) -> bool:
    """Do it in a process that is killed when it opens, renames, links or removes its N-th file; False if it ended."""
    child = os.fork()
    if child == 0:
        left = [count]

        def heard(event: str, _arguments: object) -> None:
            if event in {"open", "os.rename", "os.remove", "os.symlink", "os.mkdir"}:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(heard)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_at_every_file_of_a_refresh_the_station_goes_on(tmp_path: Path, repository: Repository) -> None:
    kills = 0
    for version in range(3, 200):
        repository.release(about(version))
        if not killed_at(version - 2, lambda: refreshed(tmp_path / "trust", repository)):
            break
        kills += 1
        if kills % 4 == 0:  # else the next kill meets what this one left
            again = refreshed(tmp_path / "trust", repository)
            assert again.target(f"cells-v{version}.bundle")
    assert kills > 20
    assert refreshed(tmp_path / "trust", repository).target(f"cells-v{version}.bundle")
    assert not list((tmp_path / "trust").glob("tmp*"))


def test_killed_at_every_file_while_taking_note_the_newest_is_the_one_or_the_other(
    tmp_path: Path, repository: Repository
) -> None:
    for version in range(3, 50):
        repository.release(about(version))
        store = refreshed(tmp_path / "trust", repository)
        was_killed = killed_at(version - 2, lambda s=store, v=version: s.note_taken(s.target(f"cells-v{v}.bundle")))  # type: ignore[misc]
        assert store.newest_taken("cells") in ({version, version - 1} if version > 3 else {0, 3})
        store.note_taken(store.target(f"cells-v{version}.bundle"))
        if not was_killed:
            break
    assert version > 5


def test_a_kill_while_it_writes_leaves_nothing_that_grows(tmp_path: Path, repository: Repository) -> None:
    refreshed(tmp_path / "trust", repository)
    for number in range(20):
        (tmp_path / "trust" / f"tmp{number}").write_bytes(b"half")
    refreshed(tmp_path / "trust", repository)
    kept = sorted(path.name for path in (tmp_path / "trust").iterdir())
    assert kept == ["root.json", "root_history", "snapshot.json", "targets.json", "timestamp.json"]


def test_what_is_on_the_disk_is_not_asked_for_again(tmp_path: Path, repository: Repository) -> None:
    refreshed(tmp_path / "trust", repository)
    repository.asked.clear()
    refreshed(tmp_path / "trust", repository)
    assert repository.asked == ["3.root.json", "timestamp.json"]


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "trust").write_text("in the way")
    with pytest.raises(TrustError, match="cannot keep signed metadata"):
        refreshed(tmp_path / "trust", repository)


def test_a_refresh_that_failed_leaves_what_was_seen_before(tmp_path: Path, repository: Repository) -> None:
    refreshed(tmp_path / "trust", repository)
    old = dict(repository.files)
    repository.renew("snapshot")
    repository.files[f"{repository.state.version('snapshot')}.snapshot.json"] = b"half of i"
    with pytest.raises(ForgedError):
        refreshed(tmp_path / "trust", repository)
    repository.files = old
    with pytest.raises(ForgedError):  # the newer timestamp was seen
        refreshed(tmp_path / "trust", repository)


def test_taking_note_is_on_the_disk_before_anybody_builds_on_it(tmp_path: Path, repository: Repository) -> None:
    store = refreshed(tmp_path / "trust", repository)
    assert store.newest_taken("cells") == 0
    store.note_taken(store.target("cells-v2.bundle"))
    assert TrustStore(tmp_path / "trust", repository.pinned).newest_taken("cells") == 2
    assert store.newest_taken("plates") == 0


@pytest.mark.parametrize("module", ["edge.daemon", "cloud_sync.hub.trust.metadata_desk"])
def test_tuf_is_imported_only_where_something_is_signed_or_checked(module: str) -> None:
    found = "import sys, {0}; sys.exit(any(name.split('.')[0] in ('tuf', 'securesystemslib') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", found.format(module)], check=False).returncode == 0
