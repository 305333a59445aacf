"""One measured training run of LeNet-5 in a process of its own: `python -m models.training.tune.epoch '{...}'`.

A process of its own, because threads once started do not go away, and cores are granted to a process.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.training.tune.fashion import Fashion, read_fashion

BATCH = 64
_RATE = 0.05
_MOMENTUM = 0.9
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Job:
    """What to run.

    Args:
        folder: of Fashion-MNIST.
        threads: inside an operation; 0: torch's own default.
        bf16: whether matrix work is done in BF16.
        cores: which CPUs the process may use; empty: as granted.
        limit_s: stop in mid-epoch after so long; 0: one whole epoch and its test.
    """

    folder: str
    threads: int = 0
    bf16: bool = False
    cores: tuple[int, ...] = ()
    limit_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What came of it.

    Args:
        threads: that torch really used.
        images: learned from in the measured time.
        seconds: measured.
        cpu_seconds: of the process in that time, all its threads.
        accuracy: on the test images, of a whole epoch; else None.
    """

    threads: int
    images: int
    seconds: float
    cpu_seconds: float
    accuracy: float | None

    def epoch_s(self, images: int) -> float:
        """Seconds of an epoch of so many images at this pace."""
        return self.seconds * images / self.images


def run(job: Job) -> Timing:
    """Train for an epoch, or for a share of one."""
    if job.cores:
        os.sched_setaffinity(0, job.cores)
    if job.threads:
        torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    data, network = read_fashion(Path(job.folder)), lenet5()
    step = _Step(network, job)
    pixels, labels = _tensors(data)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    batches = torch.split(order, BATCH)
    if job.limit_s:
        for chosen in batches[:_WARM_UP]:
            step(pixels[chosen], labels[chosen])
    started_s, cpu_s, images = time.perf_counter(), time.process_time(), 0
    for chosen in batches:
        step(pixels[chosen], labels[chosen])
        images += len(chosen)
        if job.limit_s and time.perf_counter() - started_s > job.limit_s:
            break
    spent_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    accuracy = None if job.limit_s else _accuracy(network, data)
    return Timing(torch.get_num_threads(), images, spent_s, cpu_s, accuracy)


def lenet5() -> nn.Module:
    """LeCun et al. 1998 for 28 x 28 pictures, with ReLU and maxima as it is built today."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def main() -> None:
    """Run the job that the command line holds as JSON; the timing goes to stdout."""
    words = json.loads(sys.argv[1])
    words["cores"] = tuple(words["cores"])
    sys.stdout.write(json.dumps(asdict(run(Job(**words)))))


class _Step:
    """One training step."""

    def __init__(self, network: nn.Module, job: Job) -> None:
        self._network, self._bf16 = network, job.bf16
        self._optimizer = torch.optim.SGD(network.parameters(), _RATE, _MOMENTUM)
        self._loss = nn.CrossEntropyLoss()

    def __call__(self, pixels: Tensor, labels: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            answers = self._network(pixels)
        loss = self._loss(answers.float(), labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()


def _tensors(data: Fashion) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(data.train_images.copy())[:, None].float() / 255
    return pixels, torch.from_numpy(data.train_labels.copy()).long()


@torch.no_grad()
def _accuracy(network: nn.Module, data: Fashion) -> float:
    answers = network(torch.from_numpy(data.test_images.copy())[:, None].float() / 255).argmax(1)
    return float((answers == torch.from_numpy(data.test_labels.copy()).long()).float().mean())


if __name__ == "__main__":
    main()
