"""Parts as the live page shows them: what passed, what each camera saw, and the figures of the last. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.domain.percentile import percentile

PARTS = 200
_RATE_OVER_S = 60.0
_EARLY_S = 0.5  # a part of a later moment than now was triggered before the clock was set back
_MASTER = "master:"


@dataclass(frozen=True, slots=True)
class Passed:
    """A part that passed the cameras.

    Args:
        verdict: what the line was told; as long as nobody knows that, what was found.
        found: what was found.
        outcome: told, late or unconfirmed; empty until it is known.
        told_ms: milliseconds from trigger to told; None until that is known.
        at: when it was triggered, UTC.
        picture: content of its picture, of the camera that speaks against it if one does; empty without.
    """

    seq: int
    part_id: str
    product: str
    verdict: str
    found: str
    outcome: str
    told_ms: float | None
    at: str
    picture: str = ""

    @property
    def is_master(self) -> bool:
        """Whether it was a master part: shown to check the station, and no production."""
        return self.part_id.startswith(_MASTER)


@dataclass(frozen=True, slots=True)
class Box:
    """What the model reported at one place, in the picture's pixels."""

    xyxy: Sequence[float]
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Look:
    """The newest that one camera saw.

    Args:
        seq: the number of the inspection.
        part_id: the part; the newest of another camera may be another one.
        picture: content of the picture; empty where there is none, and `missing` says why.
        missing: pending, not_kept, dropped, gone or no_frame; empty where there is a picture.
        size: (width, height) of the whole picture, which the boxes are in.
        more: so many findings stand in no record, because only the strongest do.
        model: id, version and precision of what looked; empty where none did.
        heat: what the model's map showed, as scripts take it; None where nothing is recorded of it.
    """

    camera: str
    seq: int
    part_id: str
    verdict: str
    reasons: Sequence[str]
    score: float | None
    boxes: Sequence[Box]
    more: int
    picture: str
    missing: str
    size: tuple[int, int] | None
    model: Sequence[str]
    heat: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the last parts, master parts left out; None where there are too few to say.

    Args:
        parts: how many parts the other figures are of.
        good: share that passed, in [0, 1].
        per_minute: parts a minute, over the last minute.
        p50_ms: half of the parts were told within; from trigger to told.
        p99_ms: 99 of 100 parts were told within.
    """

    parts: int
    good: float | None
    per_minute: float | None
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Newest:
    """What the live page shows of the parts.

    Args:
        part: the newest; None before the first.
        reasons: why it got its verdict.
        looks: of each camera that saw one of the last parts, the newest.
        strip: the last parts, newest first.
        not_good: the last that did not pass, newest first.
        waits: a newer part waits for its picture.
    """

    part: Passed | None
    reasons: Sequence[str]
    looks: Sequence[Look]
    strip: Sequence[Passed]
    not_good: Sequence[Passed]
    figures: Figures
    waits: bool

    @property
    def shown(self) -> tuple[object, ...]:
        """What a viewer would see change, the figures left out: they are of so many parts that they can wait."""
        return self.part, self.looks, self.strip


def figures(parts: Sequence[Passed], now: datetime) -> Figures:
    """The figures of the last parts, newest first."""
    told = sorted(part.told_ms for part in parts if part.told_ms is not None)
    recent = [age for part in parts if -_EARLY_S <= (age := age_s(part, now)) <= _RATE_OVER_S]
    span_s = min(_RATE_OVER_S, max(recent, default=0.0)) if len(recent) == len(parts) else _RATE_OVER_S
    return Figures(
        len(parts),
        sum(part.verdict == "PASS" for part in parts) / len(parts) if parts else None,
        len(recent) / max(span_s, 1e-3) * 60 if len(parts) > 1 else None,
        percentile(told, 0.5) if told else None,
        percentile(told, 0.99) if told else None,
    )


def age_s(part: Passed, now: datetime) -> float:
    """Seconds since a part was triggered."""
    return (now - datetime.fromisoformat(part.at).astimezone(UTC)).total_seconds()
