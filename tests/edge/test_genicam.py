"""The GenICam driver against the simulated cameras that the genicam package carries."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from genicam_kit import viky_producer

from edge.capture.camera import Shot
from edge.capture.industrial.genicam import GenicamCamera
from edge.capture.industrial.genicam_settings import GenicamSettings
from edge.capture.industrial.gentl_producer import producer_files
from edge.capture.open import make_camera
from edge.config import CameraSection
from edge.domain.errors import CameraError, ConfigError

FREE = GenicamSettings("free", "Line1", 1.0, fps=100, pixel_format="Mono8")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as things:
        yield things


def opened(stack: ExitStack, name: str = "0", settings: GenicamSettings = FREE) -> GenicamCamera:
    camera = GenicamCamera(name, viky_producer(), settings)
    stack.callback(camera.close)
    camera.open()
    return camera


def read_one(camera: GenicamCamera) -> Shot:
    until_s = time.monotonic() + 5
    while time.monotonic() < until_s:
        if (shot := camera.read(0.1)) is not None:
            return shot
    raise AssertionError("no image within 5 s")


def read_until_silent(camera: GenicamCamera) -> None:
    until_s = time.monotonic() + 5
    while time.monotonic() < until_s:
        camera.read(0.1)


def test_images_are_grey_alike_in_all_channels_and_show_a_ball_that_moves(stack: ExitStack) -> None:
    camera = opened(stack)
    images = [read_one(camera).image for _ in range(20)]
    for image in images:
        assert image.shape == (400, 400, 3)
        assert (image == image[..., :1]).all()
        assert image.std() > 1
    assert len({image.tobytes() for image in images}) == 20


def test_the_pace_is_the_one_that_is_told(stack: ExitStack) -> None:
    seconds = {}
    for fps in (20.0, 100.0):
        camera = opened(stack, settings=replace(FREE, fps=fps))
        read_one(camera)
        started_s = time.monotonic()
        for _ in range(10):
            read_one(camera)
        seconds[fps] = time.monotonic() - started_s
        camera.close()
    assert seconds[20.0] > 2 * seconds[100.0]


@pytest.mark.parametrize("name", [pytest.param("1", id="serial"), pytest.param("VikyTL_DEV_green", id="id")])
def test_a_camera_is_found_by(name: str, stack: ExitStack) -> None:
    assert read_one(opened(stack, name)).image.size


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        pytest.param("9", FREE, "no cameras are called '9'; found: Viky 0, Viky 1, Viky 2", id="nobody"),
        pytest.param("Viky", FREE, "3 cameras are called 'Viky'", id="several"),
        pytest.param(
            "0", replace(FREE, pixel_format=None), "RGBa8 is not read: set camera.pixel_format", id="its own format"
        ),
        pytest.param("0", replace(FREE, pixel_format="Mono12"), "PixelFormat", id="a format that it lacks"),
        pytest.param("0", replace(FREE, fps=5000), "AcquisitionFrameRate|smaller than", id="a pace beyond its own"),
        pytest.param(
            "0", replace(FREE, exposure_us=100), "no ExposureTime .*: remove camera.exposure_us", id="exposure"
        ),
        pytest.param("0", replace(FREE, gain_db=1), "no Gain: remove camera.gain_db", id="gain"),
    ],
)
def test_what_cannot_be_opened_is_a_camera_error_and_can_be_tried_again(
    name: str, settings: GenicamSettings, says: str, stack: ExitStack
) -> None:
    with pytest.raises(CameraError, match=says) as error:
        opened(stack, name, replace(settings, pixel_format=settings.pixel_format))
    assert error.value.reason == "camera_lost"
    assert read_one(opened(stack)).image.size


def test_one_camera_comes_and_goes_while_another_runs_on(stack: ExitStack) -> None:
    steady, other = opened(stack, "0"), opened(stack, "2")
    for _ in range(3):
        read_one(other)
        other.close()
        for _ in range(5):
            read_one(steady)
        other.open()
    with pytest.raises(CameraError, match="in use"):
        opened(stack, "0")


def test_a_camera_that_falls_silent_is_lost_and_opens_again(stack: ExitStack) -> None:
    camera = opened(stack)
    read_one(camera)
    assert camera._acquirer is not None  # noqa: SLF001 - a cable cannot be pulled here, so its stream is stopped under it
    camera._acquirer.remote_device.node_map.AcquisitionStop.execute()  # noqa: SLF001
    with pytest.raises(CameraError, match="no image for"):
        read_until_silent(camera)
    camera.close()
    camera.open()
    assert read_one(camera).image.size


def test_a_trigger_is_refused_before_anything_starts() -> None:
    section = CameraSection.model_validate(
        {"id": "top", "source": "genicam://0", "trigger": "software", "gentl": str(viky_producer())}
    )
    with pytest.raises(ConfigError, match='trigger "software" is not offered'):
        make_camera(section)


def test_a_producer_is_found_by_the_standards_path_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENICAM_GENTL64_PATH", f"{tmp_path}:{viky_producer().parent}")
    assert producer_files(None) == (viky_producer(),)
    monkeypatch.setenv("GENICAM_GENTL64_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="GENICAM_GENTL64_PATH leads to none"):
        producer_files(None)
    with pytest.raises(ConfigError, match=r"camera.gentl names .*none\.cti"):
        producer_files(tmp_path / "none.cti")


def test_a_file_that_is_no_producer_is_a_camera_error(tmp_path: Path) -> None:
    (tmp_path / "text.cti").write_text("no library")
    with pytest.raises(CameraError, match=r"cannot be opened: .*text\.cti|no cameras"):
        GenicamCamera("0", tmp_path / "text.cti", FREE).open()


def test_images_stay_as_they_were_when_the_camera_goes_on(stack: ExitStack) -> None:
    camera = opened(stack)
    first = read_one(camera).image
    before = first.copy()
    for _ in range(20):
        read_one(camera)
    assert np.array_equal(first, before)
