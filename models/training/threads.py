"""Threads and BF16 of a training step, and who makes its pictures, chosen by measuring that very step on this machine.

A default takes what the machine shows; under a quota, or beside other jobs, that can be dozens of times slower. So each
setting is timed in turn, round after round, and medians are compared: what else runs here meets all of them alike.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Protocol

import torch

from models.cpus import granted_cpus, has_bf16

_NEAR = 1.03
_ROUNDS = 5
_PACES = 2


@dataclass(frozen=True, slots=True, order=True)
class StepSettings:
    """How training steps run.

    Args:
        threads: inside an operation.
        bf16: whether matrix work is done in BF16.
        ahead: whether the next pictures are made meanwhile on one thread more, which only pays where a core is free.
    """

    threads: int
    bf16: bool
    ahead: bool = False


class Trial(Protocol):
    """A real training step that changes nothing, to be timed."""

    def step(self, bf16: bool) -> object:  # noqa: FBT001 - the measured thing
        """Learn from one batch that lies ready."""
        ...

    def pace_s(self, how: StepSettings) -> float:
        """Seconds per step with the making of its pictures, run so."""
        ...


@dataclass(frozen=True, slots=True)
class ThreadTable:
    """Seconds of each measured step, by setting."""

    seconds: dict[StepSettings, list[float]] = field(default_factory=dict)

    def median_s(self, settings: StepSettings) -> float:
        """The setting's step, in seconds."""
        return median(self.seconds[settings])

    def rows(self) -> list[dict[str, float | int | bool]]:
        """For a table: threads, bf16, seconds per step."""
        return [
            {"threads": key.threads, "bf16": key.bf16, "step_s": round(self.median_s(key), 5)} for key in self.seconds
        ]


def candidates(cpus: int | None = None, *, bf16: bool | None = None) -> list[StepSettings]:
    """Powers of two up to the CPUs that are granted, and all of them; BF16 where the CPU has it."""
    granted = cpus or granted_cpus()
    counts = sorted({*(2**power for power in range(granted.bit_length()) if 2**power <= granted), granted})
    kinds = [False, True] if (has_bf16() if bf16 is None else bf16) else [False]
    return [StepSettings(count, kind) for count in counts for kind in kinds]


def measure_steps(
    step: Callable[[bool], object], settings: Sequence[StepSettings], limit_s: float = 20.0, rounds: int = _ROUNDS
) -> ThreadTable:
    """Time a step under each setting, in turn, for some rounds or until the time is spent (two rounds at least).

    Each turn starts with a step that does not count: the first one after another thread count is slower.

    Args:
        step: does one real training step, in BF16 if told so.
        settings: to try; torch's thread count is put back afterwards.
        limit_s: after which no new round starts.
        rounds: at most.
    """
    before, started_s = torch.get_num_threads(), time.monotonic()
    table = ThreadTable({key: [] for key in settings})
    try:
        for turn in range(rounds):
            for key in settings:
                _timed(step, key)
                table.seconds[key].append(_timed(step, key))
            if turn > 0 and time.monotonic() - started_s > limit_s:
                break
    finally:
        torch.set_num_threads(before)
    return table


def choose(table: ThreadTable) -> StepSettings:
    """The fastest; of those within 3 % of it, the one with the fewest threads, in FP32 if that is among them."""
    best_s = min(table.median_s(key) for key in table.seconds)
    return min(key for key in table.seconds if table.median_s(key) <= _NEAR * best_s)


def choose_by_measuring(trial: Trial) -> tuple[StepSettings, float]:
    """What the trainer does by itself before its first step: how to run steps, and the seconds one takes then.

    The seconds count the making of the pictures in. On a GPU only BF16 and the making are to be chosen.
    """
    settings = candidates()
    if torch.cuda.is_available():
        settings = [StepSettings(torch.get_num_threads(), torch.cuda.is_bf16_supported())]
    chosen = choose(measure_steps(trial.step, settings))
    ways = [replace(chosen, ahead=ahead) for ahead in (False, True)]
    paces: dict[StepSettings, list[float]] = {how: [] for how in ways}
    for _ in range(_PACES):
        for how in ways:
            paces[how].append(trial.pace_s(how))
    best = min(ways, key=lambda how: sum(paces[how]))
    return best, sum(paces[best]) / _PACES


def _timed(step: Callable[[bool], object], settings: StepSettings) -> float:
    torch.set_num_threads(settings.threads)
    started_s = time.perf_counter()
    step(settings.bf16)
    return time.perf_counter() - started_s
