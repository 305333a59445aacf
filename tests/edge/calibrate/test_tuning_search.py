"""Which plan is chosen, from made tables of what each costs: no model runs here."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from edge.calibrate.tuning.candidates import MOST, Contender, candidates, may_run, pinned
from edge.calibrate.tuning.planning import Room, best_by_cores, beyond
from edge.calibrate.tuning.rehearsal import remove_left
from edge.calibrate.tuning.scaling import Scaled, Way, ways
from edge.calibrate.tuning.search import Reading, Tally, choose, in_turns, ranked, ratio, search, settle
from edge.infer.plan import Plan
from models.cgroups import Quota
from models.cpus import CpuGrant

PINNED = Plan(1, 1, 2, pinning=True)
Cost = Callable[[Plan], tuple[float, float]]


def grant(cpus: int, quota: float | None = None, cores: int = 0, seen: int = 0) -> CpuGrant:
    limit = None if quota is None else Quota(quota, "/sys/fs/cgroup/x")
    return CpuGrant(tuple(range(cpus)), seen or cpus, cores or cpus, 1, limit)


class MadeMachine:
    """Gives each plan the parts per second and the milliseconds of its table, and lets its own clock run."""

    def __init__(self, cost: Cost, setup_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.turns: list[Contender] = []
        self._cost, self._setup_s = cost, setup_s

    def clock(self) -> float:
        return self.now_s

    def measure(self, contender: Contender, seconds: float) -> Reading:
        self.now_s += seconds + (0 if contender in self.turns else self._setup_s)
        self.turns.append(contender)
        rate, ms = self._cost(contender.plan)
        return Reading(round(rate * seconds), seconds, (ms,) * max(1, round(rate * seconds)), seconds)


def tally(rate: float, ms: float = 10.0, failed: int = 0) -> Tally:
    return Tally([Reading(round(rate), 1.0, (ms,) * round(rate), 0.5, failed)])


def many(cpus: int) -> list[Contender]:
    return [Contender(plan) for plan in candidates(grant(cpus), 2, tiled=False)]


@pytest.mark.parametrize(
    ("cost", "wanted"),
    [
        pytest.param(lambda plan: (100 * plan.threads**0.5, 20.0), (8, None), id="more threads help"),
        pytest.param(lambda plan: (100 / plan.threads, 20.0), (1, 1), id="threads hurt"),
        pytest.param(lambda plan: (90.0 + 10 * plan.streams, 20.0), (8, 8), id="streams help"),
        pytest.param(
            lambda plan: (100.0 * plan.streams * plan.threads, 400.0 if plan.streams > 2 else 20.0),
            (8, 2),
            id="many streams are fast and too late",
        ),
    ],
)
def test_the_best_within_the_limit_is_found(cost: Cost, wanted: tuple[int, int | None]) -> None:
    machine = MadeMachine(cost)
    found = search(many(8), machine.measure, 100.0, 60.0, machine.clock)
    best = choose(found, 100.0).plan
    assert best.threads == wanted[0]
    assert wanted[1] is None or best.streams == wanted[1]


def test_the_time_limit_holds_and_the_likely_ones_were_measured() -> None:
    machine = MadeMachine(lambda _plan: (100.0, 10.0), setup_s=1.0)
    contenders = many(8)
    found = search(contenders, machine.measure, 100.0, 5.0, machine.clock)
    assert machine.now_s < 5 + 1.5
    assert list(found) == contenders[: len(found)]
    assert 3 <= len(found) < len(contenders)


def test_with_no_time_at_all_the_default_is_measured() -> None:
    machine = MadeMachine(lambda _plan: (100.0, 10.0))
    contenders = many(4)
    assert list(search(contenders, machine.measure, 100.0, 0.0, machine.clock)) == contenders[:1]


def test_what_is_worse_is_dropped_and_what_is_compared_with_never() -> None:
    machine = MadeMachine(lambda plan: (10.0 * plan.threads, 10.0))
    hint = Contender(Plan(1, 1, 1), "THROUGHPUT")
    search(many(16), machine.measure, 100.0, 600.0, machine.clock, [hint])
    counts = {one: machine.turns.count(one) for one in machine.turns}
    assert counts[hint] == max(counts.values())
    assert min(counts.values()) == 1
    assert all(one.plan.threads == 16 for one, count in counts.items() if count == counts[hint] and one != hint)


def test_a_busy_moment_meets_all_alike() -> None:
    quiet = iter([1.0, 0.2, 1.0])
    share = {"now": 1.0}

    def cost(plan: Plan) -> tuple[float, float]:
        return (200.0 if plan.threads == 2 else 100.0) * share["now"], 10.0

    machine, turn = MadeMachine(cost), {"count": 0}

    def measure(contender: Contender, seconds: float) -> Reading:
        if turn["count"] % 2 == 0:
            share["now"] = next(quiet)
        turn["count"] += 1
        return machine.measure(contender, seconds)

    fast, slow = Contender(Plan(2, 1, 2)), Contender(Plan(1, 1, 2))
    found = in_turns([slow, fast], measure, 0.0, machine.clock, 1.0, rounds=3)
    assert ratio(found, fast, slow) == pytest.approx(2.0, rel=0.05)
    assert choose(found, 100.0) == fast


@pytest.mark.parametrize(
    ("tallies", "wanted"),
    [
        pytest.param({Plan(2, 2, 3): tally(100), Plan(1, 1, 2): tally(98)}, Plan(1, 1, 2), id="as good with less"),
        pytest.param({Plan(2, 2, 3): tally(100), Plan(1, 1, 2): tally(90)}, Plan(2, 2, 3), id="clearly better"),
        pytest.param({PINNED: tally(102), Plan(1, 1, 2): tally(100)}, Plan(1, 1, 2), id="pinned, hardly"),
        pytest.param(
            {Plan(1, 1, 2, 1, True): tally(120), Plan(1, 1, 2): tally(100)},
            Plan(1, 1, 2, 1, True),
            id="pinned, clearly",
        ),
        pytest.param({Plan(2, 1, 2): tally(300, 101), Plan(1, 1, 2): tally(10)}, Plan(1, 1, 2), id="fast and too late"),
        pytest.param({Plan(2, 1, 2): tally(300, failed=1), Plan(1, 1, 2): tally(10)}, Plan(1, 1, 2), id="lost a part"),
        pytest.param({Plan(2, 1, 2): tally(30, 900), Plan(1, 1, 2): tally(9, 500)}, Plan(1, 1, 2), id="all too late"),
    ],
)
def test_what_is_chosen(tallies: dict[Plan, Tally], wanted: Plan) -> None:
    assert choose({Contender(plan): found for plan, found in tallies.items()}, 100.0).plan == wanted


@pytest.mark.parametrize(
    ("rates", "kept"),
    [
        pytest.param((20, 20, 20, 20), False, id="won every round"),
        pytest.param((20, 20, 20, 5), False, id="three of four"),
        pytest.param((90, 90, 5, 5), True, id="luck in half of them"),
    ],
)
def test_the_default_stays_unless_it_is_beaten_most_of_the_time(rates: tuple[int, ...], *, kept: bool) -> None:
    default, other = Contender(Plan(1, 1, 2)), Contender(Plan(2, 2, 3))
    tallies = {
        default: Tally([Reading(10, 1.0, (9.0,), 0.1)] * 4),
        other: Tally([Reading(rate, 1.0, (9.0,), 0.1) for rate in rates]),
    }
    assert settle(tallies, other, default, 100.0) == (default if kept else other)
    assert settle(tallies, other, default, 5.0) == other


def test_a_single_late_part_in_a_hundred_is_no_reason_and_two_are() -> None:
    def of(late: int) -> Tally:
        return Tally([Reading(100, 1.0, (*(10.0,) * (100 - late), *(500.0,) * late), 0.1)])

    assert of(1).latency_ms() == pytest.approx(500.0)
    assert Tally([*of(1).readings, *of(0).readings]).fits(100.0)
    assert not of(2).fits(100.0)
    assert ranked({Contender(Plan(2, 1, 2)): of(2), Contender(Plan(1, 1, 2)): of(0)}, 100.0)[0].plan.threads == 1


@pytest.mark.parametrize(
    ("given", "cameras"),
    [
        pytest.param(grant(1), 1, id="one CPU"),
        pytest.param(grant(2), 8, id="two, many cameras"),
        pytest.param(grant(48, 1.5), 2, id="a small share of a large machine"),
        pytest.param(grant(64, cores=32), 4, id="hardware threads"),
        pytest.param(grant(2, 0.5), 1, id="half a CPU"),
    ],
)
@pytest.mark.parametrize("tiled", [False, True])
def test_candidates_stay_within_what_is_granted_and_few(given: CpuGrant, cameras: int, *, tiled: bool) -> None:
    plans = candidates(given, cameras, tiled=tiled)
    assert 1 <= len(plans) <= MOST
    assert len(set(plans)) == len(plans)
    assert plans[0].threads == max(1, given.threads - 1)
    for plan in plans:
        assert 1 <= plan.streams <= plan.threads <= min(given.threads + 1, len(given.cpus))
        assert plan.requests >= cameras
        assert plan.per_frame * cameras <= plan.requests or plan.per_frame == 1
        assert not plan.pinning
        assert pinned(plan).pinning
    assert {1, given.threads} <= {plan.threads for plan in plans}
    assert min(given.threads, given.cores) in {plan.threads for plan in plans}


@pytest.mark.parametrize(
    ("one", "given", "may"),
    [
        pytest.param(Contender(PINNED), grant(4), True, id="pinned on all CPUs"),
        pytest.param(Contender(PINNED), grant(4, 1.5), False, id="pinned under a quota"),
        pytest.param(Contender(PINNED), grant(2, seen=8), False, id="pinned on two of eight"),
        pytest.param(Contender(Plan(1, 1, 2)), grant(4, 1.5), True, id="not pinned under a quota"),
        pytest.param(Contender(Plan(1, 1, 2), "LATENCY"), grant(4), False, id="a hint"),
    ],
)
def test_nothing_is_pinned_on_cpus_that_others_share(one: Contender, given: CpuGrant, *, may: bool) -> None:
    assert may_run(one, given) is may


def test_cores_are_tried_in_doublings_as_streams_as_one_and_as_processes() -> None:
    found = ways(grant(6), 1, tiled=False)
    assert [way.cores for way in found if way.processes == 1 and way.plan.streams == way.plan.threads] == [1, 2, 4, 6]
    assert [way.processes for way in found if way.processes > 1] == [2, 4, 6]
    assert [way.cores for way in ways(grant(8, 1.0), 1, tiled=False)] == [1]


def scaled(*rates: float) -> list[Scaled]:
    return [Scaled(Way(1 << power, 1, Plan(1, 1, 2)), rate, 10.0) for power, rate in enumerate(rates)]


def test_cores_that_are_not_here_are_reckoned_from_those_that_are_and_say_so() -> None:
    guesses, basis = beyond(scaled(100.0, 190.0))
    assert [guess.cores for guess in guesses] == [4, 8]
    assert "1.90 times" in basis
    for guess, times in zip(guesses, (2, 4), strict=True):
        assert 1 < guess.low < times
        assert guess.low < guess.high == pytest.approx(times * 200 / 190, abs=0.01)
    perfect, _ = beyond(scaled(100.0, 200.0, 400.0))
    assert [(guess.low, guess.high) for guess in perfect] == [(2.0, 2.0), (4.0, 4.0)]
    useless, _ = beyond(scaled(100.0, 90.0))
    assert [guess.low for guess in useless] == [1.0, 1.0]


def test_one_core_alone_promises_nothing() -> None:
    guesses, basis = beyond(scaled(100.0))
    assert [(guess.cores, guess.low, guess.high) for guess in guesses] == [(2, 1.0, 2.0), (4, 1.0, 4.0)]
    assert "not known" in basis
    assert beyond([]) == ([], "nothing was measured")


def test_the_best_way_counts_for_each_number_of_cores() -> None:
    both = [*scaled(10.0, 15.0), Scaled(Way(2, 2, Plan(1, 1, 2)), 19.0, 9.0)]
    assert [one.parts_per_s for one in best_by_cores(both).values()] == [10.0, 19.0]
    assert all(a < b for a, b in pairwise(best_by_cores(both)))


def test_a_fifth_is_kept_in_reserve_and_late_parts_are_none() -> None:
    assert (Room(2, 10.0, 80.0, fits=True).most_per_minute, Room(2, 10.0, 80.0, fits=True).advised_per_minute) == (
        600,
        480,
    )
    assert Room(2, 10.0, 800.0, fits=False).advised_per_minute == 0


def test_what_a_killed_rehearsal_left_in_the_data_folder_goes_with_the_next_one(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left, running = tmp_path / f".tune-{int(ended.stdout)}-ab", tmp_path / f".tune-{os.getpid()}-cd"
    for folder in (left, running):
        (folder / "images").mkdir(parents=True)
    remove_left(tmp_path)
    assert (left.exists(), running.exists()) == (False, True)
