"""A training, top-down: plan, first weights, the last checkpoint, steps, checkpoints, the average.

What a run computes follows from its settings and data alone; threads and BF16 are chosen by measuring the real step
before the first one and kept with the run. Killed anywhere, it goes on from its last checkpoint, and on one thread it
ends with the very same weights.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from models.durable import sync_directory
from models.progress import Progress
from models.training.checkpoint import load, save
from models.training.detection import Detection
from models.training.lesson import Batch, Lesson
from models.training.memory import keep_freed_memory
from models.training.pictures import Gallery
from models.training.run import Run, Twin, laid_out
from models.training.settings import Settings
from models.training.threads import StepSettings, Trial, choose_by_measuring


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
class Learned:
    """What a run leaves.

    Args:
        network: the averaged one, in evaluation mode, on the CPU.
        plan: how it was run.
        history: one row per epoch: losses, learning rate, seconds.
        seconds: of all its steps, earlier tries counted in.
    """

    network: nn.Module
    plan: Plan
    history: list[dict[str, float]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A detector's run: as `Learned`, and the settings it was made by."""

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

    def lasting(epochs: int) -> Detection:
        return Detection(gallery, replace(settings, epochs=epochs), start)

    found = train(lasting, settings.epochs, means)
    final = replace(settings, epochs=found.plan.epochs)
    return Trained(found.network, final, found.plan, found.history, found.seconds)


def train(lasting: Callable[[int], Lesson[Batch]], epochs: int, means: Means) -> Learned:
    """Train, or go on where the folder's checkpoint stands.

    Args:
        lasting: the lesson of so many epochs.
        epochs: how many; fewer if the minutes do not allow them.
        means: where and how.

    Raises:
        ModelError: a picture or the checkpoint cannot be read, or the loss is no number any more.
    """
    keep_freed_memory()
    with _denormals_flushed():
        return _train(lasting, epochs, means)


def _train(lasting: Callable[[int], Lesson[Batch]], epochs: int, means: Means) -> Learned:
    plan = _plan(lasting(epochs), means)
    lesson = lasting(plan.epochs)
    means = replace(means, folder=means.folder / lesson.course.digest[:12])
    run = Run(lesson)
    run.apply(plan.arithmetic)
    last = load(means.folder, lesson.course.digest)
    if last is not None:
        run.restore(last)
    means.progress.stage("train", run.steps)
    means.progress.advance(run.step)
    _go_on(run, means)
    network = laid_out(run.average.network.to("cpu"), torch.contiguous_format)
    return Learned(network, plan, run.history, run.seconds)


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Numbers near zero are zero to this thread meanwhile: training is faster, and everything else counts exactly."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _go_on(run: Run[Batch], means: Means) -> None:
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


def _plan(lesson: Lesson[Batch], means: Means) -> Plan:
    """As the run's first start measured and settled it."""
    path = means.folder / f"plan-{lesson.course.digest[:12]}-{means.minutes}.json"
    if (held := _held(path)) is not None:
        return held
    means.progress.stage("measure", 1)
    arithmetic, step_s = means.choose(Twin(Run(lesson)))
    means.progress.advance()
    plan = Plan(arithmetic, step_s, _epochs(lesson.course.epochs, step_s * lesson.course.per_epoch, means))
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


def _epochs(epochs: int, epoch_s: float, means: Means) -> int:
    if means.minutes is None or epoch_s <= 0:
        return epochs
    return max(1, min(epochs, int(means.minutes * 60 / epoch_s)))
