"""The GigE driver against Aravis's simulated camera, which streams our own images in a network of the test's own."""

import hashlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import gige_kit
import numpy as np
import pytest
from brokers import eventually
from edge_kit import Collected
from gige_kit import ADDRESS, SERIAL, lose_packets, own_network, simulated_camera

from edge.capture.camera import Shot
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.industrial.genicam_settings import GenicamSettings
from edge.capture.industrial.gige import GigeCamera
from edge.domain.errors import CameraError

pytestmark = pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "all there")
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "deeppcb" / "templates"
SOFTWARE = GenicamSettings("software", "Line1", 0.5)
FREE = GenicamSettings("free", "Line1", 0.5)
HARDWARE = GenicamSettings("hardware", "Line1", 0.4)
PAUSE_S = 0.8
IMAGES = 12
SIZE = (96, 64)


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A dozen images of noise: no two are alike, and no bit of them can be wrong unseen."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(IMAGES):
        noise = np.random.default_rng(number).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:03}.png"), noise)
    return folder


def sha(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def shown(folder: Path, channels: int = 1) -> list[str]:
    """What the camera shows, in order."""
    pictures = [cv2.imread(str(file), cv2.IMREAD_COLOR) for file in sorted(folder.iterdir())]
    return [sha(picture if channels == 3 else picture[..., 0]) for picture in pictures if picture is not None]


def read_one(camera: GigeCamera, within_s: float = 5.0) -> Shot:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if (shot := camera.read(0.1)) is not None:
            return shot
    raise AssertionError(f"no image within {within_s} s")


def read_all(camera: GigeCamera, quiet_s: float = 0.3) -> list[Shot]:
    """Every image that still comes."""
    shots: list[Shot] = []
    while (shot := camera.read(quiet_s)) is not None:
        shots.append(shot)
    return shots


@pytest.fixture
def stack(_network: None) -> Iterator[ExitStack]:
    """What is to be closed, the last first, before the network goes."""
    with ExitStack() as things:
        yield things


def opened(stack: ExitStack, settings: GenicamSettings = SOFTWARE, name: str = ADDRESS) -> GigeCamera:
    camera = GigeCamera(name, settings)
    stack.callback(camera.close)
    camera.open()
    return camera


@pytest.mark.parametrize("pixel_format", [pytest.param("RGB8", id="RGB8"), pytest.param("BayerRG8", id="Bayer")])
def test_every_trigger_gets_the_image_that_the_camera_exposed_for_it(
    pixel_format: str, images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    wanted = shown(images, channels=3)
    stack.enter_context(simulated_camera(images, tmp_path / "log", "--format", pixel_format))
    camera = opened(stack)
    for number in range(1, 2 * IMAGES + 1):
        camera.trigger(number)
        shot = read_one(camera)
        assert shot.trigger_number == number
        if pixel_format == "BayerRG8":
            # The sensor's own samples are left as they are by the demosaicing: green on its places.
            source = cv2.imread(str(sorted(images.iterdir())[(number - 1) % IMAGES]), cv2.IMREAD_COLOR)
            assert source is not None
            assert (shot.image[2:-2:2, 3:-2:2, 1] == source[2:-2:2, 3:-2:2, 1]).all()
        else:
            assert sha(shot.image) == wanted[(number - 1) % IMAGES]


@pytest.mark.skipif(not REAL.is_dir(), reason="no deeppcb data beside the repository")
def test_real_boards_arrive_bit_by_bit(tmp_path: Path, stack: ExitStack) -> None:
    folder = tmp_path / "boards"
    folder.mkdir()
    for file in sorted(REAL.iterdir())[:20]:
        (folder / file.name).symlink_to(file)
    stack.enter_context(simulated_camera(folder, tmp_path / "log"))
    camera = opened(stack)
    for number, wanted in enumerate(shown(folder), 1):
        camera.trigger(number)
        assert sha(read_one(camera).image[..., 0]) == wanted


def test_frame_ids_wrap_and_skip_0_and_no_trigger_is_missed(images: Path, tmp_path: Path, stack: ExitStack) -> None:
    wanted = shown(images)
    stack.enter_context(simulated_camera(images, tmp_path / "log"))
    camera = opened(stack)
    for number in range(1, 561):  # the simulator's ids begin at 65001
        camera.trigger(number)
        shot = read_one(camera)
        assert shot.trigger_number == number
        assert sha(shot.image[..., 0]) == wanted[(number - 1) % IMAGES]


def test_triggers_back_to_back_are_fired_one_after_another_and_each_has_its_frame(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    simulated = stack.enter_context(simulated_camera(images, tmp_path / "log"))
    camera = opened(stack)
    for number in range(1, 6):
        camera.trigger(number)
    shots = read_all(camera)
    assert simulated.exposed() == 5
    assert [shot.trigger_number for shot in shots] == [1, 2, 3, 4, 5]
    assert [sha(shot.image[..., 0]) for shot in shots] == shown(images)[:5]


def test_a_trigger_that_waited_too_long_for_its_turn_is_not_fired(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    simulated = stack.enter_context(simulated_camera(images, tmp_path / "log", "--trigger-hz", "20"))
    camera = opened(stack, replace(SOFTWARE, within_s=0.2))
    for number in range(1, 41):
        camera.trigger(number)
    numbers = [shot.trigger_number for shot in read_all(camera, 0.5)]
    assert simulated.exposed() < 20
    assert numbers[0] == 1
    assert None not in numbers


def test_a_free_running_camera_keeps_the_pace_it_is_told(images: Path, tmp_path: Path, stack: ExitStack) -> None:
    wanted = shown(images)
    stack.enter_context(simulated_camera(images, tmp_path / "log", "--fps", "5"))
    camera = opened(stack, replace(FREE, fps=100))
    started_s = time.monotonic()
    shots = [read_one(camera) for _ in range(60)]
    assert 0.5 < time.monotonic() - started_s < 5
    at = wanted.index(sha(shots[0].image[..., 0]))
    assert [sha(shot.image[..., 0]) for shot in shots] == [wanted[(at + step) % IMAGES] for step in range(60)]
    assert {shot.trigger_number for shot in shots} == {None}


def test_with_packets_lost_a_frame_is_whole_and_its_triggers_own_or_there_is_none(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    wanted = shown(images)
    stack.enter_context(simulated_camera(images, tmp_path / "log"))
    camera = opened(stack)
    lose_packets(per_thousand=100)
    shots, until_s = [], time.monotonic() + 30
    for number in range(1, 26):
        camera.trigger(number)
        while len(shots) + camera.counters.incomplete < number and time.monotonic() < until_s:
            if (shot := camera.read(0.5)) is not None:
                shots.append(shot)
    lose_packets(0)
    assert 2 < len(shots) < 25
    for shot in shots:
        assert shot.trigger_number is not None
        assert sha(shot.image[..., 0]) == wanted[(shot.trigger_number - 1) % IMAGES]
    assert camera.counters.complete == len(shots)


def test_a_stream_that_does_not_get_through_is_told_after_five_triggers_and_mends(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    simulated = stack.enter_context(simulated_camera(images, tmp_path / "log", "--with-line"))
    camera = opened(stack, replace(HARDWARE, within_s=0.3))
    lose_packets(per_thousand=1000, longer_than=0)
    for number in range(1, 5):
        camera.trigger(number)
        simulated.pulse()
        assert read_all(camera, 0.05) == []
    camera.trigger(5)
    with pytest.raises(CameraError, match="5 triggers in a row had no frame: check"):
        read_one(camera)
    lose_packets(0)
    camera.close()
    camera.open()
    assert read_all(camera, PAUSE_S) == []
    camera.trigger(10)
    simulated.pulse()
    assert read_one(camera).trigger_number == 10


def test_the_line_input_fires_and_its_frames_answer_the_lines_triggers(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    wanted = shown(images)
    simulated = stack.enter_context(simulated_camera(images, tmp_path / "log", "--with-line"))
    camera = opened(stack, HARDWARE)
    assert read_all(camera, PAUSE_S) == []
    for number in range(1, 20):
        camera.trigger(number)
        simulated.pulse()
        shot = read_one(camera)
        assert shot.trigger_number == number
        assert sha(shot.image[..., 0]) == wanted[(number - 1) % IMAGES]
    simulated.pulse()
    assert read_one(camera).trigger_number is None
    assert read_all(camera, PAUSE_S) == []
    camera.trigger(20)
    simulated.pulse()
    assert read_one(camera).trigger_number == 20


def test_a_pulse_that_the_camera_missed_shifts_no_frame_and_a_new_start_mends_it(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    simulated = stack.enter_context(simulated_camera(images, tmp_path / "log", "--with-line"))
    camera = opened(stack, HARDWARE)
    assert read_all(camera, PAUSE_S) == []
    camera.trigger(1)
    assert read_all(camera, 0.5) == []
    camera.trigger(2)
    simulated.pulse()
    with pytest.raises(CameraError, match=r"trigger 1 had no frame within 400 ms") as error:
        read_one(camera)
    assert error.value.reason == "camera_lost"
    camera.close()
    camera.open()
    assert read_all(camera, PAUSE_S) == []
    camera.trigger(3)
    simulated.pulse()
    assert read_one(camera).trigger_number == 3


def test_a_camera_is_found_by_serial_number_name_and_address_and_another_is_told_who_is_there(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    stack.enter_context(simulated_camera(images, tmp_path / "log"))
    for name in (SERIAL, f"Aravis-Fake-{SERIAL}", ADDRESS):
        camera = opened(stack, name=name)
        camera.trigger(1)
        assert read_one(camera).trigger_number == 1
        camera.close()
    with pytest.raises(CameraError, match=f"no cameras of that name answer; found: {SERIAL} at {ADDRESS}"):
        opened(stack, name="GV78")


def test_an_address_that_no_way_leads_to_is_a_camera_error() -> None:
    with pytest.raises(CameraError, match=r"no way to 10\.1\.2\.3.*powered and cabled") as error:
        GigeCamera("10.1.2.3", SOFTWARE).open()
    assert error.value.reason == "camera_lost"


@pytest.mark.soak  # the simulator does not answer who may not control it: 5 s of the library's patience
def test_a_camera_that_somebody_else_controls_is_refused_until_it_is_let_go(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    stack.enter_context(simulated_camera(images, tmp_path / "log"))
    first, second = opened(stack), GigeCamera(ADDRESS, SOFTWARE)
    with pytest.raises(CameraError, match="nobody else controls it"):
        second.open()
    first.trigger(1)
    assert read_one(first).trigger_number == 1
    first.close()
    stack.callback(second.close)
    second.open()
    second.trigger(1)
    assert read_one(second).trigger_number == 1


def test_settings_are_locked_and_taken_where_the_camera_has_them(
    images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    stack.enter_context(simulated_camera(images, tmp_path / "log", "--with-line"))
    opened(stack, replace(HARDWARE, exposure_us=5000, gain_db=0.5, pixel_format="Mono8"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param(
            replace(SOFTWARE, exposure_us=5000),
            r"ExposureTimeAbs: expected 5000, the camera has 2500 .* set camera.exposure_us = 2500",
            id="another exposure",
        ),
        pytest.param(replace(SOFTWARE, pixel_format="BGR8"), "PixelFormat|BGR8", id="a format that it lacks"),
        pytest.param(
            replace(SOFTWARE, pixel_format="Mono16"), "Mono16 is not read: set camera.pixel_format", id="16 bit"
        ),
        pytest.param(replace(HARDWARE, line="Line7"), "Line7", id="a line that it lacks"),
    ],
)
def test_a_camera_that_sets_something_else_is_refused(
    settings: GenicamSettings, says: str, images: Path, tmp_path: Path, stack: ExitStack
) -> None:
    stack.enter_context(simulated_camera(images, tmp_path / "log", "--halves-exposure"))
    camera = GigeCamera(ADDRESS, settings)
    with pytest.raises(CameraError, match=f"cannot be set up: .*({says})"):
        camera.open()
    opened(stack, replace(SOFTWARE, pixel_format="Mono8"))  # it was let go of


def draining(camera: GigeCamera, *, triggered: bool) -> tuple[Drain, Collected]:
    states = Collected()
    drain = Drain("top", camera, CaptureLimits(0, 0.5, 5, 16), triggered=triggered, on_state=states)
    drain.start()
    return drain, states


@pytest.mark.parametrize(
    ("how", "settings"),
    [
        pytest.param("cut", SOFTWARE, id="power cut, software trigger"),
        pytest.param("hang", FREE, id="it hangs, free-running"),
    ],
)
def test_a_lost_camera_is_told_at_once_and_found_again_when_it_returns(
    how: str, settings: GenicamSettings, images: Path, tmp_path: Path
) -> None:
    with simulated_camera(images, tmp_path / "log") as simulated:
        drain, states = draining(GigeCamera(ADDRESS, settings), triggered=settings.trigger != "free")
        try:
            states.wait_for(1)
            assert states.items[0] == (False, "")
            if how == "cut":
                simulated.kill()
            else:
                simulated.signal(signal.SIGSTOP)
            lost, why = states.wait_for(2)[1]
            assert lost
            assert SERIAL in why or ADDRESS in why
            with pytest.raises(CameraError) as error:
                drain.take(drain.claim(time.monotonic()), time.monotonic() + 1)
            assert error.value.reason == "camera_lost"
            if how == "cut":
                simulated.start()
            else:
                simulated.signal(signal.SIGCONT)
            eventually(lambda: states.items[-1][0] is False)
            claim = drain.claim(time.monotonic())
            assert drain.take(claim, time.monotonic() + 5).size == SIZE
        finally:
            drain.stop(5)


def test_a_camera_restarted_between_two_looks_is_noticed_and_opened_again(images: Path, tmp_path: Path) -> None:
    with simulated_camera(images, tmp_path / "log") as simulated:
        drain, states = draining(GigeCamera(ADDRESS, SOFTWARE), triggered=True)
        try:
            states.wait_for(1)
            simulated.kill()
            simulated.start()
            assert states.wait_for(3)[2] == (False, "")
            claim = drain.claim(time.monotonic())
            assert drain.take(claim, time.monotonic() + 5).size == SIZE
        finally:
            drain.stop(5)


def test_letting_go_of_a_camera_that_hangs_holds_up_neither_a_stop_nor_a_thread(images: Path, tmp_path: Path) -> None:
    with simulated_camera(images, tmp_path / "log") as simulated:
        camera = GigeCamera(ADDRESS, SOFTWARE)
        camera.open()
        simulated.signal(signal.SIGSTOP)
        with pytest.raises(CameraError, match="no answer on its control channel"):
            read_one(camera)
        started_s = time.monotonic()
        camera.close()
        assert time.monotonic() - started_s < 2
        with pytest.raises(CameraError, match="still being let go of"):
            camera.open()
        simulated.signal(signal.SIGCONT)
        eventually(lambda: not {thread.name for thread in threading.enumerate()} & {"let-go", "camera-control"})
