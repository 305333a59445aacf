"""What a camera's good pictures look like, learned from the frames of a calibration, for the checks of every part."""

from dataclasses import dataclass
from pathlib import Path

from edge.calibrate.frames.collect import Collected, collect
from edge.calibrate.frames.cropping import Cropping
from edge.capture.pictures.checks import Limits
from edge.capture.pictures.limits import FEWEST_FRAMES, Learner, limits_path, save_limits
from edge.config import StationConfig
from edge.domain.errors import ConfigError
from models.page import table
from models.progress import Progress
from models.scoring import read_image


@dataclass(frozen=True, slots=True)
class ChecksTarget:
    """Whose limits are learned, and in which station's data folder they are kept."""

    data_dir: Path
    product: str
    camera: str


@dataclass(frozen=True, slots=True, eq=False)
class LearnedChecks:
    """The limits; `limits` is None where there were too few frames.

    `alarms` of `tried` frames broke limits that were learned from the other half of the frames.
    """

    target: ChecksTarget
    limits: Limits | None
    frames: int
    alarms: int
    tried: int

    def save(self) -> None:
        """Put the limits where the station reads them, at its next start or while it runs. Raises StorageError."""
        if self.limits is not None:
            path = limits_path(self.target.data_dir, self.target.product, self.target.camera)
            save_limits(path, self.target.product, self.target.camera, self.limits, self.frames)

    @property
    def summary(self) -> str:
        """One sentence."""
        who = f"camera {self.target.camera!r}, product {self.target.product!r}"
        if self.limits is None:
            return f"checks of {who}: not learned, {self.frames} frames are fewer than {FEWEST_FRAMES}"
        place = "shift checked" if self.limits.place else "shift not checked: parts lie anywhere"
        return (
            f"checks of {who}: learned from {self.frames} frames, {place}; limits of one half would have doubted "
            f"{self.alarms} of {self.tried} frames of the other"
        )

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        names = {"product": self.target.product, "camera": self.target.camera, "frames": self.frames}
        return names | {
            "learned": self.limits is not None,
            "shift_checked": self.limits is not None and self.limits.place is not None,
            "false_alarms": self.alarms,
            "tried": self.tried,
        }


def checks_target(config: StationConfig, product: str, camera: str) -> ChecksTarget | None:
    """Whose limits a calibration learns; None where there are several cameras and none was named.

    Raises:
        ConfigError: the camera is none of the station's.
    """
    known = [section.id for section in config.camera]
    if camera and camera not in known:
        raise ConfigError(f"--camera must be one of {', '.join(known)}, got {camera!r}")
    if not camera and len(known) > 1:
        return None
    return ChecksTarget(config.station.data_dir, product, camera or known[0])


def learn_checks(target: ChecksTarget, collected: Collected, progress: Progress) -> LearnedChecks:
    """Measure every good frame, so that none breaks its own limits. Raises ModelError for one that is gone."""
    progress.stage("checks", len(collected.frames))
    learner = Learner()
    for frame in collected.frames:
        learner.see(read_image(frame.path))
        progress.advance()
    return LearnedChecks(target, learner.limits(), learner.frames, *learner.false_alarms())


def only_checks(
    target: ChecksTarget, frames: Path, progress: Progress, *, cropping: Cropping | None = None
) -> LearnedChecks:
    """Learn a camera's checks and nothing else: the camera was moved, or is a second one, and the model is as it was.

    Raises:
        ConfigError: the folder will not do, or holds too few frames.
    """
    learned = learn_checks(target, collect(frames, progress, cropping=cropping), progress)
    if learned.limits is None:
        raise ConfigError(f"{learned.summary}: give more frames of good parts")
    learned.save()
    return learned


def checks_section(learned: LearnedChecks | None) -> str:
    """The report's part, as HTML."""
    if learned is None:
        return "<p>No camera was named, so its checks were not learned.</p>"
    limits = learned.limits
    if limits is None:
        return f"<p>{learned.summary}.</p>"
    size = "not checked: frames differ" if limits.size is None else f"{limits.size[0]} x {limits.size[1]} pixels"
    place = limits.place
    rows = [
        ("size", size),
        ("exposure: mean grey level", f"{max(0.0, limits.mean_low):.0f} to {min(255.0, limits.mean_high):.0f}"),
        ("clipped: overexposed pixels", f"at most {limits.clipped_high:.1%}"),
        ("blurred: sharpness", f"at least {limits.sharpness_low:.3f}"),
        ("shifted", "not checked: parts lie anywhere" if place is None else f"at most {place.shift_high_px:.0f} px"),
    ]
    return f"<p>{learned.summary}.</p>{table(('a picture that breaks one makes its part UNDECIDED', ''), rows)}"
