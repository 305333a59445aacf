"""Snapshots in the blob store, work folders that go, chores that fail, facts that the triggers weigh, the tables."""

import logging
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa
from classifier_kit import painted_folders
from clouds import CLOUD
from retraining_kit import WEDNESDAY_MS

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.retraining.chores import Chore, Chores
from cloud_sync.hub.retraining.errors import RetrainingError
from cloud_sync.hub.retraining.gathering import product_facts
from cloud_sync.hub.retraining.runs import Result, Runs
from cloud_sync.hub.retraining.snapshots import keep_snapshot, lay_out
from cloud_sync.hub.retraining.triggers import Trigger
from cloud_sync.hub.retraining.work_folder import clean, run_folder, surplus
from cloud_sync.hub.retraining.workers import Workers
from cloud_sync.hub.store import retraining_tables
from cloud_sync.hub.store.errors import StoreError


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_snapshot_is_laid_out_again_as_it_was(tmp_path: Path) -> None:
    data, blobs = painted_folders(tmp_path / "data", 2), FolderBlobs(tmp_path / "blobs")
    (data / "empty.txt").write_bytes(b"")
    kept = keep_snapshot(data, blobs)
    assert keep_snapshot(data, blobs) == kept
    lay_out(kept, blobs, tmp_path / "again")
    assert files(tmp_path / "again") == files(data)


def test_a_picture_that_the_blob_store_changed_is_found_out(tmp_path: Path) -> None:
    data, blobs = painted_folders(tmp_path / "data", 1), FolderBlobs(tmp_path / "blobs")
    kept = keep_snapshot(data, blobs)
    picture = next(path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and path.name != kept.sha256)
    content = bytearray(picture.read_bytes())
    content[-1] ^= 1
    picture.write_bytes(content)
    with pytest.raises(RetrainingError, match="holds other content"):
        lay_out(kept, blobs, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("under_way", "newest", "keep", "gone"),
    [
        pytest.param([], ["d", "c", "b", "a"], 2, ["a", "b", "x"], id="the oldest, and one that nobody knows"),
        pytest.param(["a"], ["d", "c", "b"], 1, ["b", "c", "x"], id="never one that is under way"),
        pytest.param([], ["e", "d", "c", "b", "a"], 2, ["a", "b", "x"], id="one that ran elsewhere takes no place"),
        pytest.param(["a"], ["d", "c", "b"], 0, ["b", "c", "d", "x"], id="none is kept"),
    ],
)
def test_which_work_folders_go(under_way: list[str], newest: list[str], keep: int, gone: list[str]) -> None:
    assert surplus(["a", "b", "c", "d", "x"], under_way, newest, keep) == gone


def test_a_work_folder_goes_with_all_that_lies_in_it(tmp_path: Path) -> None:
    for run in ("old", "new"):
        (run_folder(tmp_path, run).root / "file").write_text("a")
    assert clean(tmp_path, [], ["new", "old"], 1) == ["old"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["new"]


def test_a_chore_that_fails_holds_up_no_other_and_is_said_once_as_it_comes_and_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done, faults = [], [StoreError("full"), StoreError("full"), ZeroDivisionError("ours")]

    def fails() -> None:
        if faults:
            raise faults.pop(0)

    chores = Chores([Chore("first", 1, fails), Chore("second", 2, lambda: done.append(1))])
    with caplog.at_level(logging.INFO):
        for now_s in (0.0, 0.5, 1.0, 2.0, 3.0):
            chores.round(now_s)
    assert len(done) == 2
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "first fails and is tried again",
        "first fails and is tried again",
        "first works again",
    ]
    assert chores.faults == {}


def test_who_was_silent_is_dead_to_a_worker_that_was_not(tmp_path: Path) -> None:
    with Runs(str(tmp_path / "store.db")) as runs:
        one, two = (Workers(runs.engine, name, "1", 0.2) for name in ("one", "two"))
        one.beat()
        two.beat()
        assert two.dead() == []
        one.leave()
        assert two.dead() == []  # it has itself not been heard of for long enough to judge
        while not (dead := two.dead()):
            two.beat()
        assert dead == ["one"]
        two.bury("one")
        assert two.dead() == []


def test_what_a_step_found_out_is_kept_once_and_whole(tmp_path: Path) -> None:
    with Runs(str(tmp_path / "store.db")) as runs:
        run = runs.open("cells", Trigger.DRIFT, "drift", WEDNESDAY_MS).run
        runs.note(run, {"bundle_sha256": "a" * 64, "archive_bytes": 1})
        runs.note(run, {"bundle_sha256": "b" * 64, "archive_bytes": 2})
        runs.end(run, Result.FAILED, "first", WEDNESDAY_MS)
        runs.end(run, Result.PUBLISHED, "second", WEDNESDAY_MS)
        found = runs.find(run)
    assert (found.bundle_sha256, found.archive_bytes) == ("a" * 64, 1)
    assert (found.result, found.reason) == (Result.FAILED, "first")


def test_the_migrated_tables_are_those_that_the_code_names(tmp_path: Path) -> None:
    with Runs(str(tmp_path / "store.db")) as runs:
        inspected = sa.inspect(runs.engine)
        for table in retraining_tables.ALL:
            found = {column["name"]: str(column["type"]) for column in inspected.get_columns(table.name)}
            assert found == {column.name: str(column.type) for column in table.columns}


def test_labels_that_a_training_has_seen_are_not_new_to_the_next(tmp_path: Path) -> None:
    store = str(tmp_path / "store.db")
    Runs(store).close()
    images = painted_folders(tmp_path / "images", 3)
    words = [*CLOUD, "import", str(images), "--product", "cells", "--store", store]
    assert subprocess.run(words, check=False, capture_output=True, timeout=60).returncode == 0
    with Runs(store) as runs:
        with runs.reading() as connection:
            first = product_facts(connection, "cells", [])
        run = runs.open("cells", Trigger.NEW_LABELS, "enough", WEDNESDAY_MS).run
        runs.note(run, {"labels_seq": 9, "classes": '["good", "disc"]'})
        runs.end(run, Result.REFUSED, "no", WEDNESDAY_MS)
        with runs.reading() as connection:
            second = product_facts(connection, "cells", runs.of("cells"))
    assert (first.labels, first.new_labels, first.new_classes) == (9, 9, ())
    assert (second.labels, second.new_labels, second.new_classes) == (9, 0, ("bar",))
