"""What a command line asks of a calibration: whether it agrees with itself, and the request that the steps take.

Heavy imports stand inside: a camera's checks are learned without the extra that models need.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.calibrate.pictures import ChecksTarget
from edge.config import ProductSection, StationConfig
from edge.domain.errors import ConfigError

if TYPE_CHECKING:
    from edge.calibrate.frames.live import LiveWanted
    from edge.calibrate.releases.release import ReleaseRequest
    from edge.calibrate.request import CalibrationRequest

FRAMES = Path("frames")
_FAST_TUNE_S = 8.0


@dataclass(frozen=True, slots=True)
class Place:
    """The station, its product, whose camera the frames are, and the options that stood on the command line."""

    config: StationConfig
    product: ProductSection
    checks: ChecksTarget | None
    options: tuple[tuple[str, str], ...]

    def needs_camera(self) -> None:
        """Refuse frames of nobody knows which camera, where a roi would cut those of one. Raises ConfigError."""
        if self.checks is None and any(section.roi for section in self.config.camera):
            raise ConfigError("the station has several cameras and a roi: name whose frames these are with --camera")


@dataclass(frozen=True, slots=True)
class Live:
    """Frames that the camera takes now: of how many parts, how far apart, and for how long it tries; 0 parts: none."""

    parts: int
    interval_ms: float
    limit_s: float
    by_hand: bool
    every_frame: bool

    def wanted(self) -> "LiveWanted | None":
        """None where no frame is taken live."""
        from edge.calibrate.frames.live import LiveWanted
        from edge.calibrate.frames.passing_parts import Pace

        pace = Pace(self.interval_ms / 1000, every_frame=self.every_frame, by_hand=self.by_hand)
        return LiveWanted(self.parts, pace, self.limit_s) if self.parts else None


@dataclass(frozen=True, slots=True)
class Sure:
    """What must be proven, as rates, and the chance that deals the frames."""

    overkill: float
    confidence: float
    escape: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class Trials:
    """What a draft is put through; for a first look it is tuned in a hurry."""

    repeats: Path | None
    asked_tune_s: float
    fast: bool
    study: bool

    @property
    def tune_s(self) -> float:
        """How long to look for the best plan of threads and streams; 0 leaves it out."""
        return min(self.asked_tune_s, _FAST_TUNE_S) if self.fast else self.asked_tune_s


@dataclass(frozen=True, slots=True)
class Asked:
    """All of it.

    Args:
        frames: folder with good parts' pictures; None where none was named.
        defects: folder with bad parts' pictures, if any.
        bundle: a released bundle to take instead of learning one.
        live: frames that the camera takes now.
        sure: what must be proven.
        trials: what the draft is put through.
        quantize: put a released float graph into INT8 here.
        checks_only: learn the camera's checks, no model.
        align: lay each part on a reference first.
        activate: make the bundle the active one.
        anew: throw an interrupted calibration away.
    """

    frames: Path | None
    defects: Path | None
    bundle: Path | None
    live: Live
    sure: Sure
    trials: Trials
    quantize: bool
    checks_only: bool
    align: bool
    activate: bool
    anew: bool

    def check(self) -> None:
        """Refuse what would not be heeded. Raises ConfigError."""
        word, unheeded = "with", {"--align": self.align, "--anew": self.anew}
        if self.bundle is None:
            word, unheeded = "without", {"--quantize": self.quantize}
        for name, asked in unheeded.items():
            if asked:
                raise ConfigError(f"{name} means nothing {word} --bundle: leave it out")
        if self.live.parts and (self.frames is not None or self.bundle is not None or self.checks_only):
            raise ConfigError(
                "--live takes frames to learn a product from; for all else, `edge camera collect` and --from"
            )


def learning_request(place: Place, asked: Asked) -> "CalibrationRequest":
    """To learn the product. Raises ConfigError: nobody knows whose the frames are."""
    from edge.calibrate.request import CalibrationRequest

    place.needs_camera()
    return CalibrationRequest(
        bundle_id=place.product.bundle,
        bundles_root=place.config.bundles_dir,
        frames=(asked.frames or FRAMES).absolute(),
        defects=_absolute(asked.defects),
        overkill_rate=asked.sure.overkill,
        confidence=asked.sure.confidence,
        escape_rate=asked.sure.escape,
        seed=asked.sure.seed,
        fast=asked.trials.fast,
        threads=place.config.inference.threads,
        activate=asked.activate,
        checks=place.checks,
        product=place.product,
        repeats=_absolute(asked.trials.repeats),
        align=asked.align,
        study=asked.trials.study,
        tune_s=asked.trials.tune_s,
        live=asked.live.wanted(),
        camera="" if place.checks is None else place.checks.camera,
        station=place.config.station.id,
        options=place.options,
    )


def release_request(place: Place, asked: Asked, release: Path) -> "ReleaseRequest":
    """To take a released bundle. Raises ConfigError: nobody knows whose the frames are."""
    from edge.calibrate.releases.release import ReleaseRequest

    if asked.frames is not None:
        place.needs_camera()
    return ReleaseRequest(
        product=place.product,
        bundles_root=place.config.bundles_dir,
        release=release,
        frames=asked.frames,
        escape_rate=asked.sure.escape,
        overkill_rate=asked.sure.overkill,
        confidence=asked.sure.confidence,
        threads=place.config.inference.threads,
        checks=place.checks,
        defects=asked.defects,
        quantize=asked.quantize,
        seed=asked.sure.seed,
        station=place.config.station.id,
        options=place.options,
        repeats=asked.trials.repeats,
        study=asked.trials.study,
        fast=asked.trials.fast,
        tune_s=asked.trials.tune_s,
        activate=asked.activate,
    )


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
