"""How many 1080p cameras two cores take in: eight at 30 frames a second without a missing one; and what checks cost.

Cameras are emulated (`paced_kit` says what that means); drains, checks and clocks are the station's own.
"""

import sys
import threading
import time
from dataclasses import dataclass

import pytest
from paced_kit import PacedCamera, prepared

from edge.capture.drain import CaptureLimits, Drain

CAMERAS = 8
FPS = 30
LIMITS = CaptureLimits(0, 1, 1, 4)


@dataclass(frozen=True)
class Taken:
    """What came of a run: the fewest frames any camera gave, how many were missed or cameras lost, and cores used."""

    seconds: float
    fewest: int
    missed: int
    losses: int
    cores: float


def take(cameras: int, fps: float, seconds: float) -> Taken:
    """Let cameras run into their drains; every frame is looked at for whether it repeats the last."""
    frames = prepared()
    drivers = [PacedCamera(frames, fps) for _ in range(cameras)]
    drains = [
        Drain(f"c-{number}", driver, LIMITS, triggered=False, on_state=lambda _lost, _why: None, notes_repeats=True)
        for number, driver in enumerate(drivers)
    ]
    for drain in drains:
        drain.start()
    pause = threading.Event()
    while min(drain.counters.received for drain in drains) == 0:
        pause.wait(0.01)
    before = [drain.counters.received for drain in drains]
    started_s, cpu_s = time.monotonic(), time.process_time()
    missed = sum(driver.missed for driver in drivers)
    pause.wait(seconds)
    took_s, used_s = time.monotonic() - started_s, time.process_time() - cpu_s
    received = [drain.counters.received - earlier for drain, earlier in zip(drains, before, strict=True)]
    missed = sum(driver.missed for driver in drivers) - missed
    for drain in drains:
        drain.stop(5)
    return Taken(took_s, min(received), missed, sum(drain.counters.losses for drain in drains), used_s / took_s)


def run(seconds: float) -> None:
    found = take(CAMERAS, FPS, seconds)
    sys.stdout.write(
        f"\n{CAMERAS} emulated 1080p cameras at {FPS} fps for {found.seconds:.0f} s: fewest {found.fewest} frames of "
        f"{found.seconds * FPS:.0f}, {found.missed} missed, {found.cores:.2f} cores"
    )
    assert found.losses == 0
    assert found.missed == 0
    assert found.fewest >= int(found.seconds * FPS) - 1


@pytest.mark.benchmark
def test_eight_cameras_miss_no_frame() -> None:
    run(10)


@pytest.mark.soak
def test_eight_cameras_miss_no_frame_in_a_minute() -> None:
    run(60)
