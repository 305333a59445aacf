"""Rollouts on a real PostgreSQL, where workers and a stop really happen at once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from brokers import local_broker
from postgres_kit import Postgres, postgres
from rollout_kit import PLAN, RELEASE, Fleet, told

from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.runner import RolloutRunner
from cloud_sync.hub.rollout.showing import one_rollout
from cloud_sync.hub.rollout.stages import Asked
from cloud_sync.hub.rollout.starting import start_rollout, stop_rollout
from cloud_sync.wire.broker import LocalBroker, available_kinds

__all__ = ["postgres"]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine"),
]
WORKERS = 3


@pytest.fixture
def fleet(tmp_path: Path, postgres: Postgres) -> Iterator[Fleet]:
    broker: LocalBroker = local_broker("mosquitto", tmp_path)
    with Fleet(tmp_path, broker, 8, postgres.new_database()) as made:
        yield made
    broker.stop()


def state_of(fleet: Fleet, release: str = RELEASE) -> str:
    found = one_rollout(fleet.place, release, 0)
    assert found is not None
    return found[0].state


class Workers:
    """Runners in threads, each as fast as it can; a context manager."""

    def __init__(self, fleet: Fleet) -> None:
        self._runners = [RolloutRunner(fleet.place, fleet.link()) for _ in range(WORKERS)]
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(WORKERS)

    def __enter__(self) -> None:
        self._done = [self._pool.submit(self._run, runner, index) for index, runner in enumerate(self._runners)]

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for done in self._done:
            done.result(30)
        for runner in self._runners:
            runner.close()
        self._pool.shutdown()

    def _run(self, runner: RolloutRunner, index: int) -> None:
        ahead_ms = index * 20_000  # to each of them the lease of the one before has run out
        while not self._ending.is_set():
            runner.step(time.time_ns() // 1_000_000 + ahead_ms)


def test_workers_that_fight_for_it_do_each_thing_once(fleet: Fleet) -> None:
    start_rollout(fleet.place, RELEASE, "cell", _plan(fleet))
    with Workers(fleet):
        fleet.until(lambda: state_of(fleet) == "done")
    found = one_rollout(fleet.place, RELEASE, 0)
    assert found is not None
    assert len(told(found[2])) == len(set(told(found[2])))
    assert {station.course.count("live") for station in fleet.stations} == {1}


@pytest.mark.parametrize("live", [0, 1, 3, 8])
def test_a_stop_in_the_midst_of_it_leaves_nobody_asked_to_decide(live: int, fleet: Fleet) -> None:
    start_rollout(fleet.place, RELEASE, "cell", _plan(fleet))
    with Workers(fleet):
        fleet.until(lambda: len(fleet.live()) >= live)
        stop_rollout(fleet.place, RELEASE, "in the midst of it")
        fleet.until(lambda: all(station.state in {"", "back"} for station in fleet.stations))
    found = one_rollout(fleet.place, RELEASE, 0)
    assert found is not None
    assert {one.asked for one in found[1]} <= {Asked.NOTHING, Asked.BACK}
    assert not fleet.live()


def _plan(fleet: Fleet) -> RolloutPlan:
    return replace(PLAN, stations=fleet.names, steps_percent=(50, 100))
