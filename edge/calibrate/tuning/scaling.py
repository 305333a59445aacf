"""What more cores give: one process on 1 to all granted cores, and as many processes side by side, measured.

Every process has its own CPUs and its own engine; what shares a row runs at the same time. Rows take turns.
"""

import contextlib
import json
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import cast

import numpy as np

from edge.calibrate.tuning.bench import Parts
from edge.domain.frame import Image
from edge.infer.plan import Plan
from models.bundle import Bundle
from models.cpus import CpuGrant
from models.errors import ModelError

MOST_PROCESSES = 8
_START_S = 60.0
_ANSWER_S = 30.0
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way of using some cores: so many processes, each with its own share of them."""

    cores: int
    processes: int
    plan: Plan

    @property
    def name(self) -> str:
        """For a person."""
        each = f"{self.plan.streams} streams" if self.plan.streams > 1 else f"one stream of {self.plan.threads}"
        return each if self.processes == 1 else f"{self.processes} processes, one core each"


@dataclass(frozen=True, slots=True)
class Scaled:
    """What a way reached: parts per second of all its processes, and the p99 of a part."""

    way: Way
    parts_per_s: float
    p99_ms: float


def ways(grant: CpuGrant, cameras: int, *, tiled: bool) -> list[Way]:
    """Powers of two up to the granted CPUs, and all of them; each as streams, as one stream, as processes. Pure."""
    most = min(len(grant.cpus), grant.threads)
    counts = sorted({*(1 << power for power in range(most.bit_length()) if 1 << power <= most), most})
    found = []
    for count in counts:
        found.append(Way(count, 1, _plan(count, count, cameras, tiled=tiled)))
        if count > 1:
            found.append(Way(count, 1, _plan(count, 1, cameras, tiled=tiled)))
        if 1 < count <= MOST_PROCESSES:
            found.append(Way(count, count, _plan(1, 1, cameras, tiled=tiled)))
    return found


def measure_scaling(
    bundle: Bundle, parts: Parts, grant: CpuGrant, reference: Image | None, seconds: float, rounds: int = 2
) -> list[Scaled]:
    """Run every way in turns, some rounds, in about so many seconds and those that processes take to start.

    Raises:
        ModelError: a process does not start, or does not answer.
    """
    found = ways(grant, len(parts[0]), tiled=bundle.spec.tiling is not None)
    slice_s = max(0.15, seconds / (rounds * len(found)))
    with tempfile.TemporaryDirectory(prefix="edge-tune-") as folder, ExitStack() as stack:
        frames = _write_frames(Path(folder) / "frames.npz", parts, reference)
        crew = _Crew(stack, {"bundle": str(bundle.path), "frames": str(frames), "cameras": len(parts[0])})
        for way in found:
            crew.hire(way, grant.cpus)
        crew.await_ready()
        turns: dict[Way, list[tuple[float, float]]] = {way: [] for way in found}
        for _ in range(rounds):
            for way in found:
                turns[way].append(crew.run(way, grant.cpus, slice_s))
    return [Scaled(way, median(rate for rate, _ in seen), max(ms for _, ms in seen)) for way, seen in turns.items()]


class _Crew:
    """The processes, by the CPUs that each may use."""

    def __init__(self, stack: ExitStack, order: dict[str, object]) -> None:
        self._stack = stack
        self._order = order
        self._workers: dict[tuple[int, ...], subprocess.Popen[str]] = {}

    def hire(self, way: Way, cpus: Sequence[int]) -> None:
        """Start what this way needs and is not there yet."""
        for own in _shares(way, cpus):
            if own not in self._workers:
                self._workers[own] = self._start(own)

    def await_ready(self) -> None:
        """Until all of them are. Raises ModelError."""
        for worker in self._workers.values():
            _answer_of(worker, _START_S)

    def run(self, way: Way, cpus: Sequence[int], seconds: float) -> tuple[float, float]:
        """(parts per second of all, p99 of all in ms). The first time each makes its engine ready, unmeasured."""
        crew = [self._workers[own] for own in _shares(way, cpus)]
        plan = {name: getattr(way.plan, name) for name in ("threads", "streams", "requests", "per_frame")}
        for turn_s in (0.0, seconds):
            for worker in crew:
                _order_to(worker, {"plan": plan, "seconds": turn_s})
            answers = [_answer_of(worker, _ANSWER_S + turn_s) for worker in crew]
        rate = sum(cast("int", said["parts"]) / cast("float", said["seconds"]) for said in answers)
        ordered = sorted(ms for said in answers for ms in cast("list[float]", said["latencies_ms"]))
        return rate, ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]

    def _start(self, cpus: tuple[int, ...]) -> subprocess.Popen[str]:
        order = json.dumps(self._order | {"cpus": cpus})
        worker = subprocess.Popen(
            [sys.executable, "-m", "edge.calibrate.tuning.worker", order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(_end, worker)
        return worker


def _shares(way: Way, cpus: Sequence[int]) -> list[tuple[int, ...]]:
    each = way.cores // way.processes
    return [tuple(cpus[start : start + each]) for start in range(0, way.cores, each)][: way.processes]


def _plan(threads: int, streams: int, cameras: int, *, tiled: bool) -> Plan:
    requests = cameras * (streams + 1) if tiled else max(streams, cameras) + 1
    return Plan(threads, streams, requests, max(1, requests // cameras) if tiled else 1)


def _write_frames(path: Path, parts: Parts, reference: Image | None) -> Path:
    images = [image for part in parts for image in part]
    named = {f"frame-{index}": image for index, image in enumerate(images)}
    np.savez(path, reference=np.zeros(0, np.uint8) if reference is None else reference, **named)  # type: ignore[arg-type]
    return path


def _order_to(worker: "subprocess.Popen[str]", order: dict[str, object]) -> None:
    if worker.stdin is None:
        raise ModelError("scaling: a process takes no orders")
    with contextlib.suppress(BrokenPipeError):  # it has died: its missing answer says so
        worker.stdin.write(json.dumps(order) + "\n")
        worker.stdin.flush()


def _answer_of(worker: "subprocess.Popen[str]", within_s: float) -> dict[str, object]:
    if worker.stdout is None:
        raise ModelError("scaling: a process gives no answers")
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        line = worker.stdout.readline() if selector.select(within_s) else ""
    if not line:
        raise ModelError(f"scaling: a measuring process gave no answer within {within_s:g} s (exit {worker.poll()})")
    return cast("dict[str, object]", json.loads(line))


def _end(worker: "subprocess.Popen[str]") -> None:
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
    try:
        worker.wait(_END_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait(_END_S)
