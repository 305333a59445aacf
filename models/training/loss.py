"""How wrong the detector is: quality focal loss for classes, generalised IoU for boxes."""

import torch
from torch import Tensor
from torch.nn import functional

from models.networks.detector import cell_centres
from models.training.assignment import PaddedTruth, Targets, assign, iou

_FOCUS = 2.0
_BOX_WEIGHT = 2.0
_TINY = 1e-7


def boxes_of(sides: Tensor, centres: Tensor) -> Tensor:
    """(B, P, 4) distances to the four sides and (P, 2) centres to boxes (B, P, 4) xyxy, pixels."""
    return torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)


def detection_loss(logits: Tensor, sides: Tensor, truth: PaddedTruth, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Class and box loss of a batch, each per unit of quality; their sum is what is minimised.

    Source: generalised focal loss, Li et al. 2020, https://arxiv.org/abs/2006.04388; generalised IoU, Rezatofighi et
    al. 2019, https://arxiv.org/abs/1902.09630.

    Args:
        logits: (B, P, classes).
        sides: (B, P, 4) pixels.
        truth: of the batch.
        height: of the pictures, pixels.
        width: of the pictures, pixels.
    """
    logits, sides = logits.float(), sides.float()
    centres, strides = (part.to(logits.device) for part in cell_centres(height, width))
    boxes = boxes_of(sides, centres)
    targets = assign(logits.sigmoid(), boxes, centres, strides, truth)
    total = targets.scores.sum().clamp(1.0)
    return _class_loss(logits, targets) / total, _BOX_WEIGHT * _box_loss(boxes, targets) / total


def _class_loss(logits: Tensor, targets: Targets) -> Tensor:
    apart = (targets.scores - logits.sigmoid()).abs().pow(_FOCUS)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets.scores, reduction="none")
    return (apart * entropy).sum()


def _box_loss(boxes: Tensor, targets: Targets) -> Tensor:
    mine, wanted = boxes[targets.positive], targets.boxes_xyxy[targets.positive]
    weight = targets.scores.sum(-1)[targets.positive]
    return ((1 - generalised_iou(mine, wanted)) * weight).sum()


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU less the share of the enclosing box that neither covers, (N,) in [-1, 1]."""
    overlap = iou(first, second)
    low, high = torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:])
    hull = (high - low).clamp(0).prod(-1) + _TINY
    areas = [(box[:, 2:] - box[:, :2]).clamp(0).prod(-1) for box in (first, second)]
    union = (areas[0] + areas[1]) / (1 + overlap)
    return overlap - (hull - union) / hull
