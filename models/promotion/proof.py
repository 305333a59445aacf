"""What a proof says: each rule, whether it was met, and the figures behind it. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from models.evaluate import Estimate, plain
from models.evaluation.compare import Paired


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule: whether it was met, and in one sentence what was found."""

    rule: str
    met: bool
    text: str


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Of one defect class: how many there are, and how many of these each model let pass; None without a champion."""

    count: int
    challenger_passed: int
    champion_passed: int | None = None

    @property
    def rise(self) -> int:
        """How many more the challenger lets pass; 0 without a champion."""
        return 0 if self.champion_passed is None else self.challenger_passed - self.champion_passed


@dataclass(frozen=True, slots=True)
class ProofFigures:
    """What was counted on the hold-out.

    Args:
        good: good images.
        bad: defective images.
        escapes: defective images that the challenger passes.
        overkill: good images that it rejects.
        undecided: images that it could not judge; the line rejects them.
        champion_escapes: as of the challenger; None without a champion.
        champion_overkill: likewise.
        by_class: images of each defect class.
        boxes_by_class: boxes of each class, for a detector; empty for other kinds.
        paired_escapes: who alone let defective images pass, with McNemar's p-value.
        paired_overkill: who alone rejected good ones.
        disagree: images on which the two say different things.
        named: of the defective images that it rejects, whose class it names rightly; None where it names none.
    """

    good: int = 0
    bad: int = 0
    escapes: int = 0
    overkill: int = 0
    undecided: int = 0
    champion_escapes: int | None = None
    champion_overkill: int | None = None
    by_class: Mapping[str, ClassFigures] = field(default_factory=dict)
    boxes_by_class: Mapping[str, ClassFigures] = field(default_factory=dict)
    paired_escapes: Paired | None = None
    paired_overkill: Paired | None = None
    disagree: int | None = None
    named: Estimate | None = None

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self) | {"named": plain(self.named)}


@dataclass(frozen=True, slots=True)
class Proof:
    """The answer. `passed` only where every reason is met."""

    passed: bool
    reasons: tuple[Reason, ...]
    figures: ProofFigures

    @property
    def why_not(self) -> str:
        """What was not met, in one line; empty where all was."""
        return "; ".join(reason.text for reason in self.reasons if not reason.met)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        reasons = [asdict(reason) for reason in self.reasons]
        return {"passed": self.passed, "why_not": self.why_not, "reasons": reasons, "figures": self.figures.as_json()}
