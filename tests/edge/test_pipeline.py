import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from brokers import eventually
from edge_kit import MODEL, Collected, detections, image, part

from edge.capture.camera import Shot
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.pictures.watch import CameraRules, PictureWatch
from edge.decide.recipe import Recipe, Rule
from edge.domain.errors import CameraError
from edge.domain.frame import Frame, Image
from edge.domain.inspection import Inspection
from edge.domain.part import Verdict
from edge.health import Health
from edge.infer.engine import ModelTimeoutError
from edge.pipeline import Eyes, Pipeline, PipelineLimits, Product
from edge.record.recorder import Recorder
from models.detections import Detections
from models.errors import ModelError
from models.spec import InputSpec, Kind, ModelId, ModelSpec

SPEC = ModelSpec(Kind.ANOMALY, ("anomaly",), (InputSpec("image", 64, 64),))
RECIPE = Recipe(Kind.ANOMALY, "1", {"anomaly": Rule(0.5, 0, 0, np.zeros((0, 4), np.float32))})
DECIDE_S = 0.5


class EchoCamera:
    """Answers trigger n with an image, unless `answers` says otherwise; jammed refuses triggers, gone is lost."""

    def __init__(self) -> None:
        self.answers = True
        self.jammed = False
        self.gone = False
        self.slow_s = 0.0
        self.level = 128
        self._triggers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def open(self) -> None:
        if self.gone:
            raise CameraError("unplugged", "camera_lost")

    def close(self) -> None: ...

    def trigger(self, number: int) -> None:
        if self.jammed:
            raise RuntimeError("jammed")
        if self.answers:
            self._triggers.put(number)

    def read(self, timeout_s: float) -> Shot | None:
        if self.gone:
            raise CameraError("unplugged", "camera_lost")
        try:
            number = self._triggers.get(timeout=timeout_s)
        except queue.Empty:
            return None
        assert not threading.Event().wait(self.slow_s)
        return Shot(image(self.level), "", number)


class HandEngine:
    """An engine worked by hand: what it finds, or the fault it has, for each frame in turn."""

    def __init__(self) -> None:
        self.found: Detections | Exception = detections()
        self.refuses: Exception | None = None
        self.hangs = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.starts_slowly = False
        self.submitted = 0

    @property
    def spec(self) -> ModelSpec:
        return SPEC

    @property
    def model_id(self) -> ModelId:
        return MODEL

    def submit(self, image: Image, timeout_s: float) -> "HandEngine":
        assert image.flags.writeable is False
        assert timeout_s <= DECIDE_S
        self.submitted += 1
        if self.starts_slowly:
            assert not threading.Event().wait(timeout_s)
        if self.refuses:
            raise self.refuses
        return self

    def result(self, timeout_s: float) -> Detections:
        assert 0 <= timeout_s <= DECIDE_S
        assert self.free.wait(10)
        if self.hangs.is_set():
            assert not threading.Event().wait(timeout_s)
            raise ModelTimeoutError("no answer")
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def selftest(self) -> None: ...

    def close(self) -> None: ...


class Records(Collected):
    """Stands where the recorder is: keeps what it is given."""

    def record(self, inspection: Inspection, frames: tuple[object, ...] = ()) -> None:
        self((inspection, frames))

    def verdicts(self, count: int) -> list[tuple[str, Verdict, tuple[str, ...]]]:
        return [(one.part.part_id, one.verdict, one.all_reasons) for one, _ in self.wait_for(count)]


@dataclass
class Line:
    pipeline: Pipeline
    records: Records
    cameras: dict[str, EchoCamera]
    engine: HandEngine
    health: Health
    drains: dict[str, Drain] = field(default_factory=dict)


@contextmanager
def line(*cameras: str, queue_parts: int = 8, watch: type[PictureWatch] | None = None) -> Iterator[Line]:
    engine, records, health = HandEngine(), Records(), Health()
    drivers = {name: EchoCamera() for name in cameras or ("top",)}
    drains = {
        name: Drain(name, camera, CaptureLimits(0, 0.3, 5, 8), triggered=True, on_state=lambda _lost, _why: None)
        for name, camera in drivers.items()
    }
    recorder: Recorder = records  # type: ignore[assignment]
    limits = PipelineLimits(queue_parts, DECIDE_S, 0.4)
    eyes = Eyes(watch({name: CameraRules() for name in drivers}, {}, health)) if watch else Eyes()
    products = {"blob": Product("blob", engine, RECIPE)}
    pipeline = Pipeline(products, drains, recorder, health, limits, replayed=False, eyes=eyes)
    for drain in drains.values():
        drain.start()
        eventually(lambda lost=drain: not lost._lost)  # noqa: SLF001 - the camera is open
    pipeline.start()
    try:
        yield Line(pipeline, records, drivers, engine, health, drains)
    finally:
        pipeline.stop(5)
        for drain in drains.values():
            drain.stop(5)


def test_the_models_answer_decides() -> None:
    with line() as made:
        made.pipeline.accept(part("good"))
        made.records.wait_for(1)
        made.engine.found = detections((1, 1, 9, 9, 0.9))
        made.pipeline.accept(part("bad"))
        assert made.records.verdicts(2) == [("good", Verdict.PASS, ()), ("bad", Verdict.REJECT, ("anomaly:1",))]
        inspection, frames = made.records.items[0]
        assert inspection.latency_ms["looked"] <= inspection.latency_ms["decided"]
        assert len(frames) == 1


def test_parts_keep_their_order_and_each_is_recorded_once() -> None:
    with line(queue_parts=64) as made:
        for number in range(40):
            made.pipeline.accept(part(f"p-{number}"))
        assert [part_id for part_id, _, _ in made.records.verdicts(40)] == [f"p-{number}" for number in range(40)]


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        pytest.param(part("p", "unheard-of"), "unknown_product", id="unknown product"),
        pytest.param(part("p", cameras=("top", "attic")), "unknown_camera", id="unknown camera"),
    ],
)
def test_a_part_that_cannot_be_inspected_is_recorded_at_once(of: object, reason: str) -> None:
    with line() as made:
        made.pipeline.accept(of)  # type: ignore[arg-type]
        assert made.records.verdicts(1) == [("p", Verdict.UNDECIDED, (reason,))]


def test_a_full_queue_is_undecided_at_once_and_the_waiting_parts_are_still_inspected() -> None:
    with line(queue_parts=2) as made:
        made.cameras["top"].answers = False
        for number in range(8):
            made.pipeline.accept(part(f"p-{number}"))
        verdicts = made.records.verdicts(8)
        reasons = [reason for _, _, (reason,) in verdicts]
        assert reasons.count("queue_full") >= 5
        assert set(reasons) <= {"queue_full", "no_frame", "deadline_passed"}
        assert {verdict for _, verdict, _ in verdicts} == {Verdict.UNDECIDED}
        assert made.health.faults() == {}


FAULTS = [
    pytest.param(ModelError("NaN"), "model_fault", "model:blob", id="NaN"),
    pytest.param(ModelTimeoutError("no answer"), "model_timeout", "model:blob", id="time-out"),
    pytest.param(ZeroDivisionError("a defect"), "internal_fault", "pipeline", id="a defect of ours"),
    pytest.param(MemoryError("no memory"), "internal_fault", "pipeline", id="no memory"),
]


@pytest.mark.parametrize("where", [pytest.param("found", id="answer"), pytest.param("refuses", id="submit")])
@pytest.mark.parametrize(("error", "reason", "fault"), FAULTS)
def test_a_models_fault_is_undecided_and_an_alarm_and_the_next_part_is_inspected(
    where: str, error: Exception, reason: str, fault: str
) -> None:
    with line() as made:
        setattr(made.engine, where, error)
        made.pipeline.accept(part("p-1"))
        assert made.records.verdicts(1) == [("p-1", Verdict.UNDECIDED, (reason,))]
        assert set(made.health.faults()) == {fault}
        made.engine.found, made.engine.refuses = detections(), None
        made.pipeline.accept(part("p-2"))
        assert made.records.verdicts(2)[1][1] is Verdict.PASS
        assert set(made.health.faults()) == {fault}, "only a self-test closes it: one good frame proves little"
        assert made.pipeline.failure is None


def test_a_class_nobody_judges_is_undecided() -> None:
    with line() as made:
        made.engine.found = detections((1, 1, 9, 9, 0.9), class_id=1)
        made.pipeline.accept(part("p-1"))
        assert made.records.verdicts(1) == [("p-1", Verdict.UNDECIDED, ("model_fault",))]


def test_a_model_that_hangs_costs_its_part_no_more_than_its_time() -> None:
    with line() as made:
        made.engine.hangs.set()
        of = part("p-1")
        made.pipeline.accept(of)
        assert made.records.verdicts(1) == [("p-1", Verdict.UNDECIDED, ("model_timeout",))]
        assert time.monotonic() - of.triggered_s < DECIDE_S + 0.3


def test_a_part_that_waited_behind_others_until_its_time_was_over_is_not_the_models_fault() -> None:
    with line() as made:
        late = part("late")
        object.__setattr__(late, "triggered_s", late.triggered_s - DECIDE_S - 0.01)
        object.__setattr__(made.drains["top"], "_limits", CaptureLimits(0, 30, 30, 8))
        made.pipeline.accept(late)
        assert made.records.verdicts(1)[0][1] is Verdict.UNDECIDED
        assert made.records.verdicts(1)[0][2] in {("deadline_passed",), ("no_frame",)}
        assert made.health.faults() == {}
        assert made.engine.submitted == 0


def test_a_model_that_was_given_no_time_is_not_called_broken() -> None:
    with line() as made:
        made.engine.starts_slowly = True
        made.engine.hangs.set()
        made.pipeline.accept(part("p-1"))
        assert made.records.verdicts(1) == [("p-1", Verdict.UNDECIDED, ("deadline_passed",))]
        assert made.health.faults() == {}


def test_an_engine_that_never_comes_back_is_a_pulse_that_is_late_and_an_idle_line_is_none() -> None:
    with line() as made:
        eventually(lambda: all(pulse.late_s(time.monotonic() + 60) > 0 for pulse in made.pipeline.pulses.values()))
        made.engine.free.clear()
        made.pipeline.accept(part("p-1"))
        eventually(lambda: made.pipeline.pulses["judge"].late_s(time.monotonic()) > 0)
        assert made.pipeline.pulses["look"].late_s(time.monotonic()) == 0
        made.engine.free.set()
        made.records.wait_for(1)
        eventually(lambda: made.pipeline.pulses["judge"].late_s(time.monotonic()) == 0)


def test_one_camera_of_two_that_gives_nothing_makes_the_part_undecided() -> None:
    with line("top", "side") as made:
        made.cameras["side"].answers = False
        made.pipeline.accept(part("p-1"))
        assert made.records.verdicts(1) == [("p-1", Verdict.UNDECIDED, ("no_frame",))]
        views = {view.camera_id: view.verdict for view in made.records.items[0][0].views}
        assert views == {"top": Verdict.PASS, "side": Verdict.UNDECIDED}
        made.pipeline.accept(part("p-2", cameras=("top",)))
        assert made.records.verdicts(2)[1][1] is Verdict.PASS


def test_of_three_cameras_one_lost_and_one_too_slow_cost_the_part_and_the_third_is_still_judged() -> None:
    with line("top", "left", "right") as made:
        made.cameras["left"].gone = True
        eventually(lambda: bool(made.drains["left"]._lost))  # noqa: SLF001 - the drain knows
        made.cameras["right"].slow_s = 0.35
        of = part("p-1")
        made.pipeline.accept(of)
        (told,) = made.records.verdicts(1)
        assert time.monotonic() - of.triggered_s < DECIDE_S + 0.3
        assert (told[1], set(told[2])) == (Verdict.UNDECIDED, {"camera_lost", "no_frame"})
        views = {view.camera_id: (view.verdict, view.reasons) for view in made.records.items[0][0].views}
        assert views["top"] == (Verdict.PASS, ())
        assert views["left"] == (Verdict.UNDECIDED, ("camera_lost",))
        made.cameras["left"].gone, made.cameras["right"].slow_s = False, 0.05
        eventually(lambda: not made.drains["left"]._lost)  # noqa: SLF001
        made.pipeline.accept(part("p-2"))
        assert made.records.verdicts(2)[1] == ("p-2", Verdict.PASS, ())


def test_of_three_cameras_one_that_sees_a_defect_rejects_and_one_that_is_black_outweighs_it() -> None:
    class Watch(PictureWatch):
        def reasons(self, product_id: str, frame: Frame) -> tuple[str, ...]:
            assert product_id == "blob"
            return ("camera_black",) if frame.camera_id == "right" and dark.is_set() else ()

    dark = threading.Event()
    with line("top", "left", "right", watch=Watch) as made:
        made.engine.found = detections((1, 1, 9, 9, 0.9))
        made.pipeline.accept(part("p-1"))
        assert made.records.verdicts(1) == [("p-1", Verdict.REJECT, ("anomaly:1",))]
        dark.set()
        made.pipeline.accept(part("p-2"))
        assert made.records.verdicts(2)[1] == ("p-2", Verdict.UNDECIDED, ("anomaly:1", "camera_black"))
        view = {view.camera_id: view for view in made.records.items[1][0].views}["right"]
        assert (view.verdict, view.reasons, len(view.detections)) == (Verdict.UNDECIDED, ("camera_black",), 1)


def test_a_check_that_breaks_is_undecided_and_an_alarm_and_never_a_pass() -> None:
    class Broken(PictureWatch):
        def reasons(self, product_id: str, frame: Frame) -> tuple[str, ...]:
            raise ZeroDivisionError(f"{product_id} {frame.camera_id}")

    with line(watch=Broken) as made:
        for number in range(2):
            made.pipeline.accept(part(f"p-{number}"))
        assert [one[1:] for one in made.records.verdicts(2)] == [(Verdict.UNDECIDED, ("internal_fault",))] * 2
        assert set(made.health.faults()) == {"pipeline"}
        assert made.pipeline.failure is None


def test_a_picture_that_is_doubted_and_a_model_that_fails_are_both_told() -> None:
    with line(watch=PictureWatch) as made:
        made.cameras["top"].level = 0
        made.engine.found = ModelError("NaN")
        made.pipeline.accept(part("p-1"))
        assert made.records.verdicts(1) == [("p-1", Verdict.UNDECIDED, ("model_fault", "camera_black"))]


def test_a_camera_that_cannot_be_triggered_costs_its_part_and_not_the_line_port() -> None:
    with line() as made:
        made.cameras["top"].jammed = True
        made.pipeline.accept(part("p-1"))
        assert made.records.verdicts(1) == [("p-1", Verdict.UNDECIDED, ("camera_fault",))]


def test_a_stop_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    with line(queue_parts=64) as made:
        for number in range(20):
            made.pipeline.accept(part(f"p-{number}"))
        made.pipeline.stop(5)
        made.pipeline.accept(part("too-late"))
        verdicts = made.records.verdicts(21)
        assert [one for one in verdicts if one[2] == ("stopping",)] == [("too-late", Verdict.UNDECIDED, ("stopping",))]
        assert len({part_id for part_id, _, _ in verdicts}) == 21


def test_a_thread_that_dies_says_of_what() -> None:
    class Broken(Records):
        def record(self, inspection: Inspection, frames: tuple[object, ...] = ()) -> None:
            raise RuntimeError(f"broken: {inspection} {frames}")

    with line() as made:
        made.pipeline._recorder = Broken()  # type: ignore[assignment]  # noqa: SLF001 - the fault itself
        made.pipeline.accept(part())
        eventually(lambda: isinstance(made.pipeline.failure, RuntimeError))
