"""From a camera's section of station.toml to its driver."""

from pathlib import Path

from edge.capture.camera import Camera
from edge.capture.industrial.open import make_industrial_camera
from edge.capture.network.address import NetworkTimes, parse_address
from edge.capture.network.mjpeg import MjpegCamera
from edge.capture.network.rtsp import RtspCamera
from edge.capture.opencv import OpenCvCamera
from edge.capture.replay import ReplayCamera
from edge.capture.roi import CroppedCamera
from edge.config import INDUSTRIAL_SOURCES, CameraSection
from edge.domain.errors import ConfigError
from edge.domain.secrets import redacted

_NETWORK: dict[str, type[RtspCamera | MjpegCamera]] = {
    "rtsp": RtspCamera,
    "rtsps": RtspCamera,
    "http": MjpegCamera,
    "https": MjpegCamera,
}


def is_replayed(section: CameraSection) -> bool:
    """Whether the section's images come from files."""
    source = section.source
    if not isinstance(source, str) or "://" in source:
        return False
    return not source.isdecimal() and not source.startswith("/dev/")


def make_camera(section: CameraSection) -> Camera:
    """The driver for a source, its images cut to the camera's roi; nothing is opened yet.

    Raises:
        ConfigError: the source or its trigger mode is one this version cannot drive.
    """
    driver = _driver(section)
    return driver if section.roi is None else CroppedCamera(driver, section.id, section.roi)


def _driver(section: CameraSection) -> Camera:
    source = section.source
    if str(source).startswith(INDUSTRIAL_SOURCES):
        return make_industrial_camera(section)
    if isinstance(source, str) and "://" in source:
        return _network_camera(section, source)
    if section.password_file is not None:
        raise ConfigError(f"camera {section.id!r}: password_file is for network cameras, source is {source!r}")
    if is_replayed(section):
        triggered = section.trigger == "software"
        return ReplayCamera(Path(str(source)), triggered=triggered, fps=section.fps, loop=section.loop)
    if section.trigger == "software":
        raise ConfigError(f'camera {section.id!r}: an OpenCV device runs freely: set trigger = "free"')
    return OpenCvCamera(int(source) if str(source).isdecimal() else source)


def _network_camera(section: CameraSection, source: str) -> Camera:
    scheme = source.partition("://")[0].lower()
    if scheme not in _NETWORK:
        raise ConfigError(
            f"camera {section.id!r}: source {redacted(source)!r}: expected a device index, a folder, a video file, or "
            f"one of {', '.join((*(f'{known}://' for known in _NETWORK), *INDUSTRIAL_SOURCES))}"
        )
    if section.trigger == "software":
        raise ConfigError(f'camera {section.id!r}: a network camera runs freely: set trigger = "free"')
    if not section.latency_ms:
        raise ConfigError(
            f"camera {section.id!r}: a network camera's image is old when it arrives: set latency_ms to what passes "
            "between light and arrival, or parts could be judged by what stood there before them"
        )
    times = NetworkTimes(section.open_timeout_ms / 1000, section.read_timeout_ms / 1000, section.latency_ms / 1000)
    return _NETWORK[scheme](parse_address(section.id, source, section.password_file), times)
