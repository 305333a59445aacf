"""One inspection, from trigger to record: claim frames, look, decide, write.

Two threads keep the parts in order: one waits for frames and starts the model, the other waits for its answer and
decides.

Invariants:
- Every accepted part ends in exactly one recorded inspection, whatever fails on the way.
- A fault is a view that is UNDECIDED with a reason; nothing but a model's answer can become PASS or REJECT.
- So is a picture that its camera's checks do not trust, whatever the model says of it.
- A model's fault stays open until its self-test passes; a part that came too late to be looked at, or that its golden
  reference does not explain, is not its fault.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from edge.capture.codes.desk import CodeDesk, CodeTicket
from edge.capture.codes.reading import CodeRule
from edge.capture.drain import Claim, Drain
from edge.capture.pictures.watch import PictureWatch
from edge.decide.recipe import Recipe, decide
from edge.domain.errors import CameraError
from edge.domain.frame import Frame
from edge.domain.inspection import FrameInfo, Inspection, View
from edge.domain.part import Part, Verdict
from edge.health import Health
from edge.infer.engine import Engine, ModelTimeoutError, Ticket
from edge.pauses import Pauses
from edge.pulse import Pulse
from edge.record.recorder import Recorder
from models.errors import AlignmentError, ModelError

log = structlog.get_logger()
_PATIENCE_S = 0.1
_STUCK_S = 60.0
_NONE_WAITS = 0.99
_TOO_LATE = "deadline_passed"


@dataclass(frozen=True, slots=True)
class Product:
    """What a kind of part is looked at with and judged by, and the code it carries, if any.

    `by_camera` holds the rules of cameras that have a scale of their own; the others go by `recipe`.
    """

    product_id: str
    engine: Engine
    recipe: Recipe
    code: CodeRule | None = None
    by_camera: Mapping[str, Recipe] = field(default_factory=dict)

    def recipe_for(self, camera_id: str) -> Recipe:
        """The rules for what a camera shows."""
        return self.by_camera.get(camera_id, self.recipe)


@dataclass(frozen=True, slots=True)
class Eyes:
    """What looks at a picture beside the model: the checks of the cameras, and what reads codes."""

    pictures: PictureWatch | None = None
    codes: CodeDesk | None = None


_NO_EYES = Eyes()


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """How many parts may wait; seconds from trigger to decision at most; seconds a model may take at most."""

    queue_parts: int
    decide_within_s: float
    model_timeout_s: float


@dataclass(frozen=True, slots=True)
class _Job:
    part: Part
    product: Product
    claims: Mapping[str, Claim | None]
    decide_by_s: float


@dataclass(frozen=True, slots=True)
class _Look:
    """One camera's frame on its way through the model, or the fault that ended it."""

    camera_id: str
    frame: Frame | None = None
    ticket: Ticket | None = None
    fault: str = ""


class Pipeline:
    """Inspects parts in the order of their triggers; `failure` is what ended one of its threads, if anything did.

    `pulses` show that its threads go round, by their names.

    Args:
        products: by product id.
        drains: by camera id.
        recorder: where inspections go; it tells the line.
        health: where faults are raised.
        limits: queue and time limits.
        replayed: the cameras replay files.
        eyes: the checks of the cameras, and what reads codes.
    """

    def __init__(
        self,
        products: Mapping[str, Product],
        drains: Mapping[str, Drain],
        recorder: Recorder,
        health: Health,
        limits: PipelineLimits,
        *,
        replayed: bool,
        eyes: Eyes = _NO_EYES,
    ) -> None:
        self.failure: Exception | None = None
        self.pauses = Pauses()
        slack_s = limits.decide_within_s + limits.model_timeout_s
        self.pulses = {"look": Pulse(slack_s), "judge": Pulse(slack_s)}
        self._products = products
        self._drains = drains
        self._recorder = recorder
        self._health = health
        self._limits = limits
        self._replayed = replayed
        self._eyes = eyes
        self._jobs: queue.Queue[_Job] = queue.Queue(limits.queue_parts)
        self._running: queue.Queue[tuple[_Job, list[_Look], CodeTicket | None, float]] = queue.Queue(limits.queue_parts)
        self._stop = threading.Event()
        self._accepting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._guard, args=(self._look_at_parts,), name="look", daemon=True),
            threading.Thread(target=self._guard, args=(self._judge_parts,), name="judge", daemon=True),
        ]

    def start(self) -> None:
        """Start the threads."""
        if self._eyes.codes is not None:
            self._eyes.codes.start()
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish the parts that wait and end the threads, waiting at most `timeout_s` seconds each."""
        with self._accepting:
            self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_s)
        if self._eyes.codes is not None:
            self._eyes.codes.stop(timeout_s)

    def watch(self, now_s: float) -> None:
        """Look after alarms that no part may come to close."""
        if self._eyes.codes is not None:
            self._eyes.codes.watch(now_s)

    def accept(self, part: Part) -> None:
        """Take a triggered part; one that cannot be inspected is recorded as UNDECIDED at once. Never blocks."""
        with self._accepting:
            refusal = self._refusal(part)
            if not refusal:
                self._jobs.put_nowait(self._job(part))
        if refusal:
            self._refuse(part, refusal)

    def slack(self) -> float:
        """The share of its time that the part whose turn is next has left; 1 where none is on its way. Any thread.

        Only the looking thread takes parts: asked there, one that waits now still does a moment later.
        """
        with self._jobs.mutex:
            waiting: deque[_Job] = self._jobs.queue
            decide_by_s = waiting[0].decide_by_s if waiting else None
        if decide_by_s is None:
            return 1.0 if self._running.empty() else _NONE_WAITS
        return min(_NONE_WAITS, (decide_by_s - time.monotonic()) / self._limits.decide_within_s)

    def _refusal(self, part: Part) -> str:
        if part.product not in self._products:
            return "unknown_product"
        if not set(part.cameras) <= set(self._drains):
            return "unknown_camera"
        if self._jobs.full():
            return "queue_full"
        return "stopping" if self._stop.is_set() else ""

    def _job(self, part: Part) -> _Job:
        claims = {camera: self._claim(camera, part) for camera in part.cameras or self._drains}
        return _Job(part, self._products[part.product], claims, part.triggered_s + self._limits.decide_within_s)

    def _claim(self, camera_id: str, part: Part) -> Claim | None:
        try:
            return self._drains[camera_id].claim(part.triggered_s)
        except Exception as error:
            log.error("a camera could not be triggered", camera=camera_id, part_id=part.part_id, exc_info=error)
            return None

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the daemon must learn of it and stop
            self.failure = error

    def _refuse(self, part: Part, reason: str) -> None:
        self._recorder.record(Inspection(part, (), (reason,), replayed=self._replayed))

    def _look_at_parts(self) -> None:
        while not (self._stop.is_set() and self._jobs.empty()):
            self.pulses["look"].beat()
            self.pauses.offer(self.slack())
            try:
                job = self._jobs.get(timeout=self.pauses.patience_s)
            except queue.Empty:
                continue
            looks = [self._look(job, camera_id, claim) for camera_id, claim in job.claims.items()]
            self._running.put((job, looks, self._ask_code(job, looks), _since_ms(job.part)), timeout=_STUCK_S)

    def _look(self, job: _Job, camera_id: str, claim: Claim | None) -> _Look:
        frame: Frame | None = None
        if claim is None:
            return _Look(camera_id, fault="camera_fault")
        try:
            frame = self._drains[camera_id].take(claim, job.decide_by_s)
            patience_s = job.decide_by_s - time.monotonic()
            if patience_s <= 0:
                return _Look(camera_id, frame, fault=_TOO_LATE)
            ticket = job.product.engine.submit(frame.image, patience_s)
        except Exception as error:  # noqa: BLE001 - whatever failed, the part is UNDECIDED and the next one is looked at
            return _Look(camera_id, frame, fault=self._fault(job, error))
        return _Look(camera_id, frame, ticket)

    def _judge_parts(self) -> None:
        while self._threads[0].is_alive() or not self._running.empty():
            self.pulses["judge"].beat()
            try:
                job, looks, ticket, looked_ms = self._running.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue
            views = tuple(self._judge(job, look) for look in looks)
            code, reasons = self._judge_code(job, ticket)
            latency_ms = {"looked": looked_ms, "decided": _since_ms(job.part)}
            version = job.product.recipe.version
            inspection = Inspection(job.part, views, reasons, version, latency_ms, self._replayed, code)
            self._recorder.record(inspection, tuple(look.frame for look in looks if look.frame is not None))

    def _ask_code(self, job: _Job, looks: list[_Look]) -> CodeTicket | None:
        rule, desk = job.product.code, self._eyes.codes
        if rule is None or desk is None:
            return None
        frames = [look.frame for look in looks if look.camera_id == rule.camera_id and look.frame is not None]
        return desk.ask(frames[0].image, rule, job.decide_by_s) if frames else None

    def _judge_code(self, job: _Job, ticket: CodeTicket | None) -> tuple[str | None, tuple[str, ...]]:
        rule, desk = job.product.code, self._eyes.codes
        return (None, ()) if rule is None or desk is None else desk.judge(job.product.product_id, rule, ticket)

    def _judge(self, job: _Job, look: _Look) -> View:
        """What the camera's checks and the model say; the checks look while the model is still at it."""
        doubts = self._doubts(job, look)
        view = self._judge_by_model(job, look)
        if not doubts:
            return view
        faults = view.reasons if view.verdict is Verdict.UNDECIDED else ()
        return replace(view, verdict=Verdict.UNDECIDED, reasons=(*faults, *doubts))

    def _doubts(self, job: _Job, look: _Look) -> tuple[str, ...]:
        if look.frame is None or self._eyes.pictures is None:
            return ()
        try:
            return self._eyes.pictures.reasons(job.product.product_id, look.frame)
        except Exception as error:  # noqa: BLE001 - a picture that could not be checked is not trusted
            return (self._fault(job, error),)

    def _judge_by_model(self, job: _Job, look: _Look) -> View:
        info = FrameInfo.of(look.frame) if look.frame else None
        if look.ticket is None:
            return View(look.camera_id, Verdict.UNDECIDED, (look.fault,), info)
        engine = job.product.engine
        try:
            patience_s = max(0.0, min(self._limits.model_timeout_s, job.decide_by_s - time.monotonic()))
            detections = look.ticket.result(patience_s)
            verdict, reasons = decide(detections, engine.spec.classes, job.product.recipe_for(look.camera_id))
        except Exception as error:  # noqa: BLE001 - whatever failed, the part is UNDECIDED and the next one is judged
            waited = patience_s > 0 or not isinstance(error, ModelTimeoutError)
            fault = self._fault(job, error) if waited else _TOO_LATE
            return View(look.camera_id, Verdict.UNDECIDED, (fault,), info, model=engine.model_id)
        return View(look.camera_id, verdict, reasons, info, detections, engine.spec.classes, engine.model_id)

    def _fault(self, job: _Job, error: Exception) -> str:
        match error:
            case CameraError():
                return error.reason
            case ModelTimeoutError():
                self._health.raise_fault(model_fault(job.product.product_id), str(error))
                return "model_timeout"
            case AlignmentError():
                return "reference_misaligned"
            case ModelError():
                self._health.raise_fault(model_fault(job.product.product_id), str(error))
                return "model_fault"
            case _:
                log.error("defect in the pipeline", part_id=job.part.part_id, exc_info=error)
                self._health.raise_fault("pipeline", f"{type(error).__name__}: {error}")
                return "internal_fault"


def model_fault(product_id: str) -> str:
    """The name of the fault that a product's model raises."""
    return f"model:{product_id}"


def _since_ms(part: Part) -> float:
    return (time.monotonic() - part.triggered_s) * 1000
