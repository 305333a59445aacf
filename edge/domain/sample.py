"""An inspection kept for retraining, with why."""

from dataclasses import dataclass
from enum import StrEnum

from edge.domain.errors import StorageError
from edge.domain.inspection import ImageRef


class SampleReason(StrEnum):
    """Why an inspection is worth a person's look."""

    UNCERTAIN = "uncertain"
    CANDIDATE = "candidate"
    DISAGREEMENT = "disagreement"
    OVERRULED = "overruled"
    NOVEL = "novel"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Sample:
    """One inspection's image, chosen for labelling.

    Raises:
        StorageError: no reason is given, or the inspection is not named.
    """

    inspection_id: str
    camera_id: str
    image: ImageRef
    reasons: tuple[SampleReason, ...]

    def __post_init__(self) -> None:
        if not self.inspection_id or not self.reasons:
            raise StorageError(f"sample of {self.inspection_id!r}: an inspection and at least one reason are needed")
