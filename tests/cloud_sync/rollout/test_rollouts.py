"""Releases go to a fleet step by step over a real broker and a real collector, and come back as one."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from brokers import local_broker
from rollout_kit import PLAN, RELEASE, Fleet, WorkerProcess, told

from cloud_sync.hub.rollout.book import Rollout, read_decisions, read_rollout
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.runner import RolloutRunner
from cloud_sync.hub.rollout.starting import RolloutError, resume_rollout, start_rollout, stop_rollout
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.wire.broker import LocalBroker, available_kinds
from cloud_sync.wire.link import Address
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

pytestmark = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")
HALVES = replace(PLAN, steps_percent=(50, 100))


def whole_way(step: str) -> list[tuple[str, str]]:
    """All decisions, each once, where the first step is the plan's `step`."""
    both = [(stage, what) for stage in ("shadow", "canary", step) for what in ("ask", "advance")]
    return [("shadow", "begin"), *both, ("100 %", "ask"), ("100 %", "done")]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    made = local_broker("mosquitto", tmp_path)
    yield made
    made.stop()


class Worker:
    """A runner in this thread; its clock goes on by a second a step, or jumps."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.runner = RolloutRunner(fleet.place, fleet.link())
        self.now_ms = time.time_ns() // 1_000_000

    def step(self) -> None:
        self.now_ms += 1000
        self.runner.step(self.now_ms)


def rollout(fleet: Fleet, release: str = RELEASE) -> Rollout:
    engine = open_engine(fleet.place, create=False)
    try:
        with engine.connect() as connection:
            found = read_rollout(connection, release)
    finally:
        engine.dispose()
    assert found is not None
    return found


def decisions(fleet: Fleet, release: str = RELEASE) -> list[tuple[str, str]]:
    engine = open_engine(fleet.place, create=False)
    try:
        with engine.connect() as connection:
            return told(read_decisions(connection, release))
    finally:
        engine.dispose()


def begun(fleet: Fleet, plan: RolloutPlan = PLAN, release: str = RELEASE) -> None:
    assert start_rollout(fleet.place, release, "cell", replace(plan, stations=fleet.names)) == release


def test_twenty_stations_get_it_step_by_step_and_never_more_than_the_stages_share(
    tmp_path: Path, broker: LocalBroker
) -> None:
    most: dict[str, int] = {}
    with Fleet(tmp_path, broker, 20) as fleet:
        begun(fleet)
        worker = Worker(fleet)

        def step() -> None:
            worker.step()
            now = rollout(fleet)
            most[now.stage_name] = max(most.get(now.stage_name, 0), len(fleet.live()))

        fleet.until(lambda: rollout(fleet).state == "done", step)
        assert decisions(fleet) == whole_way("10 %")
        assert most["shadow"] == 0
        assert most["canary"] <= 1
        assert most["10 %"] <= 2
        assert len(fleet.live()) == 20
        assert "20 of 20 stations decide by it" in rollout(fleet).why


def test_a_canary_that_goes_back_stops_it_for_all(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 3) as fleet:
        begun(fleet, RolloutPlan(canary="press-01", shadow_parts=50, live_parts=40, min_minutes=0))
        fleet.stations[1].refuses["live"] = "back"
        worker = Worker(fleet)
        fleet.until(lambda: rollout(fleet).state == "stopped", worker.step)
        assert rollout(fleet).why == "press-01 went back: the test says so"
        assert [station.course for station in fleet.stations if station.name != "press-01"] == [[], []]


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        pytest.param(
            {"parts": 60, "champion_rejects": 6, "passes_of_rejects": 6, "disagreements": 1},
            "are passed",
            id="always PASS",
        ),
        pytest.param(
            {"parts": 60, "rejects": 60, "champion_rejects": 6, "disagreements": 54},
            "judged otherwise",
            id="always REJECT",
        ),
        pytest.param({"parts": 60, "undecided": 60, "disagreements": 60}, "left undecided", id="NaN, as undecided"),
        pytest.param({"parts": 1, "faults": 1}, "it broke", id="one fault"),
    ],
)
def test_a_bad_model_never_gets_past_shadow(
    figures: dict[str, float], says: str, tmp_path: Path, broker: LocalBroker
) -> None:
    with Fleet(tmp_path, broker, 2) as fleet:
        begun(fleet)
        for station in fleet.stations:
            station.figures["shadow"] = figures
        worker = Worker(fleet)
        fleet.until(lambda: rollout(fleet).state == "stopped", worker.step)
        assert says in rollout(fleet).why
        fleet.until(lambda: fleet.stations[0].state == "back", worker.step)
        assert all("live" not in station.course for station in fleet.stations)


def test_a_fault_in_the_last_step_calls_the_whole_fleet_back(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 10) as fleet:
        begun(fleet)
        worker = Worker(fleet)
        fleet.stations[7].figures["live"] = {"parts": 10}
        fleet.until(lambda: len(fleet.live()) == 10, worker.step)
        fleet.stations[7].say("back", "on probation: it broke")
        fleet.until(lambda: all(station.state == "back" for station in fleet.stations), worker.step)
        assert rollout(fleet).state == "stopped"
        assert "press-07 went back: on probation" in rollout(fleet).why


def test_a_late_station_that_goes_back_after_the_end_calls_the_fleet_back_while_it_is_watched(
    tmp_path: Path, broker: LocalBroker
) -> None:
    with Fleet(tmp_path, broker, 4) as fleet:
        begun(fleet, replace(PLAN, watch_hours=1))
        worker = Worker(fleet)
        fleet.until(lambda: rollout(fleet).state == "done", worker.step)
        fleet.stations[3].say("back", "it rejects too much")
        fleet.until(lambda: all(station.state == "back" for station in fleet.stations), worker.step)
        assert (rollout(fleet).state, decisions(fleet)[-1]) == ("stopped", ("100 %", "stop"))
        assert "while it was watched: press-03 went back: it rejects too much" in rollout(fleet).why


def test_after_the_watch_a_station_that_goes_back_is_an_alarm_and_calls_nobody_back(
    tmp_path: Path, broker: LocalBroker
) -> None:
    with Fleet(tmp_path, broker, 3) as fleet:
        begun(fleet, replace(PLAN, watch_hours=1))
        worker = Worker(fleet)
        fleet.until(lambda: rollout(fleet).state == "done", worker.step)
        worker.now_ms += 2 * 3_600_000
        fleet.stations[2].say("back", "it rejects too much")
        fleet.until(lambda: "alarm: press-02 went back" in rollout(fleet).why, worker.step)
        assert (rollout(fleet).state, fleet.live()) == ("done", ["press-00", "press-01"])


def test_who_is_offline_when_it_is_stopped_goes_back_when_it_returns(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 4) as fleet:
        begun(fleet)
        worker = Worker(fleet)
        fleet.until(lambda: rollout(fleet).state == "done", worker.step)
        away = fleet.stations[2:]
        for station in away:
            station.disconnect()
        stop_rollout(fleet.place, RELEASE, "the line complains")
        fleet.until(lambda: all(one.state == "back" for one in fleet.stations[:2]), worker.step)
        assert [one.state for one in away] == ["live", "live"]
        for station in away:
            station.connect()
        fleet.until(lambda: all(one.state == "back" for one in fleet.stations))  # nobody steps: the broker retained it


def test_a_station_that_is_away_does_not_hold_up_the_others_and_follows(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 3) as fleet:
        fleet.until(lambda: True)
        fleet.stations[2].disconnect()
        begun(fleet, replace(PLAN, canary="press-00", patience_minutes=0.03))
        runner = RolloutRunner(fleet.place, fleet.link())
        waited = set()

        def step() -> None:
            runner.step(time.time_ns() // 1_000_000)
            waited.add(rollout(fleet).why)
            for station in fleet.stations[:2]:
                station.say_again()

        fleet.until(lambda: rollout(fleet).state == "done", step)
        assert "press-02 is offline" in waited
        assert fleet.live() == ["press-00", "press-01"]
        assert "they follow when they are back: press-02" in rollout(fleet).why
        fleet.stations[2].connect()
        fleet.until(lambda: len(fleet.live()) == 3)


def test_two_workers_at_once_do_each_thing_once(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 4) as fleet:
        begun(fleet, HALVES)
        first, second, chance = Worker(fleet), Worker(fleet), Random(1)

        def both() -> None:
            first.step()
            second.step()
            if chance.random() < 0.1:
                second.now_ms = first.now_ms = first.now_ms + 60_000  # a lease runs out now and then

        fleet.until(lambda: rollout(fleet).state == "done", both)
        assert decisions(fleet) == whole_way("50 %")
        assert all(station.course.count("live") == 1 for station in fleet.stations)


def test_what_was_written_and_not_published_is_published_by_the_next_worker(
    tmp_path: Path, broker: LocalBroker
) -> None:
    with Fleet(tmp_path, broker, 1) as fleet:
        begun(fleet)
        lost = RolloutRunner(fleet.place, _Deaf())
        lost.step(time.time_ns() // 1_000_000)
        assert decisions(fleet)[-1] == ("shadow", "ask")
        lost.close()
        worker = Worker(fleet)
        worker.now_ms += 60_000
        fleet.until(lambda: fleet.stations[0].state == "shadow", worker.step)


class _Deaf:
    """A link whose process dies before the broker heard it."""

    def start(self, listener: object) -> None: ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:  # noqa: ARG002
        return True

    def acknowledge(self, message: object) -> None: ...

    def stop(self, timeout_s: float) -> bool:  # noqa: ARG002
        return True


@pytest.mark.parametrize(
    "kills",
    [pytest.param(5, marks=pytest.mark.long), pytest.param(150, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_workers_killed_at_random_carry_it_to_its_end_once(kills: int, tmp_path: Path, broker: LocalBroker) -> None:
    chance = Random(3)
    with Fleet(tmp_path, broker, 12) as fleet:
        done = releases = 0
        while done < kills:
            release = fleet.release(f"cells-v{done + 2}.bundle")
            begun(fleet, HALVES, release)
            while done < kills and rollout(fleet, release).state != "done":
                worker = WorkerProcess(fleet.place, broker.address)
                for _ in range(chance.randrange(1, 12)):
                    worker.await_step()
                    fleet.until(lambda: True)
                worker.kill()
                done += 1
            last = WorkerProcess(fleet.place, broker.address)
            fleet.until(lambda name=release: rollout(fleet, name).state == "done")
            last.kill()
            assert decisions(fleet, release) == whole_way("50 %")
            releases += 1
        assert {station.course.count("live") for station in fleet.stations} == {releases}
        assert len(fleet.live()) == 12


def test_a_runner_that_is_closed_lets_go_of_its_store(tmp_path: Path, broker: LocalBroker) -> None:
    """A worker that stops must leave no connection behind that keeps the database busy."""

    def held() -> set[str]:
        links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return {str(path.readlink()) for path in links if path.is_symlink()}

    place = str(tmp_path / "alone.db")
    open_engine(place, create=True).dispose()
    del broker
    runner = RolloutRunner(place, MqttLink(MqttSettings(Address("127.0.0.1", 1), "nobody")))
    runner.step(1)
    assert place in held()
    runner.close()
    runner.close()
    assert place not in held()


def test_the_same_words_twice_begin_one_rollout(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 2) as fleet:
        begun(fleet)
        begun(fleet, RolloutPlan(shadow_parts=7))
        assert rollout(fleet).plan.shadow_parts == 50
        assert decisions(fleet) == [("shadow", "begin")]


def test_a_second_release_waits_for_the_first_and_a_third_takes_its_place(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 2) as fleet:
        begun(fleet)
        worker = Worker(fleet)
        fleet.until(lambda: rollout(fleet).state == "running", worker.step)
        for name in ("cells-v3.bundle", "cells-v4.bundle"):
            begun(fleet, release=fleet.release(name))
        worker.step()
        assert rollout(fleet, "cells-v3.bundle").state == "stopped"
        assert rollout(fleet, "cells-v3.bundle").why == "cells-v4.bundle took its place before it began"
        assert rollout(fleet, "cells-v4.bundle").why == f"waits until {RELEASE} is done or stopped"
        fleet.until(lambda: rollout(fleet, "cells-v4.bundle").state == "done", worker.step)
        assert rollout(fleet).state == "done"


def test_a_station_that_did_not_go_back_from_a_stopped_release_is_not_given_the_next(
    tmp_path: Path, broker: LocalBroker
) -> None:
    with Fleet(tmp_path, broker, 2) as fleet:
        begun(fleet)
        worker = Worker(fleet)
        fleet.until(lambda: rollout(fleet).state == "done", worker.step)
        fleet.stations[1].disconnect()
        stop_rollout(fleet.place, RELEASE, "by the test")
        fleet.until(lambda: fleet.stations[0].state == "back", worker.step)
        release = fleet.release("cells-v3.bundle")
        begun(fleet, release=release)
        fleet.until(lambda: "has not gone back" in rollout(fleet, release).why, worker.step)
        fleet.stations[1].connect()
        fleet.until(lambda: rollout(fleet, release).state == "done", worker.step)
        assert fleet.stations[1].course[-7:] == [
            "back",
            "offered",
            "downloading",
            "verified",
            "selftest",
            "shadow",
            "live",
        ]


def test_a_stopped_one_begins_anew_when_somebody_says_resume(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 2) as fleet:
        begun(fleet)
        worker = Worker(fleet)
        fleet.until(lambda: len(fleet.live()) > 0, worker.step)
        assert stop_rollout(fleet.place, RELEASE, "by the test").state == "stopped"
        fleet.until(lambda: not fleet.live(), worker.step)
        resume_rollout(fleet.place, RELEASE)
        fleet.until(lambda: rollout(fleet).state == "done", worker.step)
        assert (rollout(fleet).attempt, len(fleet.live())) == (2, 2)


def test_what_cannot_begin_says_why(tmp_path: Path, broker: LocalBroker) -> None:
    with Fleet(tmp_path, broker, 1) as fleet:
        with pytest.raises(RolloutError, match="no release 'other"):
            start_rollout(fleet.place, "other-v1.bundle", "cell", PLAN)
        with pytest.raises(RolloutError, match="no station is known that inspects product 'cell'"):
            start_rollout(fleet.place, RELEASE, "cell", PLAN)
        with pytest.raises(RolloutError, match="canary 'press-77' is none"):
            begun(fleet, RolloutPlan(canary="press-77"))
        with pytest.raises(RolloutError, match="no rollout of"):
            stop_rollout(fleet.place, RELEASE, "why")
