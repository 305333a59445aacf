"""What the torch detector says of whole images: the reference that the exported graph must follow."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.detections import Detections, FloatArray
from models.networks.detector import cell_centres
from models.networks.suppression import SUPPRESSION, Suppression
from models.training.loss import boxes_of


@torch.no_grad()
def raw_answers(detector: nn.Module, pixels: Tensor) -> tuple[FloatArray, FloatArray]:
    """Probabilities (B, P, classes) and boxes (B, P, 4) xyxy of all cells, float32, for pixels (B, C, H, W)."""
    logits, sides = detector(pixels)
    centres, _ = cell_centres(pixels.shape[2], pixels.shape[3])
    boxes = boxes_of(sides.float(), centres.to(sides.device))
    return logits.float().sigmoid().cpu().numpy(), boxes.cpu().numpy()


def suppress(scores: FloatArray, boxes_xyxy: FloatArray, how: Suppression = SUPPRESSION) -> Detections:
    """The same suppression as inside the graph, in numpy.

    Args:
        scores: (P, classes) of all cells.
        boxes_xyxy: (P, 4) of all cells.
        how: the rule.
    """
    best = scores.max(1)
    order = np.argsort(-best, kind="stable")[: how.candidates]
    order = order[best[order] > how.min_score]
    kept = _greedy(boxes_xyxy[order], how)
    chosen = order[kept]
    ids = scores[chosen].argmax(1).astype(np.int32)
    boxes = boxes_xyxy[chosen].astype(np.float32)
    return Detections(_upright(boxes), best[chosen].astype(np.float32), ids)


def _upright(boxes: FloatArray) -> FloatArray:
    """A young network's box may end before it starts; such a one is a point."""
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


def _greedy(boxes: FloatArray, how: Suppression) -> NDArray[np.int64]:
    kept: list[int] = []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for index in range(len(boxes)):
        if len(kept) == how.most:
            break
        mine, others = boxes[index], boxes[kept]
        inner = np.minimum(others[:, 2:], mine[2:]) - np.maximum(others[:, :2], mine[:2])
        common = np.clip(inner, 0, None).prod(1)
        union = areas[kept] + areas[index] - common
        if not np.any(common > how.max_iou * union):
            kept.append(index)
    return np.array(kept, np.int64)
