"""A durable run with steps that only write down that they were done."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from brokers import eventually
from postgres_kit import Postgres
from retraining_kit import NAMES, WEDNESDAY_MS, WrittenDown, write_cloud

from cloud_sync.hub.retraining.chores import Chores
from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.retraining.ending import end_run
from cloud_sync.hub.retraining.errors import RequestRefusedError, RetrainingError
from cloud_sync.hub.retraining.runs import Result, Run, Runs
from cloud_sync.hub.retraining.steps import Done, Look, Step, Steps
from cloud_sync.hub.retraining.triggers import Trigger
from cloud_sync.hub.retraining.workflow import Patience, Workflow
from cloud_sync.hub.retraining.working import working as whole
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.retraining_tables import retraining_workers

QUICK = Patience(0.05, 0.01)


@contextmanager
def working(place: str, runs: Runs, written: WrittenDown, worker: str = "one") -> Iterator[Workflow]:
    with Workflow(place, runs, written.steps(), worker, lambda: WEDNESDAY_MS, QUICK) as workflow:
        yield workflow


def ended(runs: Runs, run: Run) -> Run:
    eventually(lambda: runs.find(run.run).result, 20)
    return runs.find(run.run)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """SQLite: what differs in PostgreSQL is tried with two workers."""
    return str(tmp_path / "store.db")


@pytest.fixture
def runs(place: str) -> Iterator[Runs]:
    with Runs(place) as opened:
        yield opened


def asked(runs: Runs, product: str = "cells") -> Run:
    return runs.open(product, Trigger.BY_HAND, "asked for by hand", WEDNESDAY_MS)


def test_a_run_does_each_step_once_in_order_and_says_what_came_of_it(place: str, runs: Runs) -> None:
    written = WrittenDown({"train": lambda _run, _look: Done({"bundle_sha256": "ab" * 32})})
    run = asked(runs)
    with working(place, runs, written) as workflow:
        workflow.begin(run.run)
        workflow.begin(run.run)
        found = ended(runs, run)
    assert written.done == list(NAMES)
    assert (found.result, found.bundle_sha256, found.worker) == (Result.PUBLISHED, "ab" * 32, "one")
    assert runs.under_way() == []


def test_a_challenger_that_the_gate_refuses_goes_no_further_and_is_kept_with_the_reason(place: str, runs: Runs) -> None:
    no = Done({"proof": '{"passed": false}'}, no="bar: 3 more escapes than the champion")
    written = WrittenDown({"prove": lambda _run, _look: no})
    run = asked(runs)
    with working(place, runs, written) as workflow:
        workflow.begin(run.run)
        found = ended(runs, run)
    assert written.done == list(NAMES[:4])
    assert (found.result, found.reason) == (Result.REFUSED, no.no)
    assert found.proof == {"passed": False}


def fails(error: Exception, times: int) -> object:
    left = iter(range(times))

    def do(run: Run, look: Look) -> Done:
        del run, look
        if next(left, None) is not None:
            raise error
        return Done({})

    return do


def test_a_store_that_fails_for_a_moment_ends_no_run(place: str, runs: Runs) -> None:
    written = WrittenDown({"snapshot": fails(StoreError("the disk is full"), 1)})
    run = asked(runs)
    with working(place, runs, written) as workflow:
        workflow.begin(run.run)
        assert ended(runs, run).result == Result.PUBLISHED


class LateEnd(Runs):
    """The first time that an end is to be kept, the database is away."""

    away = 1

    def end(self, run: str, result: Result, reason: str, now_ms: int) -> None:
        self.away -= 1
        if self.away >= 0:
            raise StoreError("the database is away")
        super().end(run, result, reason, now_ms)


def test_a_store_that_is_away_at_a_runs_end_leaves_no_run_open_for_ever(place: str) -> None:
    with LateEnd(place) as late:
        run = asked(late)
        with working(place, late, WrittenDown()) as workflow:
            workflow.begin(run.run)
            assert ended(late, run).result == Result.PUBLISHED
        assert late.under_way() == []


def waiting(began: threading.Event) -> Step:
    """A step that trains for ever, and looks."""

    def waits(run: Run, look: Look) -> Done:
        del run
        began.set()
        while True:
            look()
            threading.Event().wait(0.01)

    return waits


def test_a_run_that_a_person_ends_gives_way_at_once_and_keeps_by_whom_and_why(place: str, runs: Runs) -> None:
    began = threading.Event()
    written = WrittenDown({"train": waiting(began)})
    run = asked(runs)
    with working(place, runs, written) as workflow:
        workflow.begin(run.run)
        eventually(began.is_set, 20)
        found = end_run(place, run.run, "anna", "it stands still")
        assert (found.result, found.reason) == (Result.ENDED, "ended by anna: it stands still")
        began.clear()
        other = asked(runs)
        workflow.begin(other.run)
        eventually(began.is_set, 20)
        with pytest.raises(RequestRefusedError, match="has ended already: ended"):
            end_run(place, run.run, "bert")
    assert written.done == ["snapshot", "champion"] * 2
    assert runs.find(run.run).reason == "ended by anna: it stands still"


def test_a_run_that_a_person_ends_before_its_turn_is_never_begun(place: str, runs: Runs) -> None:
    written = WrittenDown()
    first, second = asked(runs), asked(runs, "lids")
    end_run(place, first.run, "anna")
    with working(place, runs, written) as workflow:
        workflow.begin(first.run)
        workflow.begin(second.run)
        assert ended(runs, second).result == Result.PUBLISHED
    assert written.done == list(NAMES)


def test_there_is_no_end_for_a_run_that_nobody_knows(place: str, runs: Runs) -> None:
    del runs
    with pytest.raises(RequestRefusedError, match="there is no run 'cells-0'"):
        end_run(place, "cells-0", "anna")


class NoSteps(Steps):
    """A defect between the steps: DBOS takes the workflow for failed, and the store was told nothing."""

    def in_order(self) -> tuple[tuple[str, Step], ...]:
        raise ZeroDivisionError("by nothing")


def test_a_run_whose_work_is_over_outside_of_a_step_does_not_stay_open_for_ever(tmp_path: Path, place: str) -> None:
    config = load_config(write_cloud(tmp_path, place))
    written = WrittenDown().steps()
    broken = NoSteps(**{name: getattr(written, name) for name in NAMES})
    with Runs(place) as runs:
        run = asked(runs)
        with whole(config, lambda _event: None, lambda _config, _runs: broken) as chores:
            at_s = iter(range(10_000))

            def is_over() -> bool:
                chores.round(float(next(at_s)))
                return runs.find(run.run).result is not None

            eventually(is_over, 20)
        found = runs.find(run.run)
        assert (found.result, runs.under_way()) == (Result.FAILED, [])
    assert "its work is over (error), and the store was not told how" in str(found.reason)
    assert "by nothing" in str(found.reason)


class AwayWhileLooking(Runs):
    """The database is away while a training asks whether it is still wanted."""

    looking = False

    def find(self, run: str) -> Run:
        if self.looking:
            self.looking = False
            raise StoreError("the database is away")
        return super().find(run)


def test_a_database_that_is_away_for_a_moment_ends_no_training_under_way(place: str) -> None:
    with AwayWhileLooking(place) as away:

        def trains(run: Run, look: Look) -> Done:
            del run
            away.looking = True
            while away.looking:
                look()
                threading.Event().wait(0.01)
            return Done({})

        written = WrittenDown({"train": trains})
        run = asked(away)
        with working(place, away, written) as workflow:
            workflow.begin(run.run)
            with Runs(place) as other:
                assert ended(other, run).result == Result.PUBLISHED
    assert written.done == list(NAMES)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(RetrainingError("exit code 9"), "train: exit code 9", id="expected"),
        pytest.param(ZeroDivisionError("by nothing"), "train: ZeroDivisionError: by nothing", id="defect"),
    ],
)
def test_a_step_that_fails_ends_the_run_with_its_reason(place: str, runs: Runs, error: Exception, said: str) -> None:
    written = WrittenDown({"train": fails(error, 99)})
    run = asked(runs)
    with working(place, runs, written) as workflow:
        workflow.begin(run.run)
        found = ended(runs, run)
        other = asked(runs)
        assert other.product == "cells"
    assert (found.result, found.reason) == (Result.FAILED, said)


def test_a_product_has_one_run_at_a_time_and_another_product_its_own(runs: Runs) -> None:
    asked(runs)
    with pytest.raises(RequestRefusedError, match="under way"):
        asked(runs)
    asked(runs, "lids")
    assert [run.product for run in runs.under_way()] == ["cells", "lids"]


def test_a_worker_that_stops_leaves_its_run_to_the_next_start_which_repeats_no_finished_step(
    place: str, runs: Runs
) -> None:
    began = threading.Event()

    def waits(run: Run, look: Look) -> Done:
        del run
        began.set()
        while True:
            look()
            threading.Event().wait(0.01)

    first, second = WrittenDown({"train": waits}), WrittenDown()
    run = asked(runs)
    with working(place, runs, first) as workflow:
        workflow.begin(run.run)
        eventually(began.is_set, 20)
    assert first.done == ["snapshot", "champion"]
    assert runs.find(run.run).result is None
    with working(place, runs, second):
        assert ended(runs, run).result == Result.PUBLISHED
    assert second.done == ["train", "prove", "publish", "roll_out"]


def test_a_worker_that_stops_says_that_it_left_only_when_its_step_has_ended(tmp_path: Path, place: str) -> None:
    config = load_config(write_cloud(tmp_path, place))
    began, at_the_end = threading.Event(), list[int]()

    def seen_at_ms() -> int:
        with Runs(place) as own, own.reading() as connection:
            return int(connection.scalar(sa.select(retraining_workers.c.seen_at_ms)) or 0)

    def waits(run: Run, look: Look) -> Done:
        del run
        began.set()
        try:
            while True:
                look()
                threading.Event().wait(0.01)
        finally:
            threading.Event().wait(0.2)
            at_the_end.append(seen_at_ms())

    def begun(chores: Chores) -> bool:
        chores.round(time.monotonic())
        return began.is_set()

    with Runs(place) as runs:
        asked(runs)
    steps = WrittenDown({"train": waits}).steps()
    with whole(config, lambda _event: None, lambda _config, _runs: steps) as chores:
        eventually(lambda: begun(chores), 20)
    assert at_the_end[0] > 0, "another worker was told to take over what was still being done"
    assert seen_at_ms() == 0


@pytest.mark.long
def test_the_same_in_postgresql(postgres: Postgres) -> None:
    store, written = postgres.new_database(), WrittenDown()
    with Runs(store) as opened:
        run = asked(opened)
        with working(store, opened, written) as workflow:
            workflow.begin(run.run)
            assert ended(opened, run).result == Result.PUBLISHED
    assert written.done == list(NAMES)
