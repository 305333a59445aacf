"""The state of a training run, its one step, and its twin that is only measured."""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, count, islice

import torch
from torch import nn

from models.errors import ModelError
from models.networks.detector import Detector
from models.networks.lite import load_imagenet
from models.networks.weights import read_weights
from models.training.average import Average
from models.training.checkpoint import Checkpoint
from models.training.loss import detection_loss
from models.training.pictures import Batch, Gallery, epoch_batches, steps_per_epoch
from models.training.settings import Settings
from models.training.threads import StepSettings

_WARM_UP_STEPS = 200
_LAST_RATE = 0.02
_CLIP = 10.0
_PLAIN_TAIL = 0.85
_UNTIMED = 4  # more than are made ahead: they lie ready when time starts
_TIMED = 8


class Run:
    """Where a run stands.

    Args:
        gallery: the pictures to learn from.
        settings: what to compute.
        start: the network to begin with; None takes a fresh one with ImageNet's weights.
    """

    def __init__(self, gallery: Gallery, settings: Settings, start: nn.Module | None) -> None:
        self.gallery, self.settings = gallery, settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = laid_out(_begin(settings, start).to(self.device), torch.channels_last)
        self.average = Average(self.network)
        self.optimizer = _optimizer(self.network, settings)
        self.arithmetic = StepSettings(torch.get_num_threads(), bf16=False)
        self.per_epoch = steps_per_epoch(len(gallery), settings.batch)
        self.steps, self.step, self.seconds = self.per_epoch * settings.epochs, 0, 0.0
        self.history: list[dict[str, float]] = []
        self._sums = [0.0, 0.0]

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
            self.settings.digest, self.step, network, average, optimizer, self.seconds, self.history, self._sums
        )

    def rest_of_epoch(self) -> Iterator[Batch]:
        """The batches of this epoch that are still to come."""
        epoch, done = divmod(self.step, self.per_epoch)
        plain = epoch >= _PLAIN_TAIL * self.settings.epochs
        mosaic = 0.0 if plain else self.settings.mosaic
        feeding = self.settings.feeding(mosaic)
        return epoch_batches(self.gallery, feeding, epoch, done, ahead=self.arithmetic.ahead)

    def learn(self, batch: Batch) -> None:
        """One step.

        Raises:
            ModelError: the loss is not finite.
        """
        started_s = time.monotonic()
        self._set_rate()
        losses = self._losses(batch)
        self.optimizer.zero_grad(set_to_none=True)
        (losses[0] + losses[1]).backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
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
        class_loss, box_loss = (total / self.per_epoch for total in self._sums)
        rate = self.optimizer.param_groups[0]["lr"]
        row = {"class_loss": class_loss, "box_loss": box_loss, "loss": class_loss + box_loss, "rate": rate}
        self.history.append({**row, "step": float(self.step), "seconds": self.seconds})
        self._sums = [0.0, 0.0]

    def _losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = batch.pixels.to(self.device, memory_format=torch.channels_last)
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.arithmetic.bf16):
            logits, sides = self.network(pixels)
        return detection_loss(logits, sides, batch.truth.to(self.device), *pixels.shape[2:])

    def _set_rate(self) -> None:
        """Up in a straight line, down along a cosine."""
        warm = min(1.0, (self.step + 1) / min(_WARM_UP_STEPS, max(1, self.steps // 10)))
        fall = 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * warm * (_LAST_RATE + (1 - _LAST_RATE) * fall)


class Twin:
    """A run that is only measured, as a `Trial` is: it forgets where it stands after every step."""

    def __init__(self, run: Run) -> None:
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
        run, ahead = self._run, self._run.arithmetic.ahead
        feeding = run.settings.feeding(run.settings.mosaic)
        epochs = (epoch_batches(run.gallery, feeding, epoch, ahead=ahead) for epoch in count())
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


def _begin(settings: Settings, start: nn.Module | None) -> nn.Module:
    """A copy of the start, or a fresh network; the seed decides its new layers."""
    torch.manual_seed(settings.seed)
    if start is not None:
        return copy.deepcopy(start)
    detector = Detector(settings.shape)
    load_imagenet(detector.backbone, read_weights(), settings.shape.image_channels)
    return detector


def _optimizer(network: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    kernels = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)
