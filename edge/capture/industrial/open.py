"""From the section of a GenICam camera to its driver, which is imported only when one is configured."""

from edge.capture.camera import Camera
from edge.capture.industrial.genicam_settings import GenicamSettings
from edge.config import CameraSection
from edge.domain.errors import ConfigError


def make_industrial_camera(section: CameraSection) -> Camera:
    """The driver of a gige:// or genicam:// source; nothing is opened yet.

    Raises:
        ConfigError: the source names no camera, or what its driver needs is not installed.
    """
    scheme, _, name = str(section.source).partition("://")
    if not name:
        raise ConfigError(f"camera {section.id!r}: {section.source} names no camera: add its serial number or address")
    if section.trigger != "software" and not section.latency_ms:
        raise ConfigError(
            f"camera {section.id!r}: its image was exposed before it arrived, and the station does not say when: set "
            "latency_ms to what passes between light and arrival at least, or parts could be judged by what stood "
            "there before them"
        )
    if scheme == "genicam":
        from edge.capture.industrial.genicam import GenicamCamera

        return GenicamCamera(name, section.gentl, _settings(section))
    from edge.capture.industrial.gige import GigeCamera

    return GigeCamera(name, _settings(section))


def _settings(section: CameraSection) -> GenicamSettings:
    return GenicamSettings(
        section.trigger,
        section.trigger_line,
        (section.latency_ms + section.timeout_ms) / 1000,
        section.exposure_us,
        section.gain_db,
        section.fps,
        section.pixel_format,
    )
