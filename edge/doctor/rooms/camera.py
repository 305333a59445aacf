"""The cameras: a picture of each, or, where a station runs, what that says of them; it is not taken from it."""

from collections.abc import Iterator

from edge.capture.camera import Camera
from edge.capture.grab import look as look_through
from edge.capture.open import is_replayed, make_camera
from edge.capture.pictures.flaws import look as measure
from edge.capture.roi import holds
from edge.config import CameraSection
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.doctor.running import faults_of
from edge.domain.errors import CameraError, ConfigError


def camera(around: Around, section: CameraSection) -> Iterator[Finding]:
    """A picture of it, without its roi, as its settings have it taken."""
    name = f"camera {section.id}"
    if is_replayed(section):
        yield fault("camera.replayed", name, f"its pictures come from files: {section.source}", camera=section.id)
    yield from _password(section, name)
    if around.daemon is not None:
        yield _as_it_runs(around, section, name)
        return
    try:
        driver = make_camera(section.model_copy(update={"roi": None}))
        if around.quick:
            yield ok("camera", name, "its settings fit; no picture was taken (--quick)")
        else:
            yield from _picture(around, section, name, driver)
    except ConfigError as error:
        yield fault("camera.settings", name, str(error), option=around.config_option)
    except CameraError as error:
        waits = section.trigger == "hardware" and error.reason == "no_frame"
        yield fault(
            "camera.no-trigger" if waits else "camera.no-picture",
            name,
            str(error),
            camera=section.id,
            option=around.config_option,
        )


def _picture(around: Around, section: CameraSection, name: str, driver: Camera) -> Iterator[Finding]:
    frames, age_ms = look_through(section, driver, 0.0)
    frame = frames[-1]
    looks, size = measure(frame.image), frame.size
    found = f"{size[0]}x{size[1]}, {age_ms:.0f} ms old, brightness {looks.mean:.0f} of 255"
    words = {"camera": section.id, "option": around.config_option}
    if section.roi is not None and not holds(size, section.roi):
        yield fault("camera.roi", name, f"roi {list(section.roi)} reaches out of its picture of {found}", **words)
    if looks.flaw is not None:
        yield fault("camera.poor-picture", name, f"{found}: {looks.flaw}", **words)
    else:
        yield ok("camera", name, found)


def _as_it_runs(around: Around, section: CameraSection, name: str) -> Finding:
    why = faults_of(around).get(f"camera:{section.id}")
    if why:
        return fault("camera.lost", name, f"the running station says: {why}", camera=section.id)
    return ok("camera", name, "the running station has it, and says nothing against it")


def _password(section: CameraSection, name: str) -> Iterator[Finding]:
    file = section.password_file
    if file is None:
        return
    if not file.is_file():
        yield fault("camera.no-password", name, f"password_file {file} is not there", file=file)
    elif file.stat().st_mode & 0o077:
        yield fault("camera.password-open", name, f"password_file {file} is for others to read", file=file)
