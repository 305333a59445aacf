"""What a detector learns: pictures with boxes, its first weights, its losses."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.networks.detector import Detector
from models.networks.lite import load_imagenet
from models.networks.weights import read_weights
from models.training.batches import steps_per_epoch
from models.training.lesson import Course, Forward
from models.training.loss import detection_loss
from models.training.pictures import Batch, Gallery, epoch_batches
from models.training.settings import Settings

_PLAIN_TAIL = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A `Lesson`.

    Args:
        gallery: the pictures to learn from.
        settings: what to compute.
        start: the network to begin with; None takes a fresh one with ImageNet's weights.
    """

    gallery: Gallery
    settings: Settings
    start: nn.Module | None = None

    @property
    def course(self) -> Course:
        """As the settings say."""
        steps = steps_per_epoch(len(self.gallery), self.settings.batch)
        return Course(self.settings.digest, self.settings.epochs, steps, ("class_loss", "box_loss"))

    def begin(self) -> nn.Module:
        """A copy of the start, or a fresh network; the seed decides its new layers."""
        torch.manual_seed(self.settings.seed)
        if self.start is not None:
            return copy.deepcopy(self.start)
        detector = Detector(self.settings.shape)
        load_imagenet(detector.backbone, read_weights(), self.settings.shape.image_channels)
        return detector

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Kernels, which are held back, and all else."""
        rate = self.settings.learning_rate
        kernels = [value for value in network.parameters() if value.ndim > 1]
        others = [value for value in network.parameters() if value.ndim <= 1]
        held = {"params": kernels, "lr": rate, "weight_decay": self.settings.weight_decay}
        return [held, {"params": others, "lr": rate, "weight_decay": 0.0}]

    def batches(self, epoch: int, start: int = 0, *, ahead: bool = False) -> Iterator[Batch]:
        """Towards the end without mosaics: pictures as they are at inspection."""
        plain = epoch >= _PLAIN_TAIL * self.settings.epochs
        feeding = self.settings.feeding(0.0 if plain else self.settings.mosaic)
        return epoch_batches(self.gallery, feeding, epoch, start, ahead=ahead)

    def losses(self, forward: Forward, batch: Batch) -> Sequence[Tensor]:
        """Of classes and of boxes."""
        logits, sides = forward(batch.pixels)
        return detection_loss(logits, sides, batch.truth.to(logits.device), *batch.pixels.shape[2:])
