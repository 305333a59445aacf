"""What laying a frame on a reference costs beside a plain resize, and beside the model that then looks."""

import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from detector_kit import pattern

from models.letterbox import Image, letterbox_into
from models.pose import Pose, place_of
from models.spec import Alignment, Fit, InputSpec

INPUT = InputSpec("image", 256, 256, fit=Fit.STRETCH)
pytestmark = pytest.mark.benchmark


def median_ms(work: Callable[[], object], repeats: int = 60) -> float:
    took = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        work()
        took.append((time.perf_counter() - started_s) * 1000)
    return float(np.median(took))


def written(image: Image, tensor: Image, pose: Pose | None) -> None:
    letterbox_into(image, tensor, place_of(image, INPUT, pose), INPUT)


@pytest.mark.parametrize("size", [(300, 300), (640, 480), (1920, 1080)], ids=str)
def test_a_pose_costs_a_few_milliseconds(size: tuple[int, int]) -> None:
    reference, tensor = pattern(size), np.empty((256, 256, 3), np.uint8)
    frame = np.asarray(np.roll(reference, (3, 5), (0, 1)))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        plain = median_ms(lambda: written(frame, tensor, None))
        for share in (0.03, 0.08, 0.12):
            pose = Pose(reference, Alignment(share * max(size), 0.5), INPUT)
            laid = median_ms(lambda pose=pose: written(frame, tensor, pose))
            found = median_ms(lambda pose=pose: pose.fit(frame))
            sys.stdout.write(
                f"\n{size[0]} x {size[1]}, parts up to {share:.0%} aside: resized {plain:.2f} ms, laid {laid:.2f}, "
                f"of which {found:.2f} to find the place"
            )
            assert laid < plain + 30
    finally:
        cv2.setNumThreads(threads)
