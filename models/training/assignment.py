"""Which cells of the network answer for which box, and how sure they should be: task-aligned assignment.

A cell is the better for a box, the surer of its class it is and the closer its box already lies; the best few cells
inside a box are its positives, and the quality they should announce follows the overlap they reach. Source: TOOD, Feng
et al. 2021, https://arxiv.org/abs/2108.07755; a cell that two boxes want goes to the one it overlaps more.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_TOP = 10
_ALPHA = 1.0
_BETA = 6.0
_TINY = 1e-9
_REACH = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What the network should have answered.

    Args:
        scores: (B, P, classes) float32 in [0, 1]: quality at the right class of positive cells, else 0.
        boxes_xyxy: (B, P, 4) float32: the box each positive cell answers for; meaningless elsewhere.
        positive: (B, P) bool.
    """

    scores: Tensor
    boxes_xyxy: Tensor
    positive: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PaddedTruth:
    """The truth of a batch: boxes (B, M, 4), class ids (B, M) int64, valid (B, M) bool."""

    boxes_xyxy: Tensor
    class_ids: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> "PaddedTruth":
        """The same on another device."""
        return PaddedTruth(self.boxes_xyxy.to(device), self.class_ids.to(device), self.valid.to(device))


@torch.no_grad()
def assign(scores: Tensor, boxes_xyxy: Tensor, centres: Tensor, strides: Tensor, truth: PaddedTruth) -> Targets:
    """Targets for a batch.

    Args:
        scores: (B, P, classes) the network's probabilities.
        boxes_xyxy: (B, P, 4) the network's boxes.
        centres: (P, 2) of the cells, pixels.
        strides: (P,) of the cells, pixels.
        truth: what is really there.
    """
    batch, cells, classes = scores.shape
    if truth.valid.shape[1] == 0:
        empty = torch.zeros(batch, cells, dtype=torch.bool, device=scores.device)
        return Targets(torch.zeros_like(scores), torch.zeros_like(boxes_xyxy), empty)
    inside = _inside(centres, strides, truth.boxes_xyxy) & truth.valid[:, :, None]
    overlaps = iou(truth.boxes_xyxy[:, :, None], boxes_xyxy[:, None]).clamp(0) * inside
    sureness = torch.gather(scores.transpose(1, 2), 1, truth.class_ids[:, :, None].expand(-1, -1, cells))
    metric = sureness.pow(_ALPHA) * overlaps.pow(_BETA) + _TINY
    chosen = _best(metric * inside, inside)
    owner, positive = _resolve(chosen, overlaps)
    return _targets(metric, overlaps, chosen, (owner, positive), truth, classes)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4), broadcast."""
    inner = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    common = inner.clamp(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp(0).prod(-1) for box in (first, second)]
    return common / (areas[0] + areas[1] - common + _TINY)


def _inside(centres: Tensor, strides: Tensor, boxes: Tensor) -> Tensor:
    """(B, M, P): the cell's centre lies in the box, or no more than a cell from its centre if the box is tiny."""
    low = centres - boxes[:, :, None, :2]
    high = boxes[:, :, None, 2:] - centres
    within = torch.minimum(low, high).amin(-1) > 0
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    near = (centres - middle[:, :, None]).abs().amax(-1) < _REACH * strides
    tiny = (boxes[..., 2:] - boxes[..., :2]).amin(-1)[:, :, None] < 2 * strides
    return within | (near & tiny)


def _best(metric: Tensor, inside: Tensor) -> Tensor:
    count = min(_TOP, metric.shape[2])
    picked = torch.zeros_like(metric).scatter_(2, metric.topk(count, 2).indices, 1.0)
    return (picked > 0) & inside


def _resolve(chosen: Tensor, overlaps: Tensor) -> tuple[Tensor, Tensor]:
    """For each cell its box (B, P) and whether it has one (B, P)."""
    return torch.where(chosen, overlaps, -1.0).argmax(1), chosen.any(1)


def _targets(
    metric: Tensor, overlaps: Tensor, chosen: Tensor, owners: tuple[Tensor, Tensor], truth: PaddedTruth, classes: int
) -> Targets:
    owner, positive = owners
    mine = chosen & (torch.arange(chosen.shape[1], device=owner.device)[None, :, None] == owner[:, None])
    metric, overlaps = metric * mine, overlaps * mine
    quality = metric / metric.amax(2, keepdim=True).clamp(_TINY) * overlaps.amax(2, keepdim=True)
    quality = quality.amax(1) * positive
    ids = torch.gather(truth.class_ids, 1, owner)
    scores = torch.zeros(*positive.shape, classes, device=metric.device).scatter_(2, ids[..., None], quality[..., None])
    boxes = torch.gather(truth.boxes_xyxy, 1, owner[..., None].expand(-1, -1, 4))
    return Targets(scores, boxes, positive)
