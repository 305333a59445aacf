"""A calibration's frames: taken by the camera now, or read from a folder; cut to the camera's roi either way."""

from dataclasses import replace

from edge.calibrate.frames.collect import Collected, collect
from edge.calibrate.frames.cropping import Cropping, cropping_of
from edge.calibrate.frames.live import collect_live
from edge.calibrate.request import CalibrationRequest
from edge.calibrate.stages import Stages
from edge.capture.open import make_camera
from edge.config import CameraSection, StationConfig
from edge.domain.errors import ConfigError
from models.progress import Progress

CROPPED = "cropped"


def gather(request: CalibrationRequest, stages: Stages, config: StationConfig | None, progress: Progress) -> Collected:
    """Frames of good parts, and what was refused.

    Raises:
        ConfigError: the folder will not do, or no camera is known to take frames with.
        CameraError: the camera gave too few; what it gave is kept for `--resume`.
        StorageError: a frame cannot be written.
    """
    section = _camera(request, config)
    if request.live is None:
        return collect(request.frames, progress, cropping=cropping_for(request, stages, config))
    if section is None or config is None:
        raise ConfigError("calibrate: frames are taken live by one camera: name it with --camera")
    wanted = replace(request.live, resume=True)
    taken = collect_live(
        section, make_camera(section), wanted, stages.frames, progress, data_dir=config.station.data_dir
    )
    return collect(taken.folder, progress, refuse_near_duplicates=not wanted.pace.every_frame)


def cropping_for(request: CalibrationRequest, stages: Stages, config: StationConfig | None) -> Cropping | None:
    """How stored pictures are cut: to the roi of the camera whose they are; None where it has none."""
    section = _camera(request, config)
    return None if section is None else cropping_of(section, stages.folder / CROPPED)


def _camera(request: CalibrationRequest, config: StationConfig | None) -> CameraSection | None:
    known = {} if config is None else {section.id: section for section in config.camera}
    return known.get(request.camera)
