"""EfficientNet-Lite0 in torch, for what is trained: the same blocks and ImageNet weights as `backbone`, trainable.

Two things differ from `backbone`, because fine-tuning absorbs them: padding is symmetric, so that no extra operation
pads the odd pixel, and pixels come as value / 255 with black around the image, so that the graph's 8-bit input needs no
subtraction (what ImageNet's normalisation asks for is folded into the stem).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.networks.backbone import PIXEL_MEAN, PIXEL_STD
from models.networks.depthwise import Depthwise
from models.networks.weights import Weights

_EPSILON = 1e-3
_MOMENTUM = 0.03
STEM_CHANNELS = 32
_PIXEL_MAX = 255.0


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    expand: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the backbone's epsilon; folded away at export."""
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)


class Block(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; the input is added where shapes allow."""

    def __init__(self, start: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        wide = start * stage.expand
        self.expand = nn.Conv2d(start, wide, 1, bias=False) if stage.expand > 1 else None
        self.expand_norm = norm(wide) if stage.expand > 1 else None
        self.depthwise = Depthwise(wide, stage.kernel, stride)
        self.depthwise_norm = norm(wide)
        self.project = nn.Conv2d(wide, stage.channels, 1, bias=False)
        self.project_norm = norm(stage.channels)
        self.residual = stride == 1 and start == stage.channels
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, start, h, w) to (B, channels, h / stride, w / stride)."""
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = self.relu(self.expand_norm(self.expand(y)))
        y = self.relu(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        result: Tensor = x + y if self.residual else y
        return result


class LiteBackbone(nn.Module):
    """The stages of EfficientNet-Lite0 up to `last`; `forward` returns those of `taken`.

    Args:
        in_channels: of the image; see `load_imagenet` for what they mean.
        taken: which stages to return, ascending.
        stem_stride: 2 as published, or 4: then the first convolution is 6 x 6 and starts as the published one behind an
            average over 2 x 2, so that all later maps are half as wide and high, for a quarter of the time.
    """

    def __init__(self, in_channels: int, taken: tuple[int, ...], stem_stride: int) -> None:
        super().__init__()
        kernel = {2: 3, 4: 6}[stem_stride]
        self.stem = nn.Conv2d(in_channels, STEM_CHANNELS, kernel, stem_stride, (kernel - 1) // 2, bias=False)
        self.stem_norm = norm(STEM_CHANNELS)
        self.relu = nn.ReLU6(inplace=True)
        self.taken = taken
        stages = _STAGES[: max(taken) + 1]
        widths = [STEM_CHANNELS, *(stage.channels for stage in stages)]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    Block(start if index == 0 else stage.channels, stage, stage.stride if index == 0 else 1)
                    for index in range(stage.blocks)
                )
            )
            for (start, _), stage in zip(pairwise(widths), stages, strict=True)
        )

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each returned map."""
        return tuple(_STAGES[index].channels for index in self.taken)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) in [0, 1] to the maps of the taken stages."""
        x = self.relu(self.stem_norm(self.stem(x)))
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.taken:
                maps.append(x)
        return maps


def load_imagenet(backbone: LiteBackbone, weights: Weights, image_channels: int) -> None:
    """Start from ImageNet.

    Args:
        backbone: changed in place.
        weights: EfficientNet-Lite0's tensors by name, from `weights.read_weights`.
        image_channels: 3 for BGR, 1 for grey. Input channels behind these (a reference and its difference from the
            image) start with the image's kernel halved and reversed, so that equal pictures nearly cancel out.
    """
    with torch.no_grad():
        _load_stem(backbone, weights, image_channels)
        blocks = [block for stage in backbone.stages for block in stage.children()]
        for index, block in enumerate(blocks):
            _load_block(block, weights, f"_blocks.{index}.")


def _load_stem(backbone: LiteBackbone, weights: Weights, image_channels: int) -> None:
    kernel = torch.from_numpy(np.ascontiguousarray(weights["_conv_stem.weight"][:, ::-1]))
    if backbone.stem.kernel_size[0] != kernel.shape[-1]:
        kernel = kernel.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
    if image_channels == 1:
        kernel = kernel.sum(1, keepdim=True)
    backbone.stem.weight.zero_()
    backbone.stem.weight[:, :image_channels] = kernel * (_PIXEL_MAX / PIXEL_STD)
    _load_norm(backbone.stem_norm, weights, "_bn0")
    shift = kernel.sum((1, 2, 3)) * (PIXEL_MEAN / PIXEL_STD)
    backbone.stem_norm.running_mean = _tensor(backbone.stem_norm.running_mean) + shift
    for start in range(image_channels, backbone.stem.in_channels, image_channels):
        scale = 0.5 if start > image_channels else -0.25
        backbone.stem.weight[:, start : start + image_channels] = kernel * scale


def _load_block(block: nn.Module, weights: Weights, prefix: str) -> None:
    assert isinstance(block, Block)  # noqa: S101 - narrows the type
    pairs = [("depthwise", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2")]
    if block.expand is not None:
        pairs.append(("expand", "_expand_conv", "_bn0"))
    for ours, conv, bn in pairs:
        getattr(block, ours).weight.copy_(torch.from_numpy(weights[f"{prefix}{conv}.weight"]))
        _load_norm(getattr(block, f"{ours}_norm"), weights, f"{prefix}{bn}")


def _load_norm(target: nn.BatchNorm2d, weights: Weights, name: str) -> None:
    for ours in ("weight", "bias", "running_mean", "running_var"):
        getattr(target, ours).copy_(torch.from_numpy(weights[f"{name}.{ours}"]))


def _tensor(value: Tensor | None) -> Tensor:
    """Torch types what a layer may lack as optional; ours never lack it."""
    if value is None:
        raise TypeError("a layer lacks a tensor that ours always have")
    return value
