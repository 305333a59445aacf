"""From a map to boxes: pure arrays."""

from collections.abc import Sequence

import cv2
import numpy as np

from models.detections import Detections, FloatArray
from models.letterbox import Placement
from models.spec import InputSpec

REGION_FLOOR = 0.4


def regions(anomaly_map: FloatArray, place: Placement, spec: InputSpec, class_id: int = 0) -> Detections:
    """The connected regions of a map that reach `REGION_FLOOR`, as boxes in frame pixels.

    A region's score is its highest value, so the strongest region carries the frame's score; regions between the
    floor and 0.5 are candidates that a recipe's default ignores and triage may keep.

    Args:
        anomaly_map: (h, w) float32 in [0, 1], covering the whole model input.
        place: where the frame lies in the model input.
        spec: the model input's size.
        class_id: of what the map shows.

    Returns:
        Detections of this class, strongest first, with the map.
    """
    mask = (anomaly_map >= REGION_FLOOR).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count == 1:
        return Detections.none(anomaly_map)
    scores = np.array([anomaly_map[labels == index].max() for index in range(1, count)], np.float32)
    order = np.argsort(-scores, kind="stable")
    left, top, width, height = (stats[1:, column][order] for column in range(4))
    step = np.array([spec.width / anomaly_map.shape[1], spec.height / anomaly_map.shape[0]] * 2, np.float32)
    boxes = np.stack([left, top, left + width, top + height], axis=1).astype(np.float32) * step
    class_ids = np.full(count - 1, class_id, np.int32)
    return Detections(place.to_frame_xyxy(boxes), np.clip(scores[order], 0, 1), class_ids, anomaly_map)


def strongest_first(found: Sequence[Detections], whole: FloatArray) -> Detections:
    """Several classes' detections as one, with the map (h, w) of them all."""
    scores = np.concatenate([one.scores for one in found])
    order = np.argsort(-scores, kind="stable")
    boxes = np.concatenate([one.boxes_xyxy for one in found])
    class_ids = np.concatenate([one.class_ids for one in found])
    return Detections(boxes[order], scores[order], class_ids[order], whole)
