"""`cloud tune`: default against tuned, the thread table, cores against time, jobs side by side; all of it measured.

Short measurements stop in mid-epoch and are scaled to a whole one, which the result says; default and tuned are whole
epochs, each with its accuracy, so that no speed comes from work left undone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models.cpus import granted_cpus, has_bf16
from models.errors import ModelError
from models.progress import Progress
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
        shown_cpus: threads of the oversubscribed default: what a machine might show beyond what it grants.
    """

    folder: Path = FOLDER
    limit_s: float = 4.0
    shown_cpus: int = _OVERSUBSCRIBED


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: seconds of an epoch, images a second, and how busy the granted cores were, 0 to 1."""

    label: str
    threads: int
    bf16: bool
    cores: int
    jobs: int
    epoch_s: float
    images_per_s: float
    busy: float


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
    progress.stage("threads", len(counts) * len(kinds) + 1)
    threads = tuple(bench.short(f"{n} threads", Job(bench.folder, n, kind)) for n in counts for kind in kinds)
    shown = bench.short(f"{request.shown_cpus} threads", Job(bench.folder, request.shown_cpus))
    best = min((row for row in threads if row.threads <= bench.cpus), key=lambda row: row.epoch_s)
    progress.stage("whole epochs", 2)
    default, default_accuracy = bench.whole("default", Job(bench.folder))
    tuned, tuned_accuracy = bench.whole("tuned", Job(bench.folder, best.threads, best.bf16))
    cores, jobs = _cores(bench, best), _jobs(bench, best)
    accuracy = default_accuracy, tuned_accuracy
    return Showcase(images, bench.cpus, default, tuned, accuracy, shown, threads, cores, jobs)


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

    def short(self, label: str, job: Job) -> Row:
        """A share of an epoch."""
        (timing,) = self._run([job], self.request.limit_s)
        return self._row(label, job, [timing])

    def whole(self, label: str, job: Job) -> tuple[Row, float]:
        """An epoch and its accuracy."""
        (timing,) = self._run([job], 0.0)
        return self._row(label, job, [timing]), float(timing.accuracy or 0.0)

    def beside(self, label: str, jobs: Sequence[Job]) -> Row:
        """A share of an epoch of each of these jobs, all at once."""
        return self._row(label, jobs[0], self._run(jobs, self.request.limit_s))

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

    def _row(self, label: str, job: Job, timings: list[Timing]) -> Row:
        pace = sum(timing.images / timing.seconds for timing in timings)
        own = len(job.cores) or self.cpus
        busy = sum(timing.cpu_seconds / timing.seconds for timing in timings) / (own * len(timings))
        epoch_s = max(timing.epoch_s(self.images) for timing in timings)
        return Row(label, timings[0].threads, job.bf16, own, len(timings), epoch_s, pace, min(1.0, busy))


def _timing(child: "subprocess.Popen[str]") -> Timing:
    try:
        answer, _ = child.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as fault:
        raise ModelError(f"tune: a measuring process took longer than {_TIMEOUT_S:g} s") from fault
    if child.returncode:
        raise ModelError(f"tune: a measuring process ended with code {child.returncode}: see its words above")
    return Timing(**json.loads(answer))


def _cores(bench: _Bench, best: Row) -> tuple[Row, ...]:
    """The tuned arithmetic on 1, 2, 4 ... cores, a thread each."""
    counts = _powers(bench.cpus)
    bench.progress.stage("cores", len(counts))
    return tuple(
        bench.short(f"{count} cores", Job(bench.folder, count, best.bf16, bench.cores[:count])) for count in counts
    )


def _jobs(bench: _Bench, best: Row) -> tuple[Row, ...]:
    """As many jobs as fit side by side, for each number of cores a job."""
    counts = _powers(bench.cpus)
    bench.progress.stage("jobs", len(counts))
    rows = []
    for own in counts:
        shares = [bench.cores[start : start + own] for start in range(0, bench.cpus - own + 1, own)]
        jobs = [Job(bench.folder, own, best.bf16, share) for share in shares]
        rows.append(bench.beside(f"{len(jobs)} jobs of {own} cores", jobs))
    return tuple(rows)


def _powers(cpus: int) -> list[int]:
    return sorted({*(2**power for power in range(cpus.bit_length()) if 2**power <= cpus), cpus})
