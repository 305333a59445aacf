"""A file system that gives up may answer fsync with success for a while: no commit on it may be taken for one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from disk_kit import LoopDisk, loop_disk
from edge_kit import Collected

from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.writing import StoreWriter
from edge.record.writer import GroupWriter, Work

COMMITS = 50


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path, 48) as made:
        yield made


def begin_log_again(file: Path) -> None:
    """Everything into the database: the next commits write over the log, and the file system need not grow it."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0


def kept_after_mount(disk: LoopDisk, file: Path) -> set[int]:
    disk.unmount()
    disk.mount()
    with closing(sqlite3.connect(file)) as connection:
        return {n for (n,) in connection.execute("SELECT n FROM said")}


def test_the_station_says_of_no_such_commit_that_it_is_done(disk: LoopDisk) -> None:
    file, done, failed = disk.where / "station.db", Collected(), Collected()
    writer = GroupWriter(file, lambda _works, _why: None)
    writer.start()

    def say(number: int) -> None:
        count = len(done.items) + len(failed.items)
        insert = Work(
            lambda connection: connection.execute("INSERT INTO said VALUES (?)", (number,)) and None,
            lambda: (done(number), failed(None)),
            lambda error: (failed(error), done(0)),
        )
        writer.submit(insert)
        done.wait_for(count // 2 + 1)
        failed.wait_for(count // 2 + 1)

    writer.submit(Work(lambda connection: connection.execute("CREATE TABLE said (n)") and None, lambda: None, print))
    for number in range(1, COMMITS):
        say(number)
    begin_log_again(file)
    disk.go_read_only()
    for number in range(COMMITS, 2 * COMMITS):
        say(number)
    writer.stop(10)
    assert set(done.items) - {0} <= kept_after_mount(disk, file)
    assert len(set(done.items)) >= COMMITS


def test_the_collector_acknowledges_no_such_commit(disk: LoopDisk) -> None:
    file = disk.where / "cloud.db"
    said: set[int] = set()
    with StoreWriter(str(file)) as store:
        store.commit(lambda connection: connection.execute(sa.text("CREATE TABLE said (n INTEGER)")))

        def say(number: int) -> None:
            store.commit(
                lambda connection: connection.execute(sa.text("INSERT INTO said VALUES (:number)"), {"number": number})
            )
            said.add(number)

        for number in range(COMMITS):
            say(number)
        begin_log_again(file)
        disk.go_read_only()
        refused = 0
        for number in range(COMMITS, 2 * COMMITS):
            try:
                say(number)
            except StoreError:
                refused += 1
    assert said <= kept_after_mount(disk, file)
    assert refused == COMMITS
