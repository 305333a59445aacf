"""A worker that is killed at any point: its run goes on, one release comes of it, and no training is left behind."""

import contextlib
import random
import signal
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import eventually
from quick_programs import TRAINED
from retraining_kit import WEDNESDAY_MS, WorkerProcess, write_cloud

from cloud_sync.hub.files.blobs import open_blobs
from cloud_sync.hub.retraining.runs import Result, Run, Runs
from cloud_sync.hub.retraining.training import is_held
from cloud_sync.hub.retraining.triggers import Trigger
from cloud_sync.hub.store.file_tables import releases
from cloud_sync.hub.trust.kept import read_state


def asked(runs: Runs) -> Run:
    return runs.open("cells", Trigger.BY_HAND, "asked for by hand", WEDNESDAY_MS)


def published(runs: Runs) -> list[str]:
    with runs.reading() as connection:
        return list(connection.scalars(sa.select(releases.c.name)))


def signed(store: str) -> list[str]:
    state = read_state(store)
    assert state is not None
    return sorted(state.targets.signed.targets)


def nobody_trains(folder: Path) -> None:
    """No orphan lives, and no two ever trained at once."""
    for log in folder.glob(f"runs/*/{TRAINED}"):
        eventually(lambda log=log: not is_held(log.with_name("training.lock")))
        for line in log.read_text().splitlines():
            pid, word = line.split()
            assert word == "alone"
            eventually(lambda pid=pid: not _trains(int(pid)))


def _trains(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"quick_programs" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def ends_whatever_is_killed(tmp_path: Path, kills: int, chance: random.Random) -> None:
    """Runs one after the other, with so many kills in all; each run publishes its own release once."""
    store = str(tmp_path / "cloud.db")
    config = write_cloud(tmp_path, store)
    ended, takes_s = [], 6.0
    with Runs(store) as runs:
        while kills > 0:
            run = asked(runs)
            while runs.find(run.run).result is None:
                worker = WorkerProcess(config)
                worker.start()
                if kills > 0:
                    until_s = time.monotonic() + chance.uniform(0, takes_s)
                    eventually(lambda u=until_s, r=run: time.monotonic() > u or runs.find(r.run).result, takes_s + 1)
                    worker.end(signal.SIGKILL)
                    kills -= 1
                else:
                    eventually(lambda r=run: runs.find(r.run).result, 60)
                    assert worker.end(signal.SIGTERM) == 0
                nobody_trains(tmp_path / "work")
            found = runs.find(run.run)
            assert found.result == Result.PUBLISHED, found.reason
            ended.append(found)
        names = [f"cells-v{number}.bundle" for number in range(1, len(ended) + 1)]
        assert [run.release for run in ended] == names
        assert sorted(published(runs)) == sorted(names)
        assert signed(store) == sorted(names)
        assert runs.under_way() == []


@pytest.mark.long
def test_a_worker_killed_in_its_training_leaves_no_orphan_and_publishes_exactly_once(tmp_path: Path) -> None:
    store = str(tmp_path / "cloud.db")
    config = write_cloud(tmp_path, store)
    with Runs(store) as runs:
        run = asked(runs)
        worker = WorkerProcess(config)
        worker.start()
        eventually(lambda: is_held(tmp_path / "work" / "runs" / run.run / "training.lock"), 60)
        worker.end(signal.SIGKILL)
        nobody_trains(tmp_path / "work")
        worker.start()
        assert worker.until("ended")["release"] == "cells-v1.bundle"
        assert worker.end(signal.SIGTERM) == 0
        assert published(runs) == signed(store) == ["cells-v1.bundle"]


@pytest.mark.long
def test_a_challenger_that_fails_is_kept_with_its_report_and_the_reason_and_nothing_is_signed(tmp_path: Path) -> None:
    store, why = str(tmp_path / "cloud.db"), "bar: 3 more escapes than the champion"
    worker = WorkerProcess(write_cloud(tmp_path, store), {"QUICK_WHY_NOT": why})
    with Runs(store) as runs:
        run = asked(runs)
        worker.start()
        ended = worker.until("ended")
        assert worker.end(signal.SIGTERM) == 0
        found = runs.find(run.run)
        assert (ended["result"], ended["reason"], published(runs), signed(store)) == ("refused", why, [], [])
    blobs = open_blobs(str(tmp_path / "blobs"))
    assert found.proof is not None
    assert found.proof["why_not"] == why
    assert blobs.holds(str(found.report_sha256))
    assert blobs.holds(str(found.archive_sha256))


@pytest.mark.long
def test_kills_at_random_publish_exactly_once(tmp_path: Path) -> None:
    ends_whatever_is_killed(tmp_path, 6, random.Random(1))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_kills_at_random_publish_exactly_once(tmp_path: Path) -> None:
    ends_whatever_is_killed(tmp_path, 50, random.Random(2))
