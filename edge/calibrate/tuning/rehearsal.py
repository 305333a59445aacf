"""The whole station but for its line and its real cameras, run with each contender's model in turn.

What a plan is worth shows only beside everything else that wants the CPU: capture threads, picture checks, letterbox,
decision, the database's durable commits and the images that are stored. All that is the daemon's own code here, in a
folder of its own. Not in it: the transfer and decoding of camera images (each frame costs one copy), the line's and the
cloud's connections.
"""

import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from edge.calibrate.tuning.search import Reading
from edge.capture.camera import Shot
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.pictures.checks import Check
from edge.capture.pictures.watch import CameraRules, PictureWatch
from edge.decide.recipe import Recipe
from edge.domain.errors import StorageError
from edge.domain.frame import Frame, Image
from edge.domain.inspection import Committed, Inspection
from edge.domain.part import Part
from edge.health import Health
from edge.infer.engine import Engine
from edge.pipeline import Eyes, Pipeline, PipelineLimits, Product
from edge.record.eviction import Limits
from edge.record.image_writer import ImageWriter
from edge.record.images import ImageStore
from edge.record.recorder import Recorder
from models.errors import ModelError

_PREFIX = ".tune-"
_PATIENCE_S = 20.0
_STOP_S = 10.0
_SETTLE_S = 0.5
_QUEUE_PARTS = 64
_FREE_BYTES = 1 << 30
_ALL_CHECKS_SILENT = CameraRules(frozenset(Check))


class StillCamera:
    """Gives a copy of the next prepared frame at each trigger, as a driver hands over an image of its own."""

    def __init__(self, frames: Sequence[Image]) -> None:
        self._frames = frames
        self._given = 0
        self._triggers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def trigger(self, number: int) -> None:
        """One frame, please."""
        self._triggers.put(number)

    def read(self, timeout_s: float) -> Shot | None:
        """The next frame once it is triggered."""
        try:
            number = self._triggers.get(timeout=timeout_s)
        except queue.Empty:
            return None
        image = self._frames[self._given % len(self._frames)].copy()
        self._given += 1
        return Shot(image, "", number)


@dataclass(frozen=True, slots=True)
class Staging:
    """What a rehearsal needs beside the engines.

    Args:
        folder: on the disk of the station's data; the rehearsal's own files below it are removed at the end.
        cameras: frames by camera id.
        recipe: the product's rules.
        images: whether images are stored, and in which format; empty for none.
    """

    folder: Path
    cameras: Mapping[str, Sequence[Image]]
    recipe: Recipe
    images: str = "jpeg"


class Rehearsal:
    """A station with one product for each engine.

    Args:
        staging: the station.
        engines: by name.

    Raises:
        StorageError: the folder cannot be written.
    """

    def __init__(self, staging: Staging, engines: Mapping[str, Engine]) -> None:
        self._staging = staging
        self._stack = ExitStack()
        self._done: queue.SimpleQueue[Inspection] = queue.SimpleQueue()
        self._count = self._kept_frames = 0
        self._health = Health()
        self._folder = self._temporary()
        try:
            self._recorder = self._make_recorder()
            self._images = ImageWriter(
                ImageStore(self._folder / "images", staging.images or "jpeg"),
                self._recorder,
                Limits(_FREE_BYTES),
                lambda _works, _why: None,
            )
            self._pipeline = self._make_pipeline(engines)
        except Exception:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self._stack.pop_all())
            stack.callback(self._recorder.stop, _STOP_S)
            self._recorder.start()
            stack.callback(self._images.stop, _STOP_S)
            self._images.start()
            for drain in self._drains.values():
                stack.callback(drain.stop, _STOP_S)
                drain.start()
            stack.callback(self._pipeline.stop, _STOP_S)
            self._pipeline.start()
            self._await_cameras()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def run(self, name: str, seconds: float, in_flight: int, cameras: Sequence[str] = ()) -> Reading:
        """Trigger parts for so long, `in_flight` of them at once; a new one as soon as one is on disk.

        Args:
            name: whose engine looks.
            seconds: for how long parts are triggered; two are in any case.
            in_flight: parts that wait for their verdict at once.
            cameras: those that see the part; all if left out.

        Raises:
            ModelError: a part came to no end.
        """
        started_s, cpu_s, running = time.monotonic(), time.process_time(), 0
        ended: list[Inspection] = []
        while running or time.monotonic() - started_s < seconds:
            while running < in_flight and (time.monotonic() - started_s < seconds or len(ended) + running < in_flight):
                self._trigger(name, cameras)
                running += 1
            if not running:
                break
            ended.append(self._next())
            running -= 1
        took_s = time.monotonic() - started_s
        answered = [one for one in ended if all(view.detections is not None for view in one.views)]
        latencies_ms = tuple(one.latency_ms["decided"] for one in answered if "decided" in one.latency_ms)
        cpu_s = time.process_time() - cpu_s
        self._let_images_go()
        return Reading(len(latencies_ms), took_s, latencies_ms, cpu_s, len(ended) - len(latencies_ms))

    def _let_images_go(self) -> None:
        """What is still to be stored must not meet the next turn."""
        until_s, pause = time.monotonic() + _SETTLE_S, threading.Event()
        while self._images.stored + self._images.dropped < self._kept_frames and time.monotonic() < until_s:
            pause.wait(0.005)

    def _trigger(self, name: str, cameras: Sequence[str]) -> None:
        self._count += 1
        self._pipeline.accept(Part(f"r-{self._count}", name, datetime.now(UTC), time.monotonic(), tuple(cameras)))

    def _next(self) -> Inspection:
        try:
            return self._done.get(timeout=_PATIENCE_S)
        except queue.Empty:
            raise ModelError(f"rehearsal: a part came to no end within {_PATIENCE_S:g} s: {self._why()}") from None

    def _why(self) -> str:
        failures = [self._pipeline.failure, self._recorder.failure, *(each.failure for each in self._drains.values())]
        return "; ".join([*map(str, filter(None, failures)), *self._health.faults().values()]) or "no fault was raised"

    def _temporary(self) -> Path:
        try:
            self._staging.folder.mkdir(parents=True, exist_ok=True)
            remove_left(self._staging.folder)
            own = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=self._staging.folder)
            return Path(self._stack.enter_context(own))
        except OSError as error:
            raise StorageError(f"cannot write {self._staging.folder}: {error.strerror}") from error

    def _make_recorder(self) -> Recorder:
        return Recorder(
            "rehearsal",
            self._folder / "station.db",
            keeps_image=lambda _inspection: bool(self._staging.images),
            on_committed=self._committed,
            on_unrecorded=self._done.put,
            on_storage=lambda _works, _why: None,
        )

    def _committed(self, committed: Committed, frames: tuple[Frame, ...]) -> None:
        if self._staging.images and frames:
            self._kept_frames += len(frames)
            self._images.keep(committed, frames)
        self._done.put(committed.inspection)

    def _make_pipeline(self, engines: Mapping[str, Engine]) -> Pipeline:
        limits = CaptureLimits(0, _PATIENCE_S, _PATIENCE_S, 4 * _QUEUE_PARTS)
        self._drains = {
            camera_id: Drain(camera_id, StillCamera(frames), limits, triggered=True, on_state=lambda _lost, _why: None)
            for camera_id, frames in self._staging.cameras.items()
        }
        products = {name: Product(name, engine, self._staging.recipe) for name, engine in engines.items()}
        watch = PictureWatch(dict.fromkeys(self._drains, _ALL_CHECKS_SILENT), {}, self._health)
        patience = PipelineLimits(_QUEUE_PARTS, _PATIENCE_S, _PATIENCE_S)
        eyes = Eyes(watch)
        return Pipeline(products, self._drains, self._recorder, self._health, patience, replayed=True, eyes=eyes)

    def _await_cameras(self) -> None:
        for drain in self._drains.values():
            claim = drain.claim(time.monotonic())
            until_s, pause = time.monotonic() + _PATIENCE_S, threading.Event()
            while drain.counters.received == 0 and time.monotonic() < until_s:
                pause.wait(0.005)
            drain.take(claim, until_s)


def remove_left(folder: Path) -> None:
    """Remove what a rehearsal that was killed left in the station's data folder: records and images of its own."""
    for left in folder.glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
