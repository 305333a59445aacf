import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import pytest
from station_kit import make_bundle, ungated_int8

from models.bundle import open_bundle
from models.bundle_store import activate, active_bundle, copy_next, list_bundles, next_version, prune, rollback
from models.errors import GateError, ModelError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Versions 1 to 3 of one bundle, made and activated in turn."""
    for version in (1, 2, 3):
        make_bundle(tmp_path, "cells", version)
    return tmp_path


def states(root: Path) -> list[tuple[int, bool, bool]]:
    return [(bundle.version, bundle.active, bundle.previous) for bundle in list_bundles(root)]


def test_the_last_activated_is_active_and_the_one_before_is_previous(root: Path) -> None:
    assert states(root) == [(1, False, False), (2, False, True), (3, True, False)]
    assert active_bundle(root, "cells") == root / "cells" / "v3"
    assert not active_bundle(root, "cells").is_symlink()


def test_rolling_back_twice_returns(root: Path) -> None:
    assert rollback(root, "cells").name == "v2"
    assert states(root) == [(1, False, False), (2, True, False), (3, False, True)]
    assert rollback(root, "cells").name == "v3"


def test_activating_what_is_active_keeps_the_previous(root: Path) -> None:
    activate(root, "cells", 3)
    assert rollback(root, "cells").name == "v2"


def test_a_damaged_version_never_becomes_active(root: Path) -> None:
    (root / "cells" / "v1" / "model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.bin"):
        activate(root, "cells", 1)
    (root / "cells" / "v2" / "model.xml").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.xml"):
        rollback(root, "cells")
    assert active_bundle(root, "cells").name == "v3"


@pytest.mark.parametrize("outcome", ["failed", "not run"])
def test_int8_that_its_gate_refused_or_never_saw_never_becomes_active(root: Path, outcome: str) -> None:
    refused = ungated_int8(root, "cells", 4, outcome)
    with pytest.raises(GateError, match=f"says of the gate: {outcome}"):
        activate(root, "cells", 4)
    (root / "cells" / "previous").unlink()
    (root / "cells" / "previous").symlink_to(refused.name)
    with pytest.raises(GateError, match=f"says of the gate: {outcome}"):
        rollback(root, "cells")
    assert active_bundle(root, "cells").name == "v3"


def test_a_copy_that_is_not_what_was_verified_gets_no_new_hashes(root: Path) -> None:
    source = open_bundle(root / "cells" / "v1")
    weights = source.path / "model.bin"
    weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
    with pytest.raises(ModelError, match="not what was verified"):
        copy_next(root, "taken", source, datetime.now(UTC))
    assert next_version(root, "taken") == 1


def test_what_an_interrupted_write_left_is_no_version(root: Path) -> None:
    (root / "cells" / ".writing-abc").mkdir()
    (root / "cells" / "v4.tmp").mkdir()
    (root / "cells" / ".active-123").symlink_to("v1")
    assert [version for version, *_ in states(root)] == [1, 2, 3]
    assert next_version(root, "cells") == 4
    assert activate(root, "cells", 2).name == "v2"


def test_versions_count_from_one_and_past_nine(root: Path) -> None:
    assert next_version(root, "other") == 1
    shutil.copytree(root / "cells" / "v3", root / "cells" / "v10")
    assert next_version(root, "cells") == 11
    assert [bundle.version for bundle in list_bundles(root)] == [1, 2, 3, 10]


@pytest.mark.parametrize("target", ["../../etc", "v9", "/tmp", "cells"])  # noqa: S108 - a link that must be refused
def test_an_active_link_to_anything_but_a_version_is_refused(root: Path, target: str) -> None:
    (root / "cells" / "active").unlink()
    (root / "cells" / "active").symlink_to(target)
    with pytest.raises(ModelError, match="which is no version there"):
        active_bundle(root, "cells")


@pytest.mark.parametrize("name", ["../cells", "Cells", "", "a/b"])
def test_an_id_that_is_no_name_is_refused(root: Path, name: str) -> None:
    with pytest.raises(ModelError, match="bundle id"):
        active_bundle(root, name)


def test_nothing_active_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="edge calibrate"):
        active_bundle(tmp_path, "cells")
    with pytest.raises(ModelError, match="no previous version"):
        rollback(tmp_path, "cells")
    assert list_bundles(tmp_path / "absent") == []


def test_old_versions_are_taken_away_and_none_that_is_in_use_or_the_highest(tmp_path: Path) -> None:
    first = make_bundle(tmp_path)
    for _ in range(5):
        copy_next(tmp_path, "blob", first, first.manifest.created_at)
    activate(tmp_path, "blob", 2)
    activate(tmp_path, "blob", 4)
    (tmp_path / "blob" / ".gone-v9").mkdir()  # of a run that was killed
    assert prune(tmp_path, "blob", {3}) == [1, 5]
    assert sorted(path.name for path in (tmp_path / "blob").iterdir()) == ["active", "previous", "v2", "v3", "v4", "v6"]
    assert next_version(tmp_path, "blob") == 7


@contextmanager
def paused_before(function: str, work: Callable[[], object]) -> Iterator[list[object]]:
    """A thread that stands still where it first calls a function of this name; at the end of the block it goes on.

    Gives what it returned or raised, which is there once the block has ended.
    """
    there, go_on, ended = threading.Event(), threading.Event(), list[object]()

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == function and not there.is_set():
            there.set()
            assert go_on.wait(20)

    def run() -> None:
        sys.settrace(look)
        try:
            ended.append(work())
        except Exception as error:  # noqa: BLE001 - looked at by the test
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert there.wait(20)
        yield ended
    finally:
        go_on.set()
        thread.join(20)


def test_a_version_that_is_being_activated_is_not_taken_away_meanwhile(root: Path) -> None:
    make_bundle(root, "cells", 4)
    with paused_before("_link", lambda: activate(root, "cells", 1)) as ended:
        assert prune(root, "cells", {2}) == []
    assert ended == [root / "cells" / "v1"]
    assert states(root) == [(1, True, False), (2, False, False), (3, False, False), (4, False, True)]
    assert prune(root, "cells", ()) == [2, 3]


def test_a_rollback_goes_to_the_version_that_was_the_one_before_when_it_was_asked_for(root: Path) -> None:
    other = threading.Thread(target=activate, args=(root, "cells", 1))
    with paused_before("open_for_line", lambda: rollback(root, "cells")) as ended:
        other.start()
        prune(root, "cells", ())
        assert (root / "cells" / "active").readlink() == Path("v3")
    other.join(20)
    assert ended == [root / "cells" / "v2"]
    assert states(root) == [(1, True, False), (2, False, True), (3, False, False)]


def test_a_process_that_is_killed_while_it_chooses_holds_nobody_up(root: Path) -> None:
    holds = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)"
    words = [sys.executable, "-uc", f"{holds}; print('held'); sys.stdin.read()", str(root / "cells")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert prune(root, "cells", ()) == []
        process.kill()
    assert prune(root, "cells", ()) == [1]
    assert activate(root, "cells", 2).name == "v2"
