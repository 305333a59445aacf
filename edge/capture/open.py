"""From a camera's section of station.toml to its driver."""

from pathlib import Path

from edge.capture.camera import Camera
from edge.capture.industrial import make_industrial_camera
from edge.capture.opencv import OpenCvCamera
from edge.capture.replay import ReplayCamera
from edge.config import INDUSTRIAL_SOURCES, CameraSection
from edge.domain.errors import ConfigError


def is_replayed(section: CameraSection) -> bool:
    """Whether the section's images come from files."""
    source = section.source
    return isinstance(source, str) and not source.isdecimal() and "://" not in source and not source.startswith("/dev/")


def make_camera(section: CameraSection) -> Camera:
    """The driver for a source; nothing is opened yet.

    Raises:
        ConfigError: the source or its trigger mode is one this version cannot drive.
    """
    source = section.source
    if str(source).startswith(INDUSTRIAL_SOURCES):
        return make_industrial_camera(section)
    if isinstance(source, str) and "://" in source:
        raise ConfigError(
            f"camera {section.id!r}: source {source!r} is no device index, folder or video file: "
            "network cameras are not supported by this version"
        )
    if is_replayed(section):
        triggered = section.trigger == "software"
        return ReplayCamera(Path(str(source)), triggered=triggered, fps=section.fps, loop=section.loop)
    if section.trigger == "software":
        raise ConfigError(f'camera {section.id!r}: an OpenCV device runs freely: set trigger = "free"')
    return OpenCvCamera(int(source) if str(source).isdecimal() else source)
