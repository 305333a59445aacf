"""The detector in torch: anchor-free, convolution and ReLU6 only, three scales, one box and one class vector per cell.

EfficientNet-Lite0 gives three maps at 8, 16 and 32 pixels per cell; a top-down path joins them at 64 channels (a whole
number of VNNI's registers); each scale has a branch for classes and one for the four distances from the cell's centre
to the sides of its box. Idea of the head: FCOS, Tian et al. 2019, https://arxiv.org/abs/1904.01355.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.lite import LiteBackbone, norm

STRIDES = (8, 16, 32)
COARSEST = STRIDES[-1]
WIDTH = 64
_PRIOR = 0.01


@dataclass(frozen=True, slots=True)
class DetectorShape:
    """What decides the network's tensors.

    Args:
        classes: how many.
        colour: whether the three channels differ; a grey model reads their mean.
        reference: whether a golden reference comes with each frame.
        stem_stride: 2 for small images, 4 for large ones.
    """

    classes: int
    colour: bool
    reference: bool
    stem_stride: int

    @property
    def image_channels(self) -> int:
        """Of one image."""
        return 3 if self.colour else 1

    @property
    def in_channels(self) -> int:
        """Of the network: the image, or image, reference and their absolute difference."""
        return self.image_channels * (3 if self.reference else 1)

    @property
    def stages(self) -> tuple[int, int, int]:
        """Of the backbone, at 8, 16 and 32 pixels per cell."""
        return (2, 4, 6) if self.stem_stride == 2 else (1, 2, 4)  # noqa: PLR2004 - a stride


def _conv(start: int, end: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(start, end, kernel, padding=kernel // 2, bias=False), norm(end), nn.ReLU6(inplace=True)
    )


class Neck(nn.Module):
    """Three maps to three of `WIDTH` channels, each knowing what the coarser ones saw."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_conv(count, WIDTH, 1) for count in channels)
        self.smooth = nn.ModuleList(_conv(WIDTH, WIDTH, 3) for _ in channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Finest first, in and out."""
        above: Tensor | None = None
        joined: list[Tensor] = []
        for index in reversed(range(len(maps))):
            level = self.lateral[index](maps[index])
            if above is not None:
                level = level + functional.interpolate(above, scale_factor=2.0, mode="nearest")
            above = self.smooth[index](level)
            joined.insert(0, above)
        return joined


class Head(nn.Module):
    """One scale: class logits and side distances."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.class_branch = _conv(WIDTH, WIDTH, 3)
        self.box_branch = _conv(WIDTH, WIDTH, 3)
        self.classes = nn.Conv2d(WIDTH, classes, 1)
        self.sides = nn.Conv2d(WIDTH, 4, 1)
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.normal_(self.sides.weight, std=0.01)
        for layer, start in ((self.classes, math.log(_PRIOR / (1 - _PRIOR))), (self.sides, 1.0)):
            layer.bias = nn.Parameter(torch.full((layer.out_channels,), start))

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """(B, WIDTH, h, w) to logits (B, classes, h, w) and sides (B, 4, h, w) in cells."""
        return self.classes(self.class_branch(level)), self.sides(self.box_branch(level))


class Detector(nn.Module):
    """The whole network."""

    def __init__(self, shape: DetectorShape) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = LiteBackbone(shape.in_channels, shape.stages, shape.stem_stride)
        self.neck = Neck(self.backbone.channels)
        self.heads = nn.ModuleList(Head(shape.classes) for _ in STRIDES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Raw answers of all cells, finest scale first, row by row.

        Args:
            x: (B, in_channels, H, W) float in [0, 1]; H and W multiples of 32.

        Returns:
            Logits (B, P, classes) and sides (B, P, 4) in pixels: left, top, right, bottom of the cell's centre, which
            may be negative while the network is young.
        """
        logits, sides = [], []
        for stride, head, level in zip(STRIDES, self.heads, self.neck(self.backbone(x)), strict=True):
            level_logits, level_sides = head(level)
            logits.append(level_logits.flatten(2))
            sides.append(level_sides.flatten(2) * stride)
        return torch.cat(logits, 2).transpose(1, 2), torch.cat(sides, 2).transpose(1, 2)


def cell_centres(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Centres (P, 2) in pixels, x and y, and strides (P,) of all cells, in the order of the network's answers."""
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        grid = torch.stack([columns, rows], 2).reshape(-1, 2)
        centres.append((grid + 0.5) * stride)
        strides.append(torch.full((len(grid),), float(stride)))
    return torch.cat(centres), torch.cat(strides)
