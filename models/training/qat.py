"""Quantization-aware training: the finished network goes on for a while with its values rounded as INT8 would."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from models.quantize import with_fake_quantization
from models.training.pictures import Gallery, epoch_batches
from models.training.train import Means, Trained, train_detector

_SHARE = 0.1
_RATE = 0.1
_RANGE_BATCHES = 8


def train_quantized(trained: Trained, gallery: Gallery, means: Means) -> nn.Module:
    """The network after a tenth of its epochs (one at least) at a tenth of its learning rate, ready for export.

    Args:
        trained: the finished run; unchanged.
        gallery: the pictures it learned from.
        means: a folder of its own.

    Raises:
        ModelError: nncf refuses the network, or the loss is no number any more.
    """
    settings = replace(
        trained.settings,
        epochs=max(1, round(trained.settings.epochs * _SHARE)),
        learning_rate=trained.settings.learning_rate * _RATE,
        mosaic=0.0,
    )
    start = with_fake_quantization(trained.network, _pixels(gallery, trained))
    for value in start.parameters():
        if value.is_floating_point():
            value.requires_grad = True
    exact = replace(trained.plan.arithmetic, bf16=False)
    return train_detector(gallery, settings, replace(means, choose=lambda _: (exact, 0.0)), start).network


def _pixels(gallery: Gallery, trained: Trained) -> Iterator[torch.Tensor]:
    for index, batch in enumerate(epoch_batches(gallery, trained.settings.feeding(0.0), 0)):
        if index == _RANGE_BATCHES:
            return
        yield batch.pixels
