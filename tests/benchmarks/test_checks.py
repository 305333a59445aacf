"""What the checks of a picture cost and what they find: false alarms on held-out real frames, faults made from them.

Limits are learned from one half of a set, the other half is judged: for the video the second half in time, for sets of
parts by near-twin groups, magnetic tiles by tile. No threshold was chosen on the half that is judged.
"""

import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from faults_kit import FAULTS, Image, blurred, exposed, moved
from paced_kit import prepared

from edge.capture.pictures.checks import Gauge, find
from edge.capture.pictures.limits import Learner
from edge.demo.cells import load_cells
from models.near_twins import groups

pytestmark = pytest.mark.benchmark
DATA = Path(__file__).parents[2].parent / "shared" / "data"
ROUNDS = 300
JUDGED = 150
MADE: dict[str, Callable[[Image], Image]] = {name: fault for name, (fault, _) in FAULTS.items()} | {
    "blur of 1 px": lambda image: blurred(image, 1),
    "blur of 4 px": lambda image: blurred(image, 4),
    "blur of 4 px, noise 1": lambda image: blurred(image, 4, noise=1),
    "+1 EV": lambda image: exposed(image, 1),
    "shift of 10 %": lambda image: moved(image, 0.10),
}
Halves = tuple[list[Image], list[Image]]


def video() -> Halves:
    """A fixed camera over a belt with bottles."""
    capture, frames = cv2.VideoCapture(str(DATA / "video" / "bottle-detection.mp4")), []
    while capture.grab():
        frames.append(np.asarray(capture.retrieve()[1], np.uint8))
    return frames[: len(frames) // 2 : 2], frames[len(frames) // 2 :: 2]


def cells() -> Halves:
    """Good solar cells."""
    images = [read(cell.path) for cell in load_cells() if cell.probability == 0]
    twins = groups([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8) for image in images])
    return halves(images, [int(group) for group in twins])


def tiles() -> Halves:
    """Good magnetic tiles, each shot at six exposures and cut to a size of its own."""
    with (DATA / "magnetic_tile" / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["class"] == "good"]
    return halves(
        [read(DATA / "magnetic_tile" / row["file"]) for row in rows], [int(row["tile_group"]) for row in rows]
    )


def aliens() -> Halves:
    """A few small colour pictures of one part, by hand."""
    images = [read(path) for path in sorted((DATA / "aliens" / "normal").iterdir())]
    return halves(images, list(range(len(images))))


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)


def halves(images: list[Image], group: list[int]) -> Halves:
    """By groups, so that no near-twin of a learned frame is judged."""
    known = sorted(set(group))
    learned = set(np.random.default_rng(0).permutation(known)[: len(known) // 2].tolist())
    chosen = [number in learned for number in group]
    return (
        [image for image, here in zip(images, chosen, strict=True) if here],
        [image for image, here in zip(images, chosen, strict=True) if not here],
    )


@pytest.mark.parametrize("load", [pytest.param(load, id=load.__name__) for load in (video, cells, tiles, aliens)])
def test_false_alarms_and_finds_on_held_out_real_frames(load: Callable[[], Halves]) -> None:
    if not DATA.is_dir() and load is not cells:
        pytest.skip("no test data beside the repository")
    good, held_out = load()
    learner, gauge = Learner(), Gauge()
    for image in good:
        learner.see(image)
    limits = learner.limits()
    assert limits is not None
    assert [index for index, image in enumerate(good) if find(gauge, image, limits)] == []
    alarms = Counter(finding.reason for image in held_out for finding in find(gauge, image, limits))
    doubted = sum(bool(find(gauge, image, limits)) for image in held_out)
    spread = held_out[:: max(1, len(held_out) // JUDGED)]
    found = {name: np.mean([bool(find(gauge, make(image), limits)) for image in spread]) for name, make in MADE.items()}
    shift = "no shift learned" if limits.place is None else f"shift up to {limits.place.shift_high_px:.0f} px"
    sys.stdout.write(
        f"\n{load.__name__}: learned from {len(good)}, {shift}; false alarms {doubted} of {len(held_out)} "
        f"{dict(alarms)}; " + ", ".join(f"{name} {share:.0%}" for name, share in found.items())
    )
    assert doubted <= 0.03 * len(held_out) + 1
    assert found["black"] == 1


def test_the_checks_of_a_1080p_frame_beside_the_models_resize() -> None:
    cv2.setNumThreads(1)
    frames = prepared(6)
    learner, gauge = Learner(), Gauge()
    for _ in range(5):
        for frame in frames:
            learner.see(frame)
    limits = learner.limits()
    assert limits is not None
    assert limits.place is not None
    work: dict[str, Callable[[Image], object]] = {
        "checks": lambda frame: find(gauge, frame, limits),
        "without limits": lambda frame: find(gauge, frame, None),
        "resize to 640": lambda frame: cv2.resize(frame, (640, 360)),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for name, frame in _turns(frames, list(work)):
        started_s = time.perf_counter()
        work[name](frame)
        times[name].append((time.perf_counter() - started_s) * 1000)
    p50 = {name: float(np.median(each)) for name, each in times.items()}
    ratio = p50["checks"] / p50["resize to 640"]
    sys.stdout.write(f"\n1080p, one thread, p50 ms: {p50}; checks over the model's own resize: {ratio:.2f}")
    assert ratio < 3


def _turns(frames: list[Image], names: list[str]) -> Iterator[tuple[str, Image]]:
    for number in range(ROUNDS):
        for name in names:
            yield name, frames[number % len(frames)]
