"""`cloud tune`: default against tuned, the thread table, cores against time, jobs side by side; all of it measured.

Short measurements stop in mid-epoch and are scaled to a whole one, which the result says; default and tuned are whole
epochs, each with its accuracy, so that no speed comes from work left undone. What is compared is measured in turn,
round after round, and medians are compared: what else runs on the machine meets all of it alike.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from models.cpus import granted_cpus, has_bf16
from models.errors import ModelError
from models.progress import Progress
from models.training.threads import StepSettings, ThreadTable, choose
from models.training.tune.epoch import Job, Timing
from models.training.tune.fashion import FOLDER, read_fashion

_TIMEOUT_S = 1800.0
_OVERSUBSCRIBED = 48


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """What to measure with.

    Args:
        folder: of Fashion-MNIST.
        limit_s: of each short measurement.
        rounds: how often each is measured.
        shown_cpus: threads of the oversubscribed default: what a machine might show beyond what it grants.
    """

    folder: Path = FOLDER
    limit_s: float = 3.0
    rounds: int = 3
    shown_cpus: int = _OVERSUBSCRIBED


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: medians of its rounds.

    Args:
        label: what was run.
        threads: of each job.
        bf16: whether matrix work was done in BF16.
        cores: granted to each job.
        jobs: side by side.
        epoch_s: seconds of an epoch, of the slowest job.
        images_per_s: of all jobs together.
        busy: how much of the granted cores was used, 0 to 1.
        rounds_s: `epoch_s` of each round.
    """

    label: str
    threads: int
    bf16: bool
    cores: int
    jobs: int
    epoch_s: float
    images_per_s: float
    busy: float
    rounds_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Showcase:
    """All that was measured.

    Args:
        images: of an epoch.
        cpus: granted to this process.
        default: torch's own choice, a whole epoch.
        tuned: the choice by measuring, a whole epoch.
        accuracy: of default and tuned after their epoch.
        oversubscribed: the default of a machine that shows more CPUs than it grants.
        threads: by thread count, FP32 and where the CPU has it BF16.
        cores: by cores granted, the tuned arithmetic.
        jobs: ways to share the machine among jobs.
    """

    images: int
    cpus: int
    default: Row
    tuned: Row
    accuracy: tuple[float, float]
    oversubscribed: Row
    threads: tuple[Row, ...]
    cores: tuple[Row, ...]
    jobs: tuple[Row, ...]

    @property
    def best_jobs(self) -> Row:
        """The sharing with the most images a second."""
        return max(self.jobs, key=lambda row: row.images_per_s)

    @property
    def bf16_factor(self) -> float | None:
        """How many times faster BF16 is than FP32 with the tuned threads; None where the CPU has none."""
        same = {row.bf16: row.epoch_s for row in self.threads if row.threads == self.tuned.threads}
        return same[False] / same[True] if True in same else None

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        plain = asdict(self)
        return plain | {
            "speedup_over_default": self.default.epoch_s / self.tuned.epoch_s,
            "speedup_over_oversubscribed": self.oversubscribed.epoch_s / self.tuned.epoch_s,
            "bf16_factor": self.bf16_factor,
            "best_jobs": asdict(self.best_jobs),
            "scaled_to_an_epoch_from_seconds": "threads, cores, jobs and oversubscribed were stopped in mid-epoch",
        }


def measure(request: TuneRequest, progress: Progress) -> Showcase:
    """Measure everything, one process at a time but for the jobs side by side.

    Raises:
        DatasetError: Fashion-MNIST is not there or damaged.
        ModelError: a measuring process failed or took longer than half an hour.
    """
    images = len(read_fashion(request.folder).train_labels)
    bench = _Bench(request, images, tuple(sorted(os.sched_getaffinity(0)))[: granted_cpus()], progress)
    kinds = [False, True] if has_bf16() else [False]
    counts = sorted({1, *(2**power for power in range(8) if 2**power < bench.cpus), bench.cpus, 2 * bench.cpus})
    tried = [StepSettings(count, kind) for count in counts for kind in kinds]
    *threads, shown = bench.rows(
        "threads",
        [(f"{key.threads} threads", [bench.job(key)]) for key in tried]
        + [(f"{request.shown_cpus} threads", [Job(bench.folder, request.shown_cpus)])],
    )
    granted = {key: list(row.rounds_s) for key, row in zip(tried, threads, strict=True) if key.threads <= bench.cpus}
    best = choose(ThreadTable(granted))
    whole, accuracy = bench.whole([("default", Job(bench.folder)), ("tuned", bench.job(best))])
    cores, jobs = _cores(bench, best), _jobs(bench, best)
    return Showcase(images, bench.cpus, whole[0], whole[1], accuracy, shown, tuple(threads), cores, jobs)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Runs jobs and makes rows of them."""

    request: TuneRequest
    images: int
    cores: tuple[int, ...]
    progress: Progress

    @property
    def folder(self) -> str:
        return str(self.request.folder)

    @property
    def cpus(self) -> int:
        return len(self.cores)

    def job(self, key: StepSettings, cores: tuple[int, ...] = ()) -> Job:
        """One job of these settings."""
        return Job(self.folder, key.threads, key.bf16, cores)

    def rows(self, stage: str, entries: Sequence[tuple[str, Sequence[Job]]]) -> tuple[Row, ...]:
        """Shares of an epoch; jobs of one entry run side by side, entries in turn."""
        return tuple(row for row, _ in self._measured(stage, entries, self.request.limit_s))

    def whole(self, entries: Sequence[tuple[str, Job]]) -> tuple[list[Row], tuple[float, float]]:
        """Whole epochs of two jobs, and their accuracies."""
        found = self._measured("whole epochs", [(label, [job]) for label, job in entries], 0.0)
        first, second = (float(timings[0].accuracy or 0.0) for _, timings in found)
        return [row for row, _ in found], (first, second)

    def _measured(
        self, stage: str, entries: Sequence[tuple[str, Sequence[Job]]], limit_s: float
    ) -> list[tuple[Row, list[Timing]]]:
        self.progress.stage(stage, len(entries) * self.request.rounds)
        rounds = [[self._run(jobs, limit_s) for _, jobs in entries] for _ in range(self.request.rounds)]
        columns = zip(*rounds, strict=True)
        return [
            (self._row(label, jobs[0], column), column[0])
            for (label, jobs), column in zip(entries, columns, strict=True)
        ]

    def _run(self, jobs: Sequence[Job], limit_s: float) -> list[Timing]:
        words = [sys.executable, "-m", "models.training.tune.epoch"]
        started = [
            subprocess.Popen(
                [*words, json.dumps(asdict(job) | {"limit_s": limit_s})], stdout=subprocess.PIPE, text=True
            )
            for job in jobs
        ]
        try:
            timings = [_timing(child) for child in started]
        finally:
            for child in started:
                child.kill()
                child.communicate()
        self.progress.advance()
        return timings

    def _row(self, label: str, job: Job, rounds: Sequence[list[Timing]]) -> Row:
        own = len(job.cores) or self.cpus
        epochs = tuple(max(timing.epoch_s(self.images) for timing in timings) for timings in rounds)
        pace = median(sum(timing.images / timing.seconds for timing in timings) for timings in rounds)
        used = median(sum(t.cpu_seconds / t.seconds for t in timings) / len(timings) for timings in rounds)
        first = rounds[0]
        return Row(
            label, first[0].threads, job.bf16, own, len(first), median(epochs), pace, min(1.0, used / own), epochs
        )


def _timing(child: "subprocess.Popen[str]") -> Timing:
    try:
        answer, _ = child.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as fault:
        raise ModelError(f"tune: a measuring process took longer than {_TIMEOUT_S:g} s") from fault
    if child.returncode:
        raise ModelError(f"tune: a measuring process ended with code {child.returncode}: see its words above")
    return Timing(**json.loads(answer))


def _cores(bench: _Bench, best: StepSettings) -> tuple[Row, ...]:
    """The tuned arithmetic on 1, 2, 4 ... cores, a thread each."""
    counts = _powers(bench.cpus)
    keys = {count: replace(best, threads=count) for count in counts}
    return bench.rows("cores", [(f"{count} cores", [bench.job(keys[count], bench.cores[:count])]) for count in counts])


def _jobs(bench: _Bench, best: StepSettings) -> tuple[Row, ...]:
    """As many jobs as fit side by side, for each number of cores a job."""
    entries = []
    for own in _powers(bench.cpus):
        shares = [bench.cores[start : start + own] for start in range(0, bench.cpus - own + 1, own)]
        key = replace(best, threads=own)
        entries.append((f"{len(shares)} jobs of {own} cores", [bench.job(key, share) for share in shares]))
    return bench.rows("jobs", entries)


def _powers(cpus: int) -> list[int]:
    return sorted({*(2**power for power in range(cpus.bit_length()) if 2**power <= cpus), cpus})
