"""How this machine runs a bundle best for this station: search, rehearse, choose; then what fits the machine.

1. Search: many plans on the model alone, letterboxing included, halving round by round, OpenVINO's own hints beside.
2. Rehearse: the best of them in the whole station's own code; what is chosen is chosen there.
3. Room: parts of 1, 2, 4 ... cameras through that station; and the model on fewer cores, and in processes side by side.

Everything is measured in this process, under the quota it has: what it finds holds where the daemon has the same.
"""

import time
from collections.abc import Mapping

from edge.calibrate.tuning.bench import Bench
from edge.calibrate.tuning.candidates import Contender, candidates, may_run, pinned
from edge.calibrate.tuning.facts import StationFacts, TuneLimits
from edge.calibrate.tuning.planning import Room
from edge.calibrate.tuning.rehearsal import Rehearsal, Staging
from edge.calibrate.tuning.scaling import Scaled, measure_scaling
from edge.calibrate.tuning.search import KEEP, Reading, Tally, choose, in_turns, ranked, search, settle
from edge.calibrate.tuning.tuned import Planning, Tuned
from edge.infer.engine import Engine
from edge.infer.kept_plans import key_of
from models.bundle import Bundle
from models.cpus import CpuGrant, cpu_grant, other_cpu_s
from models.progress import Progress

_SHARES = {"search": 0.35, "rehearse": 0.35, "cameras": 0.12, "cores": 0.18}
_PLANNING = ("cameras", "cores")
_CAMERAS = (1, 2, 4, 8)
_ROUNDS = 5
_LEAST_S = 0.5
_SHORTEST_S, _LONGEST_S = 0.1, 1.5


class _Budget:
    """Shares out the time that is left among the stages to come; each gets a little, however late it is."""

    def __init__(self, until_s: float, *, planning: bool) -> None:
        self._until_s = until_s
        self._left = {name: share for name, share in _SHARES.items() if planning or name not in _PLANNING}

    def seconds(self, stage: str) -> float:
        """For this stage, which comes now."""
        part = self._left[stage] / sum(self._left.values())
        del self._left[stage]
        return max(_LEAST_S, part * (self._until_s - time.monotonic()))


def tune(bundle: Bundle, station: StationFacts, limits: TuneLimits, progress: Progress) -> Tuned:
    """Find the plan for this machine, model and station. Keeps nothing: see `Tuned.keep`.

    Raises:
        ModelError: the bundle cannot be run here.
        StorageError: the data folder cannot be written.
    """
    grant, started_s, others_s = cpu_grant(), time.monotonic(), other_cpu_s()
    clock = _Budget(started_s + limits.seconds, planning=limits.planning)
    with Bench(bundle, station.parts, station.reference) as bench:
        searched, hints = _search(bench, bundle, station, grant, clock.seconds("search"), progress)
        rehearsed = _rehearse(bench, station, searched, hints, clock.seconds("rehearse"), progress)
        eligible = {one: tally for one, tally in rehearsed.items() if may_run(one, grant)}
        chosen = settle(eligible, choose(eligible, station.limit_ms), next(iter(searched)), station.limit_ms)
        rooms = _rooms(bench, station, chosen, clock.seconds("cameras"), progress) if limits.planning else []
    scaled = _scaling(bundle, station, grant, clock.seconds("cores"), progress) if limits.planning else []
    took_s = time.monotonic() - started_s
    return Tuned(
        key_of(bundle, grant, len(station.cameras), station.limit_ms),
        bundle.model_id,
        grant,
        station,
        searched,
        rehearsed,
        hints,
        chosen,
        Planning(rooms, scaled) if limits.planning else None,
        took_s,
        max(0.0, other_cpu_s() - others_s) / took_s,
    )


def _search(
    bench: Bench, bundle: Bundle, station: StationFacts, grant: CpuGrant, seconds: float, progress: Progress
) -> tuple[dict[Contender, Tally], list[Contender]]:
    cameras = len(station.cameras)
    contenders = [Contender(plan) for plan in candidates(grant, cameras, tiled=bundle.spec.tiling is not None)]
    progress.stage("search", len(contenders))
    hints = [bench.hinted("THROUGHPUT", cameras), bench.hinted("LATENCY", cameras)]
    until_s = time.monotonic() + seconds
    seen: set[Contender] = set()

    def measure(contender: Contender, slice_s: float) -> Reading:
        progress.note(contender.name)
        if contender not in seen and contender.hint is None:
            progress.advance()
        seen.add(contender)
        return bench.measure(contender, slice_s)

    return search(contenders, measure, station.limit_ms, until_s, time.monotonic, hints), hints


def _rehearse(
    bench: Bench,
    station: StationFacts,
    searched: Mapping[Contender, Tally],
    hints: list[Contender],
    seconds: float,
    progress: Progress,
) -> dict[Contender, Tally]:
    own = {one: tally for one, tally in searched.items() if one.hint is None}
    best = ranked(own, station.limit_ms)[:KEEP]
    as_hinted = Contender(pinned(hints[0].plan, pinning=False))  # however short the search was, never much worse
    finalists = list(dict.fromkeys([*best, next(iter(own)), as_hinted, Contender(pinned(best[0].plan))]))
    everyone = [*finalists, *hints]
    bench.let_go(everyone)
    progress.stage("rehearse", len(everyone))
    with _rehearsal(station, {one.name: bench.engine(one) for one in everyone}, list(station.cameras)) as rehearsal:

        def measure(contender: Contender, slice_s: float) -> Reading:
            progress.note(contender.name)
            return rehearsal.run(contender.name, slice_s, _in_flight(contender, len(station.cameras)))

        for one in everyone:
            measure(one, 0.0)
            progress.advance()
        slice_s = min(_LONGEST_S, max(_SHORTEST_S, seconds / (_ROUNDS * len(everyone))))
        return in_turns(everyone, measure, 0.0, time.monotonic, slice_s, rounds=_ROUNDS)


def _rooms(bench: Bench, station: StationFacts, chosen: Contender, seconds: float, progress: Progress) -> list[Room]:
    counts = sorted({*_CAMERAS, len(station.cameras)})
    frames = list(station.cameras.values())
    cameras = {f"c-{number}": frames[number % len(frames)] for number in range(counts[-1])}
    most = Contender(chosen.plan.for_cameras(counts[-1], tiled=chosen.plan.per_frame > 1))
    progress.stage("cameras", len(counts))
    rooms = []
    with _rehearsal(station, {"room": bench.engine(most)}, list(cameras)) as rehearsal:
        rehearsal.run("room", 0.0, 2)
        for count in counts:
            progress.note(f"{count} cameras")
            rooms.append(_room(rehearsal, list(cameras)[:count], station.limit_ms, seconds / len(counts)))
            progress.advance()
    return rooms


def _room(rehearsal: Rehearsal, cameras: list[str], limit_ms: float, seconds: float) -> Room:
    """Two parts at once, so that one is looked at while the next one comes; one at a time where that is too late."""
    found = Room(len(cameras), 0.0, 0.0, fits=False)
    for in_flight in (2, 1):
        tally = Tally([rehearsal.run("room", seconds / 2, in_flight, cameras) for _ in range(2)])
        found = Room(len(cameras), tally.parts_per_s, tally.latency_ms(), tally.fits(limit_ms))
        if found.fits:
            break
    return found


def _scaling(
    bundle: Bundle, station: StationFacts, grant: CpuGrant, seconds: float, progress: Progress
) -> list[Scaled]:
    progress.stage("cores", 1)
    return measure_scaling(bundle, station.parts, grant, station.reference, seconds)


def _rehearsal(station: StationFacts, engines: Mapping[str, Engine], cameras: list[str]) -> Rehearsal:
    known = list(station.cameras.values())
    frames = {name: known[index % len(known)] for index, name in enumerate(cameras)}
    return Rehearsal(Staging(station.data_dir, frames, station.recipe, station.images), engines)


def _in_flight(contender: Contender, cameras: int) -> int:
    return max(2, contender.plan.requests // cameras + 1)
