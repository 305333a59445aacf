"""A detector's training, top-down: settings, first weights, the last checkpoint, steps, checkpoints, the average.

What a run computes follows from its settings and data alone; threads and BF16 are chosen by measuring the real step
before the first one and kept with the run. Killed anywhere, it goes on from its last checkpoint, and on one thread it
ends with the very same weights.
"""

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain, count, islice
from pathlib import Path

import torch
from torch import nn

from models.bundle import sync_directory
from models.errors import ModelError
from models.networks.detector import Detector
from models.networks.lite import load_imagenet
from models.networks.weights import read_weights
from models.progress import Progress
from models.training.average import Average
from models.training.checkpoint import Checkpoint, load, save
from models.training.loss import detection_loss
from models.training.memory import keep_freed_memory
from models.training.pictures import Batch, Gallery, epoch_batches, steps_per_epoch
from models.training.settings import Settings
from models.training.threads import StepSettings, Trial, choose_by_measuring

_WARM_UP_STEPS = 200
_LAST_RATE = 0.02
_CLIP = 10.0
_PLAIN_TAIL = 0.85
_UNTIMED = 4  # more than are made ahead: they lie ready when time starts
_TIMED = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run's first start settled.

    Args:
        arithmetic: how its steps run.
        step_s: seconds of one step, its pictures' making counted in, as measured; 0 if it was not.
        epochs: that will be run.
    """

    arithmetic: StepSettings
    step_s: float
    epochs: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run leaves.

    Args:
        network: the averaged one, in evaluation mode, on the CPU.
        settings: it was made by.
        plan: how it was run.
        history: one row per epoch: losses, learning rate, seconds.
        seconds: of all its steps, earlier tries counted in.
    """

    network: nn.Module
    settings: Settings
    plan: Plan
    history: list[dict[str, float]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Means:
    """What a run is given beside its settings.

    Args:
        folder: the run's own: checkpoint and plan; made if missing.
        progress: told of every step.
        choose: measures a real training step: how to run them, and its seconds.
        minutes: the run takes no more than about this long; its epochs are cut to fit. None: no limit.
        save_every_s: between checkpoints.
    """

    folder: Path
    progress: Progress
    choose: Callable[[Trial], tuple[StepSettings, float]] = choose_by_measuring
    minutes: float | None = None
    save_every_s: float = 30.0


def train_detector(gallery: Gallery, settings: Settings, means: Means, start: nn.Module | None = None) -> Trained:
    """Train, or go on where the folder's checkpoint stands.

    Args:
        gallery: the pictures to learn from.
        settings: what to compute; fewer epochs if the minutes do not allow them.
        means: where and how.
        start: the network to begin with; None takes a fresh one with ImageNet's weights.

    Raises:
        ModelError: a picture or the checkpoint cannot be read, or the loss is no number any more.
    """
    torch.set_flush_denormal(True)
    keep_freed_memory()
    plan = _plan(gallery, settings, means, start)
    settings = replace(settings, epochs=plan.epochs)
    means = replace(means, folder=means.folder / settings.digest[:12])
    run = _Run(gallery, settings, start)
    run.apply(plan.arithmetic)
    last = load(means.folder, settings.digest)
    if last is not None:
        run.restore(last)
    means.progress.stage("train", run.steps)
    means.progress.advance(run.step)
    _go_on(run, means)
    return Trained(
        laid_out(run.average.network.to("cpu"), torch.contiguous_format), settings, plan, run.history, run.seconds
    )


def _go_on(run: "_Run", means: Means) -> None:
    """The remaining steps, with a checkpoint every half minute and at the end."""
    saved_s = time.monotonic()
    while run.step < run.steps:
        for batch in run.rest_of_epoch():
            run.learn(batch)
            if run.step % run.per_epoch == 0:
                run.end_epoch()
                means.progress.note(f"loss {run.history[-1]['loss']:.3f}")
            if time.monotonic() - saved_s > means.save_every_s:
                save(means.folder, run.checkpoint())
                saved_s = time.monotonic()
            means.progress.advance()
    save(means.folder, run.checkpoint())


def _plan(gallery: Gallery, settings: Settings, means: Means, start: nn.Module | None) -> Plan:
    """As the run's first start measured and settled it."""
    path = means.folder / f"plan-{settings.digest[:12]}-{means.minutes}.json"
    if (held := _held(path)) is not None:
        return held
    means.progress.stage("measure", 1)
    arithmetic, step_s = means.choose(_Twin(_Run(gallery, settings, start)))
    means.progress.advance()
    plan = Plan(arithmetic, step_s, _epochs(settings, step_s * steps_per_epoch(len(gallery), settings.batch), means))
    means.folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(plan)))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)
    return plan


def _held(path: Path) -> Plan | None:
    """The plan of an earlier start; None if there is none that can be read: it is measured again then."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Plan(StepSettings(**held["arithmetic"]), held["step_s"], held["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _epochs(settings: Settings, epoch_s: float, means: Means) -> int:
    if means.minutes is None or epoch_s <= 0:
        return settings.epochs
    return max(1, min(settings.epochs, int(means.minutes * 60 / epoch_s)))


class _Run:
    """The state of a run and its one step."""

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


class _Twin:
    """A run that is only measured: it forgets where it stands after every step."""

    def __init__(self, run: _Run) -> None:
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
