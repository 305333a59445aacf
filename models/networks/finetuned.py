"""The classifier in torch: backbone and head as `backbone` and `classes` build them, trainable, with equal answers.

`backbone` pads as TensorFlow does, the odd pixel right and below, and torch pads both sides alike. Under a stride of 2
torch's is the same convolution of a picture turned by half a turn, with kernels turned too. So picture and kernels are
turned; maps come out turned, and mean, maximum and deviation of a map do not mind. No pixel has to be padded apart, and
what was trained here is built again by `backbone` to the last operation's name, which quantization goes by.

Statistics of the batch normalisation stay ImageNet's: the network starts with the answers of a probe's head, and a
batch of a few pictures does not sway it.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.networks.backbone import PIXEL_MEAN, PIXEL_STD
from models.networks.classes import POOLS, LinearHead
from models.networks.lite import Block, LiteBackbone
from models.networks.weights import Weights

_PLANE = (2, 3)
_HALF_TURN = (2, 3)
_COLOURS = (1,)
_TINY = 1e-12
_NORM = ("weight", "bias", "running_mean", "running_var")
Array = NDArray[np.float32]


class Start(NamedTuple):
    """The head to begin with, K classes of F features: weights (K, F), bias (K,), usual values and spreads (F,)."""

    weights: Array
    bias: Array
    mean: Array
    spread: Array


class _Layer(NamedTuple):
    """A convolution and its normalisation, with their names among the registry's weights."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    conv_name: str
    norm_name: str

    @property
    def turned(self) -> tuple[int, ...]:
        """Axes by which its kernel lies here and there the other way round."""
        return (*_COLOURS, *_HALF_TURN) if self.conv_name == "_conv_stem" else _HALF_TURN


class ClassNetwork(nn.Module):
    """The whole network.

    Args:
        classes: K, of defects.
        stages: of the backbone, whose maps are pooled.
        frozen: so many first stages, and the stem, stay as they are: what they see is common to all pictures, and
            their large maps would take most of a training step.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, classes: int, stages: tuple[int, ...], frozen: int) -> None:
        super().__init__()
        self.backbone = LiteBackbone(3, stages, 2)
        count = len(POOLS) * sum(self.backbone.channels)
        self.head = nn.Linear(count, classes)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        for part in (self.backbone.stem, self.backbone.stem_norm, *list(self.backbone.stages)[:frozen]):
            part.requires_grad_(requires_grad=False)

    def begin(self, weights: Weights, start: Start) -> Self:
        """The same network with these values: EfficientNet-Lite0's tensors by name, and a fitted head."""
        with torch.no_grad():
            for layer in _layers(self.backbone):
                kernel = torch.from_numpy(weights[f"{layer.conv_name}.weight"])
                layer.conv.weight.copy_(kernel.flip(layer.turned))
                for name in _NORM:
                    getattr(layer.norm, name).copy_(torch.from_numpy(weights[f"{layer.norm_name}.{name}"]))
            mean, spread = torch.from_numpy(start.mean), torch.from_numpy(start.spread)
            own = torch.from_numpy(start.weights)
            self.mean.copy_(mean)
            self.spread.copy_(spread)
            self.head.weight.copy_(own * spread)
            self.head.bias.copy_(torch.from_numpy(start.bias) + own @ mean)
        return self

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's own signature
        """As torch's; the backbone's statistics stay."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 BGR, letterboxed, to logits (B, K) float32 against good."""
        centred = (pixels.flip(_HALF_TURN).float() - PIXEL_MEAN) / PIXEL_STD
        maps = self.backbone(centred.contiguous(memory_format=torch.channels_last))
        with torch.autocast(pixels.device.type, enabled=False):
            found = torch.cat([_pooled(level.float()) for level in maps], 1)
            logits: Tensor = self.head((found - self.mean) / self.spread)
        return logits

    def weights(self) -> Weights:
        """The backbone's tensors under the registry's names, as `backbone.features` takes them."""
        found = {}
        for layer in _layers(self.backbone):
            found[f"{layer.conv_name}.weight"] = _array(layer.conv.weight.flip(layer.turned))
            for name in _NORM:
                found[f"{layer.norm_name}.{name}"] = _array(getattr(layer.norm, name))
        return found

    def linear_head(self, centre: Array) -> LinearHead:
        """The head on features as they are; `centre` (F,) is their usual value."""
        weights = self.head.weight / self.spread
        return LinearHead(_array(weights), _array(self.head.bias - weights @ self.mean), centre)


def _layers(backbone: LiteBackbone) -> Iterator[_Layer]:
    yield _Layer(backbone.stem, backbone.stem_norm, "_conv_stem", "_bn0")
    blocks = [block for stage in backbone.stages for block in stage.children()]
    for index, block in enumerate(blocks):
        assert isinstance(block, Block)  # noqa: S101 - narrows the type
        prefix = f"_blocks.{index}."
        if block.expand is not None and block.expand_norm is not None:
            yield _Layer(block.expand, block.expand_norm, f"{prefix}_expand_conv", f"{prefix}_bn0")
        yield _Layer(block.depthwise, block.depthwise_norm, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
        yield _Layer(block.project, block.project_norm, f"{prefix}_project_conv", f"{prefix}_bn2")


def _pooled(level: Tensor) -> Tensor:
    """(B, 3 C) of a map (B, C, h, w), in the order of `POOLS`."""
    deviation = (level.var(_PLANE, unbiased=False) + _TINY).sqrt()  # a slope at 0, where there is none
    return torch.cat([level.mean(_PLANE), level.amax(_PLANE), deviation], 1)


def _array(value: Tensor) -> Array:
    return np.ascontiguousarray(value.detach().cpu().numpy())
