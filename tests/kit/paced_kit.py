"""A camera that costs what a camera costs and needs no hardware: prepared frames, copied into its buffers at a pace.

Emulated are the pace, the transfer (one copy of every frame into one of the driver's buffers) and a driver's short
queue: who reads later than the queue is deep has missed frames, and they are counted. Not emulated are a network or
USB, and decoding.
"""

import queue
import time
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.camera import Shot

Image = NDArray[np.uint8]
_QUEUE_FRAMES = 4  # as V4L2 devices have


def prepared(count: int = 4, size: tuple[int, int] = (1920, 1080), seed: int = 0) -> list[Image]:
    """Frames of one soft scene, each with a sensor's noise of its own."""
    random = np.random.default_rng(seed)
    scene = cv2.resize(random.integers(60, 200, (9, 16, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
    return [np.clip(scene + random.normal(0, 2, (size[1], size[0], 1)), 0, 255).astype(np.uint8) for _ in range(count)]


class PacedCamera:
    """Free-running at `fps`, or one frame for each trigger where that is None; `missed` counts frames nobody read."""

    def __init__(self, frames: Sequence[Image], fps: float | None, buffers: int = 12) -> None:
        self.missed = 0
        self._frames = frames
        self._period_s = None if fps is None else 1 / fps
        self._buffers = [frames[0].copy() for _ in range(buffers)]  # touched, as a driver's are
        self._given = 0
        self._started_s = 0.0
        self._triggers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def open(self) -> None:
        self._started_s = time.monotonic()

    def close(self) -> None: ...

    def trigger(self, number: int) -> None:
        self._triggers.put(number)

    def read(self, timeout_s: float) -> Shot | None:
        if self._period_s is None:
            try:
                return self._shot(self._triggers.get(timeout=timeout_s))
            except queue.Empty:
                return None
        late = int((time.monotonic() - self._started_s) / self._period_s) - self._given - self.missed
        self.missed += max(0, late - _QUEUE_FRAMES)
        due_s = self._started_s + (self._given + self.missed + 1) * self._period_s
        wait_s = due_s - time.monotonic()
        time.sleep(max(0.0, min(wait_s, timeout_s)))
        return None if wait_s > timeout_s else self._shot(None)

    def _shot(self, number: int | None) -> Shot:
        buffer = self._buffers[self._given % len(self._buffers)]
        np.copyto(buffer, self._frames[self._given % len(self._frames)])
        self._given += 1
        return Shot(buffer[:], "", number)
