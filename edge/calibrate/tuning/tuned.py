"""What tuning found, and how it is told: kept, as JSON, as rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from edge.calibrate.tuning.candidates import Contender
from edge.calibrate.tuning.facts import StationFacts
from edge.calibrate.tuning.planning import Room, beyond
from edge.calibrate.tuning.scaling import Scaled
from edge.calibrate.tuning.search import Tally, ratio
from edge.infer.kept_plans import PlanKey, keep_plan
from edge.infer.plan import Plan
from models.cpus import CpuGrant
from models.spec import ModelId

_BUSY = 0.15
Row = tuple[str, str, str, str, str, str]
HEAD = ("plan", "parts/s", "p50 ms", "p99 ms", "CPU ms/part", "in time")


@dataclass(frozen=True, slots=True)
class Planning:
    """What fits the machine: rooms by number of cameras, and the model's speed by number of cores."""

    rooms: Sequence[Room]
    scaled: Sequence[Scaled]

    def as_json(self) -> dict[str, object]:
        """Plain values; what is reckoned is under `beyond` with its basis."""
        guesses, basis = beyond(self.scaled)
        return {
            "cameras": [room.as_json() for room in self.rooms],
            "cores": [
                {
                    "cores": one.way.cores,
                    "processes": one.way.processes,
                    "streams": one.way.plan.streams,
                    "way": one.way.name,
                    "parts_per_s": round(one.parts_per_s, 2),
                    "p99_ms": round(one.p99_ms, 2),
                }
                for one in self.scaled
            ],
            "beyond": {"measured": False, "basis": basis, "times": [asdict(guess) for guess in guesses]},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """What was measured, and the plan that is best.

    Args:
        key: what the plan holds for.
        model: the bundle that ran.
        grant: the CPUs there were.
        station: what was measured with.
        searched: the model alone, letterboxing included.
        rehearsed: the finalists and the hints in the whole station.
        hints: OpenVINO's own, THROUGHPUT first.
        chosen: the best of the finalists.
        planning: what fits the machine, if it was asked for.
        seconds: it took.
        others_cpus: CPUs that other work on the machine took meanwhile.
    """

    key: PlanKey
    model: ModelId
    grant: CpuGrant
    station: StationFacts
    searched: Mapping[Contender, Tally]
    rehearsed: Mapping[Contender, Tally]
    hints: Sequence[Contender]
    chosen: Contender
    planning: Planning | None
    seconds: float
    others_cpus: float

    @property
    def plan(self) -> Plan:
        """The best plan."""
        return replace(self.chosen.plan, origin="tuned", why="tuned for this machine, model and cameras")

    @property
    def default(self) -> Contender:
        """What the station would do untuned."""
        return next(iter(self.searched))

    @property
    def parts_per_s(self) -> float:
        """What the whole station did with the plan."""
        return self.rehearsed[self.chosen].parts_per_s

    @property
    def fits(self) -> bool:
        """Whether that was within the time limit."""
        return self.rehearsed[self.chosen].fits(self.station.limit_ms)

    @property
    def ratios(self) -> dict[str, float]:
        """Times the parts per second of the whole station, over the default and each hint; and of the model alone."""
        found = {"default": ratio(self.rehearsed, self.chosen, self.default)}
        for one in self.hints:
            found[f"{one.hint}"] = ratio(self.rehearsed, self.chosen, one)
            if one in self.searched and self.chosen in self.searched:
                alone = self.searched[self.chosen].parts_per_s / self.searched[one].parts_per_s
                found[f"{one.hint}, model alone"] = alone
        return {name: round(times, 3) for name, times in found.items()}

    @property
    def compared(self) -> str:
        """The ratios of the whole station, in words."""
        names = {"default": "the default", **{f"{one.hint}": f"OpenVINO's {one.hint} hint" for one in self.hints}}
        return ", ".join(f"{self.ratios[key]:.2f} times {name}" for key, name in names.items())

    @property
    def notes(self) -> list[str]:
        """What a reader must know before believing the figures."""
        found = [f"frames: {self.station.frames_from}"]
        if not self.fits:
            late_ms = self.rehearsed[self.chosen].latency_ms()
            found.append(f"no plan holds {self.station.limit_ms:g} ms: the best has a p99 of {late_ms:.0f} ms")
        if self.others_cpus > _BUSY:
            found.append(f"other work took {self.others_cpus:.1f} CPUs meanwhile: figures are low, ratios less exact")
        fixed = [name for name in ("threads", "streams", "requests") if getattr(self.station.inference, name)]
        if fixed:
            found.append(
                f"station.toml sets inference.{', inference.'.join(fixed)}, which wins: 0 leaves it to the plan"
            )
        return found

    def keep(self, at: datetime) -> Path:
        """Keep the plan for the daemon's next start. Raises StorageError."""
        return keep_plan(self.station.plans_dir, self.key, self.plan, self.parts_per_s, at)

    def rows(self, tallies: Mapping[Contender, Tally]) -> list[Row]:
        """For a table under `HEAD`: the fastest first, hints last."""
        order = sorted(tallies, key=lambda one: (one.hint is not None, -tallies[one].parts_per_s))
        return [self._row(one, tallies[one]) for one in order]

    def _row(self, one: Contender, tally: Tally) -> Row:
        marks = [word for word, holds in (("best", one == self.chosen), ("default", one == self.default)) if holds]
        name = " ".join([one.name, *(f"({mark})" for mark in marks)])
        figures = (tally.parts_per_s, tally.latency_ms(0.5), tally.latency_ms(), tally.cpu_ms)
        rate, p50, p99, cpu = (f"{figure:.1f}" for figure in figures)
        return name, rate, p50, p99, cpu, "yes" if tally.fits(self.station.limit_ms) else "no"

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json` and the report beside it."""
        return {
            "plan": self.plan.as_json(),
            "key": asdict(self.key),
            "model": asdict(self.model),
            "machine": str(self.grant),
            "limit_ms": self.station.limit_ms,
            "cameras": len(self.station.cameras),
            "parts_per_s": round(self.parts_per_s, 2),
            "fits": self.fits,
            "ratios": self.ratios,
            "rehearsed": self._listed(self.rehearsed),
            "searched": self._listed(self.searched),
            "planning": None if self.planning is None else self.planning.as_json(),
            "notes": self.notes,
            "seconds": round(self.seconds, 1),
            "others_cpus": round(self.others_cpus, 2),
        }

    def _listed(self, tallies: Mapping[Contender, Tally]) -> list[dict[str, object]]:
        return [
            one.as_json()
            | {
                "parts_per_s": round(tally.parts_per_s, 2),
                "p50_ms": round(tally.latency_ms(0.5), 2),
                "p99_ms": round(tally.latency_ms(), 2),
                "cpu_ms": round(tally.cpu_ms, 2),
                "fits": tally.fits(self.station.limit_ms),
                "chosen": one == self.chosen,
                "default": one == self.default,
            }
            for one, tally in tallies.items()
        ]
