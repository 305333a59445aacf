"""Which model this is and what it wants: identity and input contract of a bundle."""

import re
from dataclasses import dataclass
from enum import StrEnum

from models.errors import ModelError


class Kind(StrEnum):
    """What a model is made to answer."""

    ANOMALY = "anomaly"
    CLASSIFIER = "classifier"
    DETECTOR = "detector"


class Precision(StrEnum):
    """The arithmetic a bundle's graph asks of the CPU."""

    FP32 = "FP32"
    BF16 = "BF16"
    INT8 = "INT8"


@dataclass(frozen=True, slots=True)
class ModelId:
    """Names one bundle for ever: the digest covers its manifest, and that covers every file."""

    id: str
    version: int
    sha256: str
    precision: Precision

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", self.id):
            raise ModelError(f"bundle id must be 1 to 64 of a-z 0-9 . _ -, got {self.id!r}")
        if self.version < 1:
            raise ModelError(f"bundle {self.id!r}: version counts from 1, got {self.version}")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ModelError(f"bundle {self.id!r}: sha256 must be 64 hex digits, got {self.sha256!r}")


class Fit(StrEnum):
    """How a frame of another shape is laid into the input."""

    LETTERBOX = "letterbox"
    STRETCH = "stretch"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of the graph: (1, height, width, 3) uint8 BGR, filled by one bilinear resize (`cv2.INTER_LINEAR`).

    Letterboxed, a frame keeps its aspect ratio and the rest of the input is `pad_value`. Stretched, it fills the input,
    so that a place of the input is the same place of the part in frames of every shape.
    """

    name: str
    height: int
    width: int
    pad_value: int = 114
    fit: Fit = Fit.LETTERBOX

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ModelError(f"input {self.name!r}: size must be positive, got {self.width}x{self.height}")
        if not 0 <= self.pad_value <= 255:  # noqa: PLR2004 - uint8
            raise ModelError(f"input {self.name!r}: pad_value must be 0 to 255, got {self.pad_value}")


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a frame larger than `tile_px` is cut: square tiles, in frame pixels, that overlap by `overlap_px` or more."""

    tile_px: int
    overlap_px: int

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_px < self.tile_px:
            raise ModelError(f"tiling: overlap_px must be 0 to below tile_px, got {self.overlap_px} of {self.tile_px}")


@dataclass(frozen=True, slots=True)
class Alignment:
    """What a frame must keep to so that a golden reference can explain it.

    Args:
        max_shift_px: how far any point of the frame may lie from its place in the reference, in frame pixels.
        min_correlation: how alike the two must be once the reference lies on the frame, in [0, 1].
    """

    max_shift_px: float = 20.0
    min_correlation: float = 0.6

    def __post_init__(self) -> None:
        if not (self.max_shift_px >= 0 and 0 <= self.min_correlation <= 1):
            raise ModelError(
                f"alignment: expected max_shift_px from 0 and min_correlation 0 to 1, got {self.max_shift_px} and "
                f"{self.min_correlation}"
            )


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What the graph takes and what its class ids mean.

    Args:
        kind: what it answers.
        classes: names of the class ids.
        inputs: of the graph; a detector that compares takes the frame first, then its golden reference.
        tiling: how frames larger than a tile are cut; None: every frame is letterboxed whole.
        alignment: how a reference is laid on its frame; None: they are taken as they come.
    """

    kind: Kind
    classes: tuple[str, ...]
    inputs: tuple[InputSpec, ...]
    tiling: Tiling | None = None
    alignment: Alignment | None = None

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ModelError(f"a model names each of its classes once, got {list(self.classes)}")
        if not self.inputs:
            raise ModelError("a model has at least one input, got none")

    @property
    def compares(self) -> bool:
        """Whether the model looks at the frame beside a golden reference."""
        return len(self.inputs) > 1
