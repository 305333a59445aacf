"""From a map to boxes: pure arrays."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detections import Detections, FloatArray
from models.letterbox import Placement
from models.spec import InputSpec

REGION_FLOOR = 0.4
THRESHOLD = 0.5


def regions(anomaly_map: FloatArray, place: Placement, spec: InputSpec, class_id: int = 0) -> Detections:
    """The connected regions of a map that reach the threshold, and the candidates below it, as boxes in frame pixels.

    A region ends where the map falls below 0.5: what lies between the floor and the threshold must not widen a defect,
    or its middle would leave the zone that it lies in. From `REGION_FLOOR` on those places are candidates of their own:
    a recipe's default ignores them, one that asks for less than 0.5 finds every place that it asks for, and triage may
    keep them. A region's score is its highest value, so the strongest carries the frame's score.

    Args:
        anomaly_map: (h, w) float32 in [0, 1], covering the whole model input.
        place: where the frame lies in the model input.
        spec: the model input's size.
        class_id: of what the map shows.

    Returns:
        Detections of this class, strongest first, with the map and where it lies.
    """
    to_frame = place.grid_to_frame(anomaly_map.shape[1], anomaly_map.shape[0], spec)
    sure = anomaly_map >= THRESHOLD
    parts = [_connected(anomaly_map, mask) for mask in (sure, (anomaly_map >= REGION_FLOOR) & ~sure)]
    found = sorted(itertools.chain(*parts), key=lambda one: -one[1])
    if not found:
        return Detections.none(anomaly_map, to_frame)
    step = np.array([spec.width / anomaly_map.shape[1], spec.height / anomaly_map.shape[0]] * 2, np.float32)
    boxes = np.array([cells for cells, _ in found], np.float32) * step
    scores = np.clip(np.array([score for _, score in found], np.float32), 0, 1)
    ids = np.full(len(found), class_id, np.int32)
    return Detections(place.to_frame_xyxy(boxes), scores, ids, anomaly_map, to_frame)


def _connected(anomaly_map: FloatArray, mask: NDArray[np.bool_]) -> list[tuple[tuple[int, ...], float]]:
    """Each connected region of the mask: its box in cells, and its highest value."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    highest = np.zeros(count, np.float32)
    np.maximum.at(highest, np.asarray(labels, np.intp), anomaly_map)
    return [(_box(stats[index]), float(highest[index])) for index in range(1, count)]


def _box(row: NDArray[np.int32]) -> tuple[int, ...]:
    left, top, width, height = (int(value) for value in row[:4])
    return left, top, left + width, top + height


def strongest_first(found: Sequence[Detections], whole: FloatArray) -> Detections:
    """Several classes' detections as one, with the map (h, w) of them all."""
    scores = np.concatenate([one.scores for one in found])
    order = np.argsort(-scores, kind="stable")
    boxes = np.concatenate([one.boxes_xyxy for one in found])
    class_ids = np.concatenate([one.class_ids for one in found])
    to_frame = found[0].map_to_frame  # one grid, one frame: the same for every class
    return Detections(boxes[order], scores[order], class_ids[order], whole, to_frame)
