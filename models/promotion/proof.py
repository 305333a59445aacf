"""What a proof says: each rule, whether it was met, and the figures behind it. Pure."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule: whether it was met, and in one sentence what was found."""

    rule: str
    met: bool
    text: str


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Of one defect class: how many images, and how many of these each model let pass; None without a champion."""

    images: int
    challenger_passed: int
    champion_passed: int | None = None


@dataclass(frozen=True, slots=True)
class ProofFigures:
    """What was counted on the hold-out.

    Args:
        good: good images.
        bad: defective images.
        overkill: good images that the challenger rejects.
        escapes: defective images that it passes.
        champion_overkill: likewise of the champion; None without one.
        champion_escapes: likewise.
        by_class: of each defect class.
        disagree: images on which the two say different things.
        undecided: images that the challenger could not judge; the line rejects them.
    """

    good: int = 0
    bad: int = 0
    overkill: int = 0
    escapes: int = 0
    champion_overkill: int | None = None
    champion_escapes: int | None = None
    by_class: dict[str, ClassFigures] | None = None
    disagree: int | None = None
    undecided: int = 0


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
        return {
            "passed": self.passed,
            "reasons": [asdict(reason) for reason in self.reasons],
            "figures": asdict(self.figures),
        }
