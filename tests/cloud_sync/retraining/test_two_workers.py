"""Two workers of one PostgreSQL store: what one leaves the other ends, and none does it twice."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import eventually
from postgres_kit import Postgres
from quick_programs import TRAINED
from retraining_kit import WEDNESDAY_MS, WorkerProcess, write_cloud

from cloud_sync.hub.retraining.runs import Result, Run, Runs
from cloud_sync.hub.retraining.triggers import Trigger
from cloud_sync.hub.store.file_tables import releases

SLOW = {"QUICK_TAKES_S": "4"}
pytestmark = pytest.mark.long


@dataclass
class Pair:
    """The two, by their ids, and where each works."""

    runs: Runs
    folder: Path
    workers: dict[str, WorkerProcess]
    folders: dict[str, Path]

    def trains(self, run: Run) -> str:
        """Who trains it, once somebody does."""
        eventually(lambda: self._training(run), 60)
        return str(self.runs.find(run.run).worker)

    def _training(self, run: Run) -> bool:
        found = self.runs.find(run.run)
        return found.step == "train" and self.started(run, str(found.worker)) > 0

    def started(self, run: Run, worker: str) -> int:
        """How many trainings of it a worker has begun."""
        log = self.folders[worker] / "runs" / run.run / TRAINED
        return len(log.read_text().splitlines()) if log.exists() else 0

    def other(self, worker: str) -> str:
        return next(name for name in self.workers if name != worker)

    def asked(self) -> Run:
        return self.runs.open("cells", Trigger.BY_HAND, "asked for by hand", WEDNESDAY_MS)

    def ended(self, run: Run) -> Run:
        eventually(lambda: self.runs.find(run.run).result, 60)
        return self.runs.find(run.run)

    def published(self) -> list[str]:
        with self.runs.reading() as connection:
            return sorted(connection.scalars(sa.select(releases.c.name)))


@pytest.fixture(scope="module")
def pair(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both, started once for all tests here; each test leaves both at work."""
    tmp_path, store = tmp_path_factory.mktemp("two"), postgres.new_database()
    made = {name: WorkerProcess(write_cloud(tmp_path, store, name=name), SLOW) for name in ("a", "b")}
    for worker in made.values():
        worker.start()
        worker.until("ready")
    ids = {(tmp_path / name / "worker.id").read_text(): name for name in made}
    with Runs(store) as runs:
        yield Pair(
            runs,
            tmp_path,
            {worker: made[name] for worker, name in ids.items()},
            {worker: tmp_path / name for worker, name in ids.items()},
        )
    for worker in made.values():
        if worker.lives:
            worker.end(signal.SIGKILL)


def test_a_worker_that_only_stood_still_gives_up_what_was_taken_over_and_works_on(pair: Pair) -> None:
    run = pair.asked()
    first = pair.trains(run)
    other = pair.workers[pair.other(first)]
    os.kill(pair.workers[first].pid, signal.SIGSTOP)
    found = pair.ended(run)
    assert (found.result, found.worker) == (Result.PUBLISHED, pair.other(first))
    os.kill(pair.workers[first].pid, signal.SIGCONT)
    other.end(signal.SIGKILL)
    second = pair.ended(pair.asked())
    assert (second.result, second.worker) == (Result.PUBLISHED, first)
    assert pair.runs.find(run.run) == found
    assert pair.published() == ["cells-v1.bundle", "cells-v2.bundle"]
    other.start()
    other.until("ready")


def test_what_a_killed_worker_left_the_other_ends_in_its_own_folder(pair: Pair) -> None:
    before, run = pair.published(), pair.asked()
    first = pair.trains(run)
    pair.workers[first].end(signal.SIGKILL)
    found = pair.ended(run)
    assert (found.result, found.worker) == (Result.PUBLISHED, pair.other(first))
    assert pair.started(run, pair.other(first)) == 1
    assert pair.published() == sorted([*before, str(found.release)])
    pair.workers[first].start()
