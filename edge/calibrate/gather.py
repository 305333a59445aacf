"""A calibration's frames: taken by the camera now, or read from a folder; cut to the camera's roi either way."""

from dataclasses import replace

from edge.calibrate.collect import Collected, collect
from edge.calibrate.cropping import Cropping
from edge.calibrate.live import collect_live
from edge.calibrate.request import CalibrationRequest
from edge.calibrate.stages import Stages
from edge.capture.open import make_camera
from edge.config import CameraSection, StationConfig
from edge.domain.errors import ConfigError
from models.progress import Progress

_CROPPED = "cropped"


def gather(request: CalibrationRequest, stages: Stages, config: StationConfig | None, progress: Progress) -> Collected:
    """Frames of good parts, and what was refused.

    Raises:
        ConfigError: the folder will not do, or no camera is known to take frames with.
        CameraError: the camera gave too few; what it gave is kept for `--resume`.
        StorageError: a frame cannot be written.
    """
    section = _camera(request, config)
    if request.live is None:
        roi = None if section is None else section.roi
        cropping = None if roi is None else Cropping(roi, stages.folder / _CROPPED)
        return collect(request.frames, progress, cropping=cropping)
    if section is None or config is None:
        raise ConfigError("calibrate: frames are taken live by one camera: name it with --camera")
    wanted = replace(request.live, resume=True)
    taken = collect_live(
        section, make_camera(section), wanted, stages.frames, progress, data_dir=config.station.data_dir
    )
    return collect(taken.folder, progress, refuse_near_duplicates=not wanted.pace.every_frame)


def _camera(request: CalibrationRequest, config: StationConfig | None) -> CameraSection | None:
    known = {} if config is None else {section.id: section for section in config.camera}
    return known.get(request.camera)
