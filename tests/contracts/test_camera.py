"""What every camera keeps: the same promises from files, an OpenCV device, network cameras and industrial cameras."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2
import gige_kit
import numpy as np
import pytest
from genicam_kit import viky_producer
from served import Server, network_section, served
from station_kit import write_frames

from edge.capture.camera import Camera, Shot
from edge.capture.industrial.genicam import GenicamCamera
from edge.capture.industrial.genicam_settings import GenicamSettings
from edge.capture.industrial.gige import GigeCamera
from edge.capture.open import make_camera
from edge.capture.opencv import OpenCvCamera
from edge.capture.replay import ReplayCamera
from edge.capture.roi import CroppedCamera
from edge.domain.errors import CameraError

FRAMES = 6
SIZE = (64, 48)
REAL_VIDEOS = Path(__file__).parents[2].parent / "shared" / "data" / "video"


def make_video(path: Path, frames: int = FRAMES) -> Path:
    """A real MJPG file whose n-th frame has a grey of 20 n."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, SIZE)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((SIZE[1], SIZE[0], 3), 20 * number, np.uint8))
    writer.release()
    return path


def folder(tmp_path: Path) -> Camera:
    write_frames(tmp_path / "frames", FRAMES)
    return ReplayCamera(tmp_path / "frames", triggered=True)


def free_folder(tmp_path: Path) -> Camera:
    write_frames(tmp_path / "frames", FRAMES)
    return ReplayCamera(tmp_path / "frames", triggered=False, fps=100)


def cut_folder(tmp_path: Path) -> Camera:
    return CroppedCamera(folder(tmp_path), "top", (8, 8, 60, 44))


def video(tmp_path: Path) -> Camera:
    return ReplayCamera(make_video(tmp_path / "parts.avi"), triggered=True)


def free_video(tmp_path: Path) -> Camera:
    return ReplayCamera(make_video(tmp_path / "parts.avi"), triggered=False)


def device(tmp_path: Path) -> Camera:
    return OpenCvCamera(str(make_video(tmp_path / "device.avi")))


def gige(tmp_path: Path) -> Camera:
    return _simulated(tmp_path, GenicamSettings("software", "Line1", 1.0))


def free_gige(tmp_path: Path) -> Camera:
    return _simulated(tmp_path, GenicamSettings("free", "Line1", 1.0, fps=100))


def _simulated(tmp_path: Path, settings: GenicamSettings) -> Camera:
    write_frames(tmp_path / "frames", FRAMES)
    PEERS.enter_context(gige_kit.own_network())
    PEERS.enter_context(gige_kit.simulated_camera(tmp_path / "frames", tmp_path / "exposures"))
    camera = GigeCamera(gige_kit.ADDRESS, settings)
    PEERS.callback(camera.close)
    return camera


def genicam(_tmp_path: Path) -> Camera:
    camera = GenicamCamera("0", viky_producer(), GenicamSettings("free", "Line1", 1.0, fps=100, pixel_format="Mono8"))
    PEERS.callback(camera.close)
    return camera


PEERS = ExitStack()


@pytest.fixture(autouse=True)
def _peers() -> Iterator[None]:
    """What a camera needs on the other side, until the test's end."""
    with PEERS:
        yield


ENDLESS = [
    pytest.param(make, id=name, marks=pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "here"))
    for name, make in (("GigE, software trigger", gige), ("GigE, free", free_gige))
]
ENDLESS.append(pytest.param(genicam, id="GenICam"))
CAMERAS = [
    pytest.param(folder, id="folder, triggered"),
    pytest.param(free_folder, id="folder, free"),
    pytest.param(video, id="video, triggered"),
    pytest.param(free_video, id="video, free"),
    pytest.param(device, id="OpenCV device"),
    pytest.param(cut_folder, id="folder, cut to a roi"),
]
LIVE = [pytest.param("rtsp", id="RTSP"), pytest.param("mjpeg", id="motion JPEG over HTTP")]
Make = Callable[[Path], Camera]


@pytest.fixture(scope="module", params=LIVE)
def live_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with served(request.param) as server:
        yield server


@pytest.fixture
def live(live_server: Server) -> Camera:
    return make_camera(network_section(live_server.url()))


def keeps_its_images(camera: Camera) -> None:
    """Each image is colour, differs from the others, and stays what it is when the next ones come."""
    camera.open()
    shots = [shoot(camera, number) for number in range(1, FRAMES + 1)]
    before = [shot.image.copy() for shot in shots]
    shoot_or_end(camera)
    camera.close()
    for shot, image in zip(shots, before, strict=True):
        assert shot.image.ndim == 3
        assert shot.image.dtype == np.uint8
        assert np.array_equal(shot.image, image)
    assert len({shot.image.ctypes.data for shot in shots}) == FRAMES
    assert len({image.tobytes() for image in before}) == FRAMES


def shoot_or_end(camera: Camera) -> None:
    with suppress(CameraError):
        shoot(camera, FRAMES + 1)


def opens_and_closes(camera: Camera) -> None:
    camera.close()
    for _ in range(2):
        camera.open()
        shoot(camera, 1)
        camera.close()
        camera.close()


def shoot(camera: Camera, number: int) -> Shot:
    """Trigger and read until the image is there."""
    camera.trigger(number)
    until_s = time.monotonic() + 5
    while time.monotonic() < until_s:
        shot = camera.read(0.1)
        if shot is not None:
            return shot
    raise AssertionError("no image within 5 s")


@pytest.mark.parametrize("make", CAMERAS + ENDLESS)
def test_every_image_is_colour_and_its_own(make: Make, tmp_path: Path) -> None:
    keeps_its_images(make(tmp_path))


def test_every_image_of_a_live_camera_is_colour_and_its_own(live: Camera) -> None:
    keeps_its_images(live)


@pytest.mark.parametrize("make", CAMERAS)
def test_a_source_at_its_end_is_lost_and_says_so(make: Make, tmp_path: Path) -> None:
    camera = make(tmp_path)
    camera.open()
    for number in range(1, FRAMES + 1):
        shoot(camera, number)
    with pytest.raises(CameraError) as error:
        shoot(camera, FRAMES + 1)
    assert error.value.reason == "camera_lost"
    camera.close()


@pytest.mark.parametrize("make", CAMERAS + ENDLESS)
def test_it_can_be_closed_twice_and_opened_again(make: Make, tmp_path: Path) -> None:
    opens_and_closes(make(tmp_path))


def test_a_live_camera_can_be_closed_twice_and_opened_again(live: Camera) -> None:
    opens_and_closes(live)


def test_reading_a_closed_live_camera_is_refused(live: Camera) -> None:
    with pytest.raises(CameraError):
        live.read(0.1)
    live.open()
    live.close()
    with pytest.raises(CameraError):
        live.read(0.1)


def test_a_live_camera_whose_server_is_gone_is_lost_and_says_so(live_server: Server, live: Camera) -> None:
    live.open()
    shoot(live, 1)
    live_server.kill()
    with pytest.raises(CameraError) as gone:
        shoot(live, 2)
    live.close()
    with pytest.raises(CameraError) as refused:
        live.open()
    assert gone.value.reason == refused.value.reason == "camera_lost"
    live_server.start()
    live.open()
    shoot(live, 3)
    live.close()


@pytest.mark.parametrize("make", CAMERAS + ENDLESS)
def test_reading_a_closed_camera_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(CameraError):
        make(tmp_path).read(0.1)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: ReplayCamera(path / "gone", triggered=True), id="no folder"),
        pytest.param(lambda path: ReplayCamera(path, triggered=True), id="a folder without images"),
        pytest.param(lambda path: ReplayCamera(_text(path), triggered=True), id="a file that is no video"),
        pytest.param(lambda path: OpenCvCamera(str(path / "gone.avi")), id="OpenCV: no such device"),
        pytest.param(lambda _path: OpenCvCamera("/dev/video9"), id="OpenCV: no such device path"),
        pytest.param(lambda _path: OpenCvCamera(9), id="OpenCV: no such device index"),
        pytest.param(lambda _path: make_camera(network_section("rtsp://127.0.0.1:1/a")), id="RTSP: nobody there"),
        pytest.param(lambda _path: make_camera(network_section("http://127.0.0.1:1/a")), id="HTTP: nobody there"),
    ],
)
def test_what_cannot_be_opened_is_a_camera_error(make: Make, tmp_path: Path) -> None:
    camera = make(tmp_path)
    with pytest.raises(CameraError):
        camera.open()
    camera.close()


def _text(path: Path) -> Path:
    (path / "notes.avi").write_text("no video")
    return path / "notes.avi"


@pytest.mark.parametrize("make", [pytest.param(folder, id="folder"), pytest.param(video, id="video")])
def test_a_triggered_replay_waits_for_its_trigger_and_names_it(make: Make, tmp_path: Path) -> None:
    camera = make(tmp_path)
    camera.open()
    assert camera.read(0.01) is None
    assert shoot(camera, 41).trigger_number == 41


def test_a_trigger_from_before_the_loss_is_not_answered_after_it(tmp_path: Path) -> None:
    camera = folder(tmp_path)
    camera.open()
    camera.trigger(1)
    camera.close()
    camera.open()
    assert camera.read(0.01) is None


@pytest.mark.parametrize("make", [pytest.param(folder, id="folder"), pytest.param(video, id="video")])
def test_a_reopened_replay_goes_on_where_it_was(make: Make, tmp_path: Path) -> None:
    camera = make(tmp_path)
    camera.open()
    first = [shoot(camera, 1).source, shoot(camera, 2).source]
    camera.close()
    camera.open()
    rest = [shoot(camera, number).source for number in range(3, FRAMES + 1)]
    assert len({*first, *rest}) == FRAMES


@pytest.mark.parametrize("kind", [pytest.param("folder", id="folder"), pytest.param("video", id="video")])
def test_a_looped_replay_starts_again(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "frames"
    if kind == "folder":
        write_frames(path, FRAMES)
    else:
        path = make_video(tmp_path / "parts.avi")
    camera = ReplayCamera(path, triggered=True, loop=True)
    camera.open()
    sources = [shoot(camera, number).source for number in range(1, 2 * FRAMES + 1)]
    assert sources[:FRAMES] == sources[FRAMES:]


def test_a_free_replay_keeps_its_pace(tmp_path: Path) -> None:
    camera = free_folder(tmp_path)
    camera.open()
    started_s = time.monotonic()
    for number in range(FRAMES):
        shoot(camera, number)
    assert 0.9 * (FRAMES - 1) / 100 <= time.monotonic() - started_s < 1.0


def test_an_image_that_cannot_be_read_is_a_camera_error_that_names_it(tmp_path: Path) -> None:
    camera = folder(tmp_path)
    (tmp_path / "frames" / "000002.png").write_bytes(b"no image")
    camera.open()
    shoot(camera, 1)
    with pytest.raises(CameraError, match=r"000002\.png"):
        shoot(camera, 2)


def test_a_trigger_may_come_from_another_thread(tmp_path: Path) -> None:
    camera = folder(tmp_path)
    camera.open()
    other = threading.Thread(target=camera.trigger, args=(7,))
    other.start()
    other.join(5)
    shot = camera.read(5)
    assert shot is not None
    assert shot.trigger_number == 7


@pytest.mark.skipif(not REAL_VIDEOS.is_dir(), reason=f"no {REAL_VIDEOS.name} data beside the repository")
def test_real_videos_replay(tmp_path: Path) -> None:  # noqa: ARG001 - as the others
    files = sorted(file for file in REAL_VIDEOS.rglob("*") if file.suffix in {".mp4", ".avi", ".mkv", ".mov"})[:3]
    assert files, "the folder is there and holds no video"
    for file in files:
        for camera in (ReplayCamera(file, triggered=True), OpenCvCamera(str(file))):
            camera.open()
            images = [shoot(camera, number).image for number in range(1, 6)]
            camera.close()
            assert all(one.shape == images[0].shape and one.std() > 1 for one in images)
