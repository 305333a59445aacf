"""How many cameras at how many parts a second two cores inspect before a part is UNDECIDED: the honest limit.

Every part is one 1080p frame of each camera, checked, inferred, decided and committed; a rate counts where every part
of a run was decided within the deadline, or of a second run where the first had one that was not: this machine may be
shared. Cameras are emulated and triggered (`paced_kit` says what that means).
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from edge_kit import NOW
from full_size_kit import anomaly_256, detector_640
from paced_kit import PacedCamera, prepared

from edge.capture.drain import CaptureLimits, Drain
from edge.capture.pictures.checks import Check
from edge.capture.pictures.watch import CameraRules, PictureWatch
from edge.config import InferenceSection
from edge.decide.recipe import Recipe, Rule
from edge.domain.inspection import Committed
from edge.domain.part import Part, Verdict
from edge.health import Health
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import make_plan
from edge.pipeline import Eyes, Pipeline, PipelineLimits, Product
from edge.record.recorder import Recorder
from models.bundle import Bundle
from models.cpus import granted_cpus

pytestmark = pytest.mark.benchmark
SECONDS = 4
DEADLINE_S = 0.44
RATES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200)
MAKE = {"anomaly 256": anomaly_256, "detector 640": detector_640}


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    return prepared(4)


@contextmanager
def station(
    folder: Path, bundle: Bundle, cameras: int, frames: list[object]
) -> Iterator[tuple[Pipeline, list[object]]]:
    """Drains, checks, engine, pipeline and recorder as the daemon wires them."""
    told: list[Committed] = []
    health = Health()
    names = [f"c-{number}" for number in range(cameras)]
    drains = {
        name: Drain(
            name,
            PacedCamera(frames, None, 24),  # type: ignore[arg-type]
            CaptureLimits(0, 0.4, 1, 16),
            triggered=True,
            on_state=lambda _lost, _why: None,
            notes_repeats=True,
        )
        for name in names
    }
    recorder = Recorder(
        "bench",
        folder / f"{cameras}-{time.monotonic_ns()}.db",
        keeps_image=lambda _inspection: False,
        on_committed=lambda committed, _frames: told.append(committed),
        on_unrecorded=lambda _inspection: None,
        on_storage=lambda _works, _why: None,
    )
    engine = OpenVinoEngine(bundle, make_plan(InferenceSection(), granted_cpus(), cameras))
    rules = {name: Rule(0.5, 0, 0, np.zeros((0, 4), np.float32)) for name in bundle.spec.classes}
    product = Product("part", engine, Recipe(bundle.spec.kind, "1", rules))
    watch = PictureWatch({name: CameraRules(frozenset({Check.FROZEN}), live=True) for name in names}, {}, health)
    limits = PipelineLimits(64, DEADLINE_S, 2)
    pipeline = Pipeline({"part": product}, drains, recorder, health, limits, replayed=False, eyes=Eyes(watch))
    recorder.start()
    for drain in drains.values():
        drain.start()
    pipeline.start()
    try:
        threading.Event().wait(0.3)
        yield pipeline, told  # type: ignore[misc]
    finally:
        pipeline.stop(10)
        for drain in drains.values():
            drain.stop(5)
        recorder.stop(10)
        engine.close()


def undecided(pipeline: Pipeline, told: list[object], rate_hz: float) -> Counter[str]:
    """Trigger parts at a pace; the reasons of those that were not decided."""
    told.clear()
    count, started_s, pause = int(SECONDS * rate_hz), time.monotonic(), threading.Event()
    for number in range(count):
        pause.wait(max(0.0, started_s + number / rate_hz - time.monotonic()))
        pipeline.accept(Part(f"p-{number}", "part", NOW, time.monotonic()))
    until_s = time.monotonic() + 10
    while len(told) < count and time.monotonic() < until_s:
        pause.wait(0.02)
    assert len(told) == count
    inspections = [committed.inspection for committed in told]  # type: ignore[attr-defined]
    return Counter(reason for one in inspections if one.verdict is Verdict.UNDECIDED for reason in one.all_reasons)


@pytest.mark.parametrize("cameras", [1, 2, 4, 8])
@pytest.mark.parametrize("model", list(MAKE))
def test_the_highest_rate_at_which_every_part_is_decided(
    tmp_path: Path, frames: list[object], model: str, cameras: int
) -> None:
    bundle = MAKE[model](tmp_path, frames)  # type: ignore[arg-type]
    with station(tmp_path, bundle, cameras, frames) as (pipeline, told):
        undecided(pipeline, told, 1)
        low, high = 0, len(RATES)
        beyond: Counter[str] = Counter()
        while low < high:
            middle = (low + high) // 2
            lost = undecided(pipeline, told, RATES[middle])
            lost = lost and undecided(pipeline, told, RATES[middle])
            low, high, beyond = (low, middle, lost) if lost else (middle + 1, high, beyond)
    best = RATES[low - 1] if low else 0
    sys.stdout.write(
        f"\n{model}, {cameras} cameras: {best} parts/s = {best * cameras} frames/s, all decided; beyond {dict(beyond)}"
    )
    assert best >= 1
