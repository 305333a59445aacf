"""The state of a training run, its one step, and its twin that is only measured."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, count, islice
from typing import Any, Generic

import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.training.average import Average
from models.training.checkpoint import Checkpoint
from models.training.lesson import Batch, Lesson
from models.training.threads import StepSettings

_WARM_UP_STEPS = 200
_LAST_RATE = 0.02
_CLIP = 10.0
_UNTIMED = 4  # more than are made ahead: they lie ready when time starts
_TIMED = 8


class Run(Generic[Batch]):
    """Where a run stands.

    Args:
        lesson: what is learned.
    """

    def __init__(self, lesson: Lesson[Batch]) -> None:
        self.lesson, self.course = lesson, lesson.course
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = laid_out(lesson.begin().to(self.device), torch.channels_last)
        self.average = Average(self.network)
        self.optimizer = torch.optim.AdamW(lesson.groups(self.network))
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.arithmetic = StepSettings(torch.get_num_threads(), bf16=False)
        self.per_epoch = self.course.per_epoch
        self.steps, self.step, self.seconds = self.per_epoch * self.course.epochs, 0, 0.0
        self.history: list[dict[str, float]] = []
        self._sums = [0.0] * len(self.course.losses)

    def apply(self, arithmetic: StepSettings) -> None:
        """Use these threads, and BF16 or not, from now on."""
        self.arithmetic = arithmetic
        torch.set_num_threads(arithmetic.threads)

    def restore(self, last: Checkpoint) -> None:
        """Stand where the checkpoint stands."""
        self.network.load_state_dict(last.network)
        self.average.network.load_state_dict(last.average)
        self.optimizer.load_state_dict(last.optimizer)
        self.step, self.seconds, self.history = last.step, last.seconds, last.history
        self._sums = list(last.sums)

    def checkpoint(self) -> Checkpoint:
        """Where the run stands."""
        network, average, optimizer = (
            part.state_dict() for part in (self.network, self.average.network, self.optimizer)
        )
        return Checkpoint(
            self.course.digest, self.step, network, average, optimizer, self.seconds, self.history, self._sums
        )

    def rest_of_epoch(self) -> Iterator[Batch]:
        """The batches of this epoch that are still to come."""
        epoch, done = divmod(self.step, self.per_epoch)
        return self.lesson.batches(epoch, done, ahead=self.arithmetic.ahead)

    def learn(self, batch: Batch) -> None:
        """One step.

        Raises:
            ModelError: the loss is not finite.
        """
        started_s = time.monotonic()
        self._set_rate()
        self.network.train()
        losses = self.lesson.losses(self._forward, batch)
        self.optimizer.zero_grad(set_to_none=True)
        sum(losses[1:], losses[0]).backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        self.step += 1
        self.average.follow(self.network, self.step)
        values = [float(loss.detach()) for loss in losses]
        if not all(math.isfinite(value) for value in values):
            raise ModelError(f"training: the loss is {values} at step {self.step}: lower the learning rate")
        self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]
        self.seconds += time.monotonic() - started_s

    def end_epoch(self) -> None:
        """Write the epoch's row."""
        means = [total / self.per_epoch for total in self._sums]
        row = dict(zip(self.course.losses, means, strict=True)) | {"loss": sum(means)}
        rate = self.optimizer.param_groups[0]["lr"]
        self.history.append({**row, "rate": rate, "step": float(self.step), "seconds": self.seconds})
        self._sums = [0.0] * len(self._sums)

    def _forward(self, pixels: Tensor) -> Any:  # noqa: ANN401 - the lesson knows what its network answers
        placed = pixels.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.arithmetic.bf16):
            return self.network(placed)

    def _set_rate(self) -> None:
        """Up in a straight line, down along a cosine."""
        warm = min(1.0, (self.step + 1) / min(_WARM_UP_STEPS, max(1, self.steps // 10)))
        fall = 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * warm * (_LAST_RATE + (1 - _LAST_RATE) * fall)


class Twin(Generic[Batch]):
    """A run that is only measured, as a `Trial` is: it forgets where it stands after every step."""

    def __init__(self, run: Run[Batch]) -> None:
        self._run = run
        self._batch = list(self._batches())[-1]  # reads the pictures that are timed, as a run's first epoch does once

    def step(self, bf16: bool) -> None:  # noqa: FBT001 - the measured thing
        """Learn from one batch that lies ready."""
        self._run.arithmetic = replace(self._run.arithmetic, bf16=bf16)
        self._learn(self._batch)

    def pace_s(self, how: StepSettings) -> float:
        """Seconds per step with the making of its pictures, run so; the first steps do not count."""
        self._run.apply(how)
        batches = self._batches()
        for batch in islice(batches, _UNTIMED):
            self._learn(batch)
        started_s = time.perf_counter()
        for batch in batches:
            self._learn(batch)
        return (time.perf_counter() - started_s) / _TIMED

    def _batches(self) -> Iterator[Batch]:
        run = self._run
        epochs = (run.lesson.batches(epoch, ahead=run.arithmetic.ahead) for epoch in count())
        return islice(chain.from_iterable(epochs), _UNTIMED + _TIMED)

    def _learn(self, batch: Batch) -> None:
        self._run.learn(batch)
        self._run.step = 0


def laid_out(network: nn.Module, how: torch.memory_format) -> nn.Module:
    """The same network with its kernels in this order in memory."""
    for value in network.parameters():
        if value.ndim == 4:  # noqa: PLR2004 - a kernel
            value.data = value.data.contiguous(memory_format=how)
    return network
