import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from brokers import eventually
from edge_kit import Collected, image

from edge.capture.camera import Shot
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.latest import Latest
from edge.domain.errors import CameraError

LIMITS = CaptureLimits(latency_s=0.0, timeout_s=0.25, max_age_s=5.0, buffer_frames=4)
LEVELS = 50


class HandCamera:
    """A camera worked by hand: gives what is put into it, and fails when it is told to."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.triggers: list[int] = []
        self.unplugged = threading.Event()
        self._shots: queue.SimpleQueue[Shot | Exception] = queue.SimpleQueue()

    def open(self) -> None:
        if self.unplugged.is_set():
            raise CameraError("unplugged", "camera_lost")
        self.opened += 1

    def trigger(self, number: int) -> None:
        self.triggers.append(number)

    def read(self, timeout_s: float) -> Shot | None:
        try:
            shot = self._shots.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(shot, Exception):
            raise shot
        return shot

    def close(self) -> None:
        self.closed += 1

    def give(self, level: int, number: int | None = None) -> None:
        self._shots.put(Shot(image(level), f"{level}", number))

    def give_late(self, level: int, held_s: float) -> None:
        self._shots.put(Shot(image(level), f"{level}", held_s=held_s))

    def fail(self, error: Exception) -> None:
        self._shots.put(error)


@contextmanager
def draining(
    camera: HandCamera, *, triggered: bool, limits: CaptureLimits = LIMITS
) -> Iterator[tuple[Drain, Collected]]:
    states = Collected()
    drain = Drain("top", camera, limits, triggered=triggered, on_state=states)
    drain.start()
    try:
        eventually(lambda: camera.opened or camera.unplugged.is_set())
        yield drain, states
    finally:
        drain.stop(5)


def arrive(camera: HandCamera, drain: Drain, level: int, number: int | None = None) -> None:
    """Give an image and wait until the drain has it."""
    before = drain.counters.received
    camera.give(level, number)
    eventually(lambda: drain.counters.received > before)


def soon() -> float:
    return time.monotonic() + 5


def refusal(drain: Drain, triggered_s: float | None = None, until_s: float | None = None) -> str:
    claim = drain.claim(time.monotonic() if triggered_s is None else triggered_s)
    with pytest.raises(CameraError) as error:
        drain.take(claim, soon() if until_s is None else until_s)
    return error.value.reason


def test_a_free_running_camera_gives_the_first_frame_that_came_after_the_trigger() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, _):
        arrive(camera, drain, 1)
        claim = drain.claim(time.monotonic())
        arrive(camera, drain, 2)
        arrive(camera, drain, 3)
        assert drain.take(claim, soon()).source == "2"
        assert drain.counters.orphaned == 1


def test_a_frame_is_used_once_and_gets_old_for_the_next_part() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, _):
        first, second = drain.claim(time.monotonic()), drain.claim(time.monotonic())
        arrive(camera, drain, 1)
        assert drain.take(first, soon()).source == "1"
        with pytest.raises(CameraError) as error:
            drain.take(second, soon())
        assert error.value.reason == "no_frame"


def test_a_frame_that_comes_sooner_than_light_could_is_not_this_parts() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False, limits=replace(LIMITS, latency_s=0.1)) as (drain, _):
        claim = drain.claim(time.monotonic())
        arrive(camera, drain, 1)
        with pytest.raises(CameraError) as error:
            drain.take(claim, soon())
        assert error.value.reason == "no_frame"


def test_the_frame_that_came_too_late_for_one_part_is_left_to_the_next() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, _):
        early = drain.claim(time.monotonic() - 1.0)
        right = drain.claim(time.monotonic())
        arrive(camera, drain, 1)
        with pytest.raises(CameraError, match="too late"):
            drain.take(early, soon())
        assert drain.take(right, soon()).source == "1"


def test_many_parts_and_frames_each_frame_lies_in_its_parts_window_and_is_used_once() -> None:
    camera = HandCamera()
    limits = replace(LIMITS, latency_s=0.002, timeout_s=0.02, buffer_frames=1000)
    with draining(camera, triggered=False, limits=limits) as (drain, _):
        pause, triggers, taken = threading.Event(), [], []
        for number in range(120):
            camera.give(number % 200)
            if number % 3:
                triggers.append(drain.claim(time.monotonic()))
            pause.wait(0.002)
        for claim in triggers:
            try:
                taken.append((claim, drain.take(claim, soon())))
            except CameraError as error:
                assert error.reason == "no_frame"  # noqa: PT017 - counted, not expected
        assert len(taken) > 20
        assert len({frame.seq for _, frame in taken}) == len(taken)
        for claim, frame in taken:
            assert 0.002 <= frame.monotonic_s - claim.triggered_s <= 0.022


@pytest.mark.parametrize("triggered", [pytest.param(True, id="triggered"), pytest.param(False, id="free")])
def test_no_frame_means_missed_within_its_time_limit(triggered: bool) -> None:  # noqa: FBT001 - a parameter
    with draining(HandCamera(), triggered=triggered) as (drain, states):
        if not triggered:
            drain._camera.give(9)  # type: ignore[attr-defined]  # noqa: SLF001 - so that it is there at all
            states.wait_for(1)
        started_s = time.monotonic()
        assert refusal(drain) == "no_frame"
        assert 0.2 < time.monotonic() - started_s < 0.6
        assert refusal(drain, until_s=time.monotonic()) == "no_frame"


def test_a_triggered_camera_answers_each_trigger_with_its_own_frame() -> None:
    camera = HandCamera()
    with draining(camera, triggered=True) as (drain, _):
        claims = [drain.claim(time.monotonic()) for _ in range(3)]
        assert camera.triggers == [1, 2, 3]
        for number in (1, 2, 3):
            camera.give(number, number)
        assert [drain.take(claim, soon()).source for claim in claims] == ["1", "2", "3"]
        assert drain.counters.used == 3


def test_a_skipped_trigger_costs_its_own_part_only() -> None:
    camera = HandCamera()
    with draining(camera, triggered=True) as (drain, _):
        skipped, answered = drain.claim(time.monotonic()), drain.claim(time.monotonic())
        arrive(camera, drain, 2, 2)
        with pytest.raises(CameraError, match="skipped"):
            drain.take(skipped, soon())
        assert drain.take(answered, soon()).source == "2"


@pytest.mark.parametrize(
    ("latency_s", "reason"),
    [pytest.param(0.2, "stale_frame", id="before its latency"), pytest.param(0.0, "no_frame", id="after its time")],
)
def test_a_triggered_frame_outside_its_window_is_refused(latency_s: float, reason: str) -> None:
    camera = HandCamera()
    with draining(camera, triggered=True, limits=replace(LIMITS, latency_s=latency_s)) as (drain, _):
        claim = drain.claim(time.monotonic() - (0.0 if latency_s else 1.0))
        arrive(camera, drain, 1, 1)
        with pytest.raises(CameraError) as error:
            drain.take(claim, soon())
        assert error.value.reason == reason


def test_a_frame_that_waited_too_long_to_be_looked_at_is_stale() -> None:
    camera = HandCamera()
    with draining(camera, triggered=True, limits=replace(LIMITS, max_age_s=0.02)) as (drain, _):
        claim = drain.claim(time.monotonic())
        arrive(camera, drain, 1, 1)
        assert not threading.Event().wait(0.03)
        with pytest.raises(CameraError) as error:
            drain.take(claim, soon())
        assert error.value.reason == "stale_frame"
        assert drain.counters.used == 0


def test_frames_nobody_takes_are_dropped_oldest_first_and_counted() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, _):
        claim = drain.claim(time.monotonic())
        for level in range(7):
            arrive(camera, drain, level)
        frame = drain.take(claim, soon())
        assert (frame.source, frame.seq, drain.counters.dropped) == ("3", 4, 3)


def test_a_viewer_sees_the_newest_frame_and_counts_what_it_missed() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, _):
        latest = Latest(drain)
        arrive(camera, drain, 1)
        assert latest.take(soon()).source == "1"
        for level in range(2, 9):
            arrive(camera, drain, level)
        assert latest.take(soon()).source == "8"
        assert (latest.seen, latest.dropped) == (2, 6)
        with pytest.raises(CameraError) as error:
            latest.take(time.monotonic() + 0.05)
        assert error.value.reason == "no_frame"


def test_a_viewer_takes_no_frame_from_a_part() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, _):
        latest, claim = Latest(drain), drain.claim(time.monotonic())
        arrive(camera, drain, 1)
        assert latest.take(soon()) is drain.take(claim, soon())


def test_a_viewer_of_a_lost_camera_hears_of_the_loss() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, states):
        latest = Latest(drain)
        camera.fail(CameraError("gone", "camera_lost"))
        states.wait_for(1)
        with pytest.raises(CameraError, match="gone"):
            latest.take(soon())


def test_an_image_that_was_held_up_on_its_way_counts_from_when_it_should_have_come() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, _):
        claim = drain.claim(time.monotonic())
        camera.give_late(1, held_s=0.2)
        eventually(lambda: drain.counters.received)
        camera.give_late(2, held_s=0.0)
        frame = drain.take(claim, soon())
        assert frame.source == "2", "an image from before the trigger"


def test_a_lost_camera_is_said_at_once_and_is_back_by_itself() -> None:
    camera = HandCamera()
    with draining(camera, triggered=True) as (drain, states):
        states.wait_for(1)
        camera.unplugged.set()
        camera.fail(CameraError("gone", "camera_lost"))
        assert states.wait_for(2)[1] == (True, "gone")
        started_s = time.monotonic()
        assert refusal(drain) == "camera_lost"
        assert time.monotonic() - started_s < 0.2
        camera.unplugged.clear()
        eventually(lambda: states.items[-1] == (False, ""))
        claim = drain.claim(time.monotonic())
        camera.give(5, claim.number)
        assert drain.take(claim, soon()).source == "5"
        assert camera.closed == drain.counters.losses >= 1


def test_a_frame_that_came_before_the_loss_still_serves_its_part() -> None:
    """The last image of a replay was thrown away when its end was noticed before the part had taken it."""
    camera = HandCamera()
    with draining(camera, triggered=True) as (drain, states):
        claim = drain.claim(time.monotonic())
        arrive(camera, drain, 1, 1)
        camera.fail(CameraError("at its end", "camera_lost"))
        states.wait_for(2)
        assert drain.take(claim, soon()).source == "1"


def test_a_waiting_part_hears_of_the_loss_at_once() -> None:
    camera = HandCamera()
    with draining(camera, triggered=True, limits=replace(LIMITS, timeout_s=30)) as (drain, _):
        claim = drain.claim(time.monotonic())
        camera.fail(CameraError("gone", "camera_lost"))
        started_s = time.monotonic()
        with pytest.raises(CameraError, match="gone"):
            drain.take(claim, soon())
        assert time.monotonic() - started_s < 2


def test_a_camera_that_opens_but_gives_nothing_is_never_called_good() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, states):
        for _ in range(2):
            opened = camera.opened
            camera.fail(CameraError("no image", "camera_lost"))
            eventually(lambda before=opened: camera.opened > before)
        assert states.items == [(True, "no image")]
        assert refusal(drain) == "camera_lost"


def test_a_free_running_camera_that_falls_silent_counts_as_lost_until_its_next_image() -> None:
    camera = HandCamera()
    with draining(camera, triggered=False) as (drain, states):
        arrive(camera, drain, 1)
        drain.watch(time.monotonic() + 1)
        assert states.wait_for(1) == [(False, "")]
        drain.watch(time.monotonic() + 3)
        lost, why = states.wait_for(2)[1]
        assert lost
        assert "no image for 3" in why
        assert refusal(drain) == "camera_lost"
        arrive(camera, drain, 2)
        assert states.wait_for(3)[2] == (False, "")


@pytest.mark.parametrize(
    "error",
    [pytest.param(ValueError("a driver's defect"), id="read"), pytest.param(MemoryError("no memory"), id="memory")],
)
def test_a_drivers_defect_reaches_the_daemon(error: Exception) -> None:
    camera = HandCamera()
    with draining(camera, triggered=True) as (drain, _):
        camera.fail(error)
        eventually(lambda: drain.failure is error)
        assert refusal(drain) == "camera_lost"


def test_a_close_that_fails_does_not_end_the_thread_in_silence() -> None:
    class Jammed(HandCamera):
        def close(self) -> None:
            raise RuntimeError("jammed")

    camera = Jammed()
    with draining(camera, triggered=True) as (drain, _):
        camera.fail(CameraError("gone"))
        eventually(lambda: isinstance(drain.failure, RuntimeError))


def test_an_image_that_is_none_is_the_cameras_fault() -> None:
    camera = HandCamera()
    with draining(camera, triggered=True) as (drain, states):
        camera._shots.put(Shot(image()[:, :, 0]))  # noqa: SLF001 - a grey image, which no driver may give
        states.wait_for(2)
        assert "expected an image" in states.items[1][1]
        assert drain.failure is None


def test_a_stopped_drain_refuses_and_lets_go_of_the_camera() -> None:
    camera = HandCamera()
    with draining(camera, triggered=True) as (drain, _):
        pass
    assert camera.closed == 1
    assert refusal(drain) == "camera_lost"
