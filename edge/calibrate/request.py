"""What a calibration is asked for, and how that survives an interruption."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge.calibrate.frames.live import LiveWanted
from edge.calibrate.pictures import ChecksTarget
from edge.config import ProductSection
from edge.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What to calibrate, from what, and how sure to be.

    Args:
        bundle_id: product the bundle is for: 1 to 64 of a-z 0-9 . _ -
        bundles_root: the station's store of bundles.
        frames: folder with frames of good parts; not read where they are taken live.
        live: how many frames the camera takes, and how; None reads the folder.
        camera: whose frames these are; its roi holds for them. Empty where that is not known.
        defects: folder with images of bad parts, or with a folder for each kind of defect; None where there are none.
        overkill_rate: good parts that may be rejected, as a fraction.
        confidence: with which that rate shall hold.
        escape_rate: bad parts that may pass, as a fraction, for the bundle to become active; None asks for nothing.
        seed: same seed, frames and machine: same bundle but for its date.
        fast: from fewer frames, for a first look.
        threads: CPU threads; 0 takes what this process may use.
        activate: make the bundle the active one.
        checks: whose camera's checks are learned from the same frames, if any.
        product: whose recipe judges parts; one of the bundle's name and the usual rules if left out.
        repeats: folder of pictures that a camera repeated of the same parts; None where there are none.
        align: lay each frame on a reference, the mean of the good ones, before anything is learned or judged.
        study: look at the same parts again and again.
        tune_s: how long to look for the best plan of threads and streams; 0 leaves it out.
        station: the station's id, for the report.
        options: of the command, for the report.
    """

    bundle_id: str
    bundles_root: Path
    frames: Path
    defects: Path | None = None
    overkill_rate: float = 0.02
    confidence: float = 0.95
    escape_rate: float | None = None
    seed: int = 0
    fast: bool = False
    threads: int = 0
    activate: bool = True
    checks: ChecksTarget | None = None
    product: ProductSection | None = None
    repeats: Path | None = None
    align: bool = False
    study: bool = True
    tune_s: float = 0.0
    live: LiveWanted | None = None
    camera: str = ""
    station: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def section(self) -> ProductSection:
        """The product's section of station.toml."""
        return self.product or ProductSection(id=self.bundle_id, bundle=self.bundle_id)

    @property
    def work_folder(self) -> Path:
        """Where its stages are kept."""
        return work_folder(self.bundles_root, self.bundle_id)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return dict(_REQUEST.dump_python(self, mode="json"))


def work_folder(bundles_root: Path, bundle_id: str) -> Path:
    """Where the calibration of a bundle is kept while it is made, beside the store."""
    return bundles_root.absolute().parent / "calibrations" / bundle_id


def request_of(plain: dict[str, object]) -> CalibrationRequest:
    """The request that these values were.

    Raises:
        ConfigError: they are none, such as those of another version.
    """
    try:
        return _REQUEST.validate_python(plain)
    except ValidationError as error:
        raise ConfigError(
            f"calibrate: the interrupted calibration cannot be read ({error}): start with --anew"
        ) from error


_REQUEST = TypeAdapter(CalibrationRequest)
