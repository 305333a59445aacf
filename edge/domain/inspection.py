"""What one part was found to be: part, frames, detections, verdict and provenance."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from edge.domain.errors import StorageError
from edge.domain.frame import Frame
from edge.domain.part import Part, Verdict, worst
from models.detections import Detections
from models.spec import ModelId

CODE_LIMIT = 256


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A stored image, named by its content."""

    sha256: str
    size_bytes: int
    media_type: str

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or self.size_bytes < 1 or "/" not in self.media_type:  # noqa: PLR2004 - hex digits
            raise StorageError(f"not an image reference: {self.sha256!r}, {self.size_bytes} bytes, {self.media_type!r}")


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What is kept of a frame once its pixels are gone."""

    seq: int
    captured_at: datetime
    source: str

    @classmethod
    def of(cls, frame: Frame) -> "FrameInfo":
        """The frame without its pixels."""
        return cls(frame.seq, frame.captured_at, frame.source)


@dataclass(frozen=True, slots=True)
class View:
    """What one camera contributed to a part's verdict; `frame` and `detections` are None where a fault left none."""

    camera_id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    frame: FrameInfo | None = None
    detections: Detections | None = None
    labels: tuple[str, ...] = ()
    model: ModelId | None = None

    def __post_init__(self) -> None:
        if self.verdict is not Verdict.UNDECIDED and (self.frame is None or self.detections is None):
            raise StorageError(f"camera {self.camera_id!r}: {self.verdict} without a frame and a model's answer")
        if self.verdict is not Verdict.PASS and not self.reasons:
            raise StorageError(f"camera {self.camera_id!r}: {self.verdict} must say why")


@dataclass(frozen=True, slots=True)
class Inspection:
    """One part, inspected: immutable once made.

    Args:
        part: the part.
        views: one for each camera that had to see it.
        reasons: why the part as a whole is UNDECIDED, beyond its views; empty otherwise.
        recipe_version: which rules decided.
        latency_ms: milliseconds from the trigger to the end of each stage.
        replayed: the frames come from files, not from a live camera.
        code: what the part's QR code or barcode says, where its product has one and it was read.
    """

    part: Part
    views: tuple[View, ...]
    reasons: tuple[str, ...] = ()
    recipe_version: str = ""
    latency_ms: dict[str, float] = field(default_factory=dict)
    replayed: bool = False
    code: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of the cameras'; UNDECIDED where the part itself has a reason to be, or no camera saw it."""
        if self.reasons:
            return Verdict.UNDECIDED
        return worst(view.verdict for view in self.views)

    @property
    def all_reasons(self) -> tuple[str, ...]:
        """The part's own reasons and those of every camera, each once, in order."""
        reasons = [*self.reasons, *(reason for view in self.views for reason in view.reasons)]
        return tuple(dict.fromkeys(reasons)) or (() if self.views else ("no_camera",))


class Outcome(StrEnum):
    """What became of the verdict at the line."""

    TOLD = "told"
    LATE = "late"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class OutcomeOf:
    """What became of one committed inspection's verdict.

    Args:
        seq: the inspection's number.
        part_id: the part.
        outcome: told, late or unconfirmed.
        told_verdict: what the line was told; None when nothing reached it.
        told_ms: milliseconds from trigger to told; None when nothing reached it.
    """

    seq: int
    part_id: str
    outcome: Outcome
    told_verdict: Verdict | None
    told_ms: float | None


@dataclass(frozen=True, slots=True)
class Committed:
    """An inspection that is on disk: only now may PASS or REJECT be told."""

    inspection: Inspection
    seq: int
    inspection_id: str
    record_sha256: str
