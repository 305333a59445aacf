"""COCO's own measures, computed by the library faster-coco-eval; ours must agree with it, by test."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.dataset.records import Truth
from models.detections import Detections


@dataclass(frozen=True, slots=True)
class CocoPrecision:
    """Mean average precision at IoU 0.5 to 0.95, at 0.5 and at 0.75; -1 where no box is labelled."""

    map50_95: float
    map50: float
    map75: float


def coco_precision(truths: Sequence[Truth], found: Sequence[Detections], classes: Sequence[str]) -> CocoPrecision:
    """COCO's figures for these images; every detection counts, where COCO stops at 100 an image.

    Args:
        truths: of N images.
        found: on the same images, in the same order.
        classes: names of the class ids.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # of detectors alone: a classifier's training goes without it

    content = {
        "images": [{"id": index} for index in range(len(truths))],
        "annotations": _annotations(truths),
        "categories": [{"id": index, "name": name} for index, name in enumerate(classes)],
    }
    results = _results(found)
    if not results:
        return CocoPrecision(0.0, 0.0, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(content)
        judged = COCOeval_faster(truth, truth.loadRes(results), "bbox")
        judged.params.maxDets = [1, 10, max([100, *(len(mine) for mine in found)])]
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return CocoPrecision(*(float(value) for value in judged.stats[:3]))


def _annotations(truths: Sequence[Truth]) -> list[dict[str, object]]:
    rows = (
        (index, box, class_id)
        for index, truth in enumerate(truths)
        for box, class_id in zip(truth.boxes_xyxy, truth.class_ids, strict=True)
    )
    return [
        {"id": number, "image_id": index, "category_id": int(class_id), "iscrowd": 0, **_place(box)}
        for number, (index, box, class_id) in enumerate(rows, 1)
    ]


def _results(found: Sequence[Detections]) -> list[dict[str, object]]:
    return [
        {"image_id": index, "category_id": int(class_id), "score": float(score), **_place(box)}
        for index, mine in enumerate(found)
        for box, score, class_id in zip(mine.boxes_xyxy, mine.scores, mine.class_ids, strict=True)
    ]


def _place(box: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> dict[str, object]:
    left, top, right, bottom = (float(value) for value in box)
    return {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
