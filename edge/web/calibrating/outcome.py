"""What `edge calibrate` answered, as far as its page tells it."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class Made(_Lenient):
    """The bundle that was made."""

    id: str
    version: int
    precision: str


class Proof(_Lenient):
    """What overkill was asked, and what is proven, as rates."""

    proven_rate: float
    target_rate: float
    confidence: float
    held_out: int
    needed: int


class Gate(_Lenient):
    """What the INT8 gate said."""

    outcome: str
    reason: str


class Overkill(Proof):
    """What good parts show of a bundle that was taken; `misaligned` ones, which fit no reference, are rejected too."""

    rejected: int
    misaligned: int = 0
    refused: tuple[Mapping[str, str], ...] = ()


class Escapes(_Lenient):
    """How many of the bad parts passed, and what that says of all."""

    claim: str
    missed: int
    defects: int


class Outcome(_Lenient):
    """What came of a calibration; without `model_id` it made no bundle. Of a bundle that was taken, the gate's word."""

    model_id: Made | None = None
    threshold: Proof | None = None
    overkill: Overkill | None = None
    escapes: Escapes | None = None
    quantized: str | None = None
    speed_ms: Mapping[str, float] = {}
    verdict: str = ""
    gate: Gate | str | None = None
    activated: bool = False
    against: str = ""
    advice: str = ""
    left_out: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    checks: Mapping[str, object] | None = None


def outcome_of(answer: Mapping[str, object]) -> Outcome:
    """What an answer says; what cannot be read of another version's says nothing."""
    try:
        return Outcome.model_validate(answer)
    except ValidationError:
        return Outcome()
