"""What a GenICam camera is told when it is opened, by the standard's names; each setting is read back.

An automatic exposure or gain is switched off first: a picture that changes by itself is no measure of a part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edge.capture.industrial.pixels import PIXEL_FORMATS
from edge.domain.errors import CameraError

TriggerMode = Literal["software", "hardware", "free"]
_TOLERANCE = 0.01
_GAIN_STEP_DB = 0.05
_SELECTORS = ("AcquisitionStart", "FrameBurstStart", "FrameStart")


@dataclass(frozen=True, slots=True)
class GenicamSettings:
    """A camera's settings; None leaves what the camera has.

    Args:
        trigger: "software", "hardware" (a line input starts the exposure) or "free".
        line: which line input, by the camera's own name.
        within_s: longest time from a trigger to its frame.
        exposure_us: exposure time, microseconds.
        gain_db: analogue gain, dB.
        fps: pace of a free-running camera.
        pixel_format: name by the GenICam convention.
    """

    trigger: TriggerMode
    line: str
    within_s: float
    exposure_us: float | None = None
    gain_db: float | None = None
    fps: float | None = None
    pixel_format: str | None = None


class Features(Protocol):
    """A camera's features by the names of its own description; each call may raise the driver's own error."""

    def has(self, feature: str) -> bool:
        """Whether the camera offers it now."""
        ...

    def text(self, feature: str) -> str:
        """An enumeration's entry."""
        ...

    def set_text(self, feature: str, value: str) -> None:
        """Choose an enumeration's entry."""
        ...

    def number(self, feature: str) -> float:
        """A float, in the standard's unit."""
        ...

    def set_number(self, feature: str, value: float) -> None:
        """Set a float."""
        ...

    def set_flag(self, feature: str, *, value: bool) -> None:
        """Set a boolean."""
        ...


def apply_settings(camera: Features, settings: GenicamSettings) -> None:
    """Set everything that is asked for and read it back.

    Raises:
        CameraError: the camera lacks a feature, or took another value than it was given.
    """
    _set_text(camera, "AcquisitionMode", "Continuous")
    if settings.pixel_format is not None:
        _set_text(camera, "PixelFormat", settings.pixel_format)
    _check_pixel_format(camera.text("PixelFormat"))
    if settings.exposure_us is not None:
        _switch_off(camera, "ExposureAuto")
        _set_number(camera, ("ExposureTime", "ExposureTimeAbs"), settings.exposure_us, "exposure_us")
    if settings.gain_db is not None:
        _switch_off(camera, "GainAuto")
        _set_number(camera, ("Gain",), settings.gain_db, "gain_db", at_least=_GAIN_STEP_DB)
    if settings.fps is not None:
        if camera.has("AcquisitionFrameRateEnable"):
            camera.set_flag("AcquisitionFrameRateEnable", value=True)
        _set_number(camera, ("AcquisitionFrameRate", "AcquisitionFrameRateAbs"), settings.fps, "fps")
    _set_trigger(camera, settings)


def frame_period_s(camera: Features) -> float | None:
    """Seconds between two images of a free-running camera, as it says itself; None if it does not say."""
    for name in ("ResultingFrameRate", "AcquisitionFrameRate", "AcquisitionFrameRateAbs"):
        if camera.has(name) and (fps := camera.number(name)) > 0:
            return 1 / fps
    return None


def _check_pixel_format(name: str) -> None:
    if name.removesuffix("Packed") not in PIXEL_FORMATS:
        raise CameraError(f"its pixel format {name} is not read: set camera.pixel_format to {_one_of(PIXEL_FORMATS)}")


def _one_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}, whichever it offers"


def _set_trigger(camera: Features, settings: GenicamSettings) -> None:
    if not camera.has("TriggerMode"):
        if settings.trigger == "free":
            return
        raise CameraError(f'the camera has no trigger, and camera.trigger is "{settings.trigger}"')
    for selector in _SELECTORS:
        if _select(camera, selector):
            _set_text(camera, "TriggerMode", "Off")
    if settings.trigger != "free":
        _set_text(camera, "TriggerSource", "Software" if settings.trigger == "software" else settings.line)
        _set_text(camera, "TriggerMode", "On")


def _select(camera: Features, selector: str) -> bool:
    """Choose which trigger is spoken of; a camera without a choice has the frame's alone."""
    if not camera.has("TriggerSelector"):
        return selector == "FrameStart"
    if selector == "FrameStart":
        _set_text(camera, "TriggerSelector", selector)
        return True
    try:
        camera.set_text("TriggerSelector", selector)
    except Exception:  # noqa: BLE001 - a camera need not know this one, and each driver says so by its own error
        return False
    return camera.text("TriggerSelector") == selector


def _switch_off(camera: Features, automatic: str) -> None:
    if camera.has(automatic):
        _set_text(camera, automatic, "Off")


def _set_text(camera: Features, feature: str, value: str) -> None:
    if camera.text(feature) == value:
        return  # some cameras have no choice, and refuse to be told what they do anyway
    camera.set_text(feature, value)
    got = camera.text(feature)
    if got != value:
        raise CameraError(f"{feature}: expected {value!r}, the camera has {got!r} after it was set")


def _set_number(camera: Features, names: Sequence[str], value: float, key: str, at_least: float = 0.0) -> None:
    feature = next((name for name in names if camera.has(name)), None)
    if feature is None:
        raise CameraError(f"the camera has no {' or '.join(names)}: remove camera.{key}")
    camera.set_number(feature, value)
    got = camera.number(feature)
    if abs(got - value) > max(_TOLERANCE * abs(value), at_least):
        raise CameraError(
            f"{feature}: expected {value:g}, the camera has {got:g} after it was set: if that will do, set "
            f"camera.{key} = {got:g}"
        )
