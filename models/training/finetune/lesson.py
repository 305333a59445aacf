"""What a fine-tuned classifier learns: views of labelled pictures, its first network, its loss."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.classifier.calibration import Labels
from models.classifier.probe import STAGES
from models.networks.finetuned import ClassNetwork, Start
from models.networks.weights import Weights
from models.training.batches import in_batches, steps_per_epoch
from models.training.finetune.views import Views, view
from models.training.lesson import Course, Forward
from models.training.pictures import Gallery

_STEPS = 3000
_FEWEST_EPOCHS = 10


@dataclass(frozen=True, slots=True)
class ClassSettings:
    """Everything that decides what a run computes of its pictures and its start, but for its threads.

    Args:
        classes: K, of defects.
        views: what the pictures look like.
        batch: pictures per step.
        epochs: how often every picture is shown.
        learning_rate: of the backbone, at its highest.
        head_rate: of the head, likewise; it starts fitted, and its thousands of features move together.
        weight_decay: of the kernels.
        smoothing: this share of each label is spread over all classes.
        frozen: stages that stay as they are, see `ClassNetwork`.
        seed: of order and views.
        recipe: counts changes of what the trainer computes of the same settings, so that it never goes on with a
            checkpoint of another recipe.
    """

    classes: int
    views: Views
    batch: int = 16
    epochs: int = 30
    learning_rate: float = 5e-5
    head_rate: float = 2e-5
    weight_decay: float = 0.03
    smoothing: float = 0.05
    frozen: int = 2
    seed: int = 0
    recipe: int = 1

    @property
    def digest(self) -> str:
        """Names these settings: sha256 in hex."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def epochs_for(pictures: int, batch: int) -> int:
    """As many as make the usual number of steps, however many pictures there are."""
    return max(_FEWEST_EPOCHS, round(_STEPS * batch / pictures))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledBatch:
    """What one step sees: pixels (B, 3, H, W) uint8 BGR and labels (B,) int64, 0 good."""

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """A `Lesson`.

    Args:
        gallery: N pictures, in colour.
        labels: (N,), 0 good, k a defect class.
        settings: what to compute.
        weights: of the backbone to begin with.
        start: the head to begin with.
    """

    gallery: Gallery
    labels: Labels
    settings: ClassSettings
    weights: Weights
    start: Start

    @property
    def course(self) -> Course:
        """As the settings say."""
        steps = steps_per_epoch(len(self.gallery), self.settings.batch)
        return Course(self.settings.digest, self.settings.epochs, steps, ("loss",))

    def begin(self) -> ClassNetwork:
        """The network that answers as the start's probe does."""
        network = ClassNetwork(self.settings.classes, STAGES, self.settings.frozen)
        return network.begin(self.weights, self.start)

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """The backbone's kernels, which are held back, its other values, and the head."""
        own = [(name, value) for name, value in network.named_parameters() if value.requires_grad]
        head = [value for name, value in own if name.startswith("head.")]
        rest = [value for name, value in own if not name.startswith("head.")]
        rate, decay = self.settings.learning_rate, self.settings.weight_decay
        return [
            {"params": [value for value in rest if value.ndim > 1], "lr": rate, "weight_decay": decay},
            {"params": [value for value in rest if value.ndim <= 1], "lr": rate, "weight_decay": 0.0},
            {"params": head, "lr": self.settings.head_rate, "weight_decay": 0.0},
        ]

    def batches(self, epoch: int, start: int = 0, *, ahead: bool = False) -> Iterator[LabelledBatch]:
        """Every picture once, each in a view of its own."""

        def make(step: int, chosen: NDArray[np.int64]) -> LabelledBatch:
            seeds = [(self.settings.seed, epoch, step, slot) for slot in range(len(chosen))]
            shown = [
                view(self.gallery[int(index)].image, self.settings.views, np.random.default_rng(seed))
                for index, seed in zip(chosen, seeds, strict=True)
            ]
            return LabelledBatch(planes(shown), torch.from_numpy(self.labels[chosen]))

        order = (self.settings.seed, epoch)
        return in_batches(make, len(self.gallery), self.settings.batch, order, start, ahead=ahead)

    def losses(self, forward: Forward, batch: LabelledBatch) -> Sequence[Tensor]:
        """Cross-entropy of good and all defect classes."""
        logits = with_good(forward(batch.pixels))
        target = batch.labels.to(logits.device)
        return [functional.cross_entropy(logits, target, label_smoothing=self.settings.smoothing)]


def planes(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """(B, 3, H, W) uint8 of pictures (H, W, 3), as the network takes them."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def with_good(logits: Tensor) -> Tensor:
    """(B, K + 1): good's logit, 0, before those of the defects."""
    return torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
