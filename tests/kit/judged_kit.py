"""Truth and detections in a line or two, for tests of what is measured."""

from pathlib import Path

import cv2
import numpy as np

from models.dataset.records import Truth
from models.detections import Detections
from models.evaluation.exam import Exam

BOX = [10.0, 10.0, 30.0, 30.0]
Labelled = tuple[list[float], int]
Found = tuple[list[float], int, float]


def truth(*boxes: Labelled) -> Truth:
    """Boxes with their class."""
    corners = np.array([box for box, _ in boxes], np.float32).reshape(-1, 4)
    return Truth(corners, np.array([class_id for _, class_id in boxes], np.int32))


def found(*boxes: Found) -> Detections:
    """Boxes with class and score."""
    corners = np.array([box for box, _, _ in boxes], np.float32).reshape(-1, 4)
    ids = np.array([class_id for _, class_id, _ in boxes], np.int32)
    return Detections(corners, np.array([score for *_, score in boxes], np.float32), ids)


def shifted(by: float) -> list[float]:
    """The box, so many pixels further right."""
    return [10 + by, 10, 30 + by, 30]


def exam(folder: Path, truths: list[Truth]) -> Exam:
    """An exam of grey pictures; those with a box are defective."""
    paths = tuple(folder / f"{index} <i>.png" for index in range(len(truths)))
    for path in paths:
        cv2.imwrite(str(path), np.full((80, 80, 3), 90, np.uint8))
    names = tuple(path.name for path in paths)
    return Exam(("dent", "<b>scratch</b>"), names, paths, None, tuple(truths), tuple(len(one) > 0 for one in truths))


def unseen(truths: list[Truth], defective: list[bool] | None = None, golden: list[bool] | None = None) -> Exam:
    """An exam whose pictures nobody opens; those with a box are defective unless told otherwise."""
    paths = tuple(Path(f"{index}.png") for index in range(len(truths)))
    names, bad = tuple(path.name for path in paths), defective or [len(one) > 0 for one in truths]
    return Exam(("dent", "scratch"), names, paths, None, tuple(truths), tuple(bad), tuple(golden or ()))
