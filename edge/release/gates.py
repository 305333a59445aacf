"""What the station itself holds a release against, whatever the cloud says. Pure: counts come in.

- A share fails as soon as its count is more than the limit allows of the parts that the gate asks for, so that a bad
  model does not have to be bad a hundred times.
- Nothing passes in shadow that was not seen to reject: a model that passes everything disagrees with nobody on a good
  day. Either it rejected parts that the model in use rejects, or the station's own bad master parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from cloud_sync.wire.messages import Probation

REJECTS_ASKED = 10  # of so many parts that the model in use rejects, the share that may pass is reckoned at least


class Answer(Enum):
    """What a gate says so far."""

    WAIT = auto()
    PASSED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A gate's answer, and why in words."""

    answer: Answer
    why: str = ""


WAITING = Judgement(Answer.WAIT)


@dataclass(frozen=True, slots=True)
class Beside:
    """Counts of parts that both models looked at, one of them deciding.

    Args:
        parts: that both looked at.
        skipped: that the other one had no time for.
        disagreements: of the parts, those with another verdict.
        undecided: that the other one could not decide.
        rejects: that the other one rejects.
        champion_rejects: that the one in use rejects.
        passes_of_rejects: that the one in use rejects and the other one passes.
        faults: how often the other one broke: NaN, a shape that is none, an error.
    """

    parts: int = 0
    skipped: int = 0
    disagreements: int = 0
    undecided: int = 0
    rejects: int = 0
    champion_rejects: int = 0
    passes_of_rejects: int = 0
    faults: int = 0

    def plus(self, other: "Beside") -> "Beside":
        """Both together."""
        return Beside(*(getattr(self, name) + getattr(other, name) for name in Beside.__slots__))

    def as_figures(self) -> dict[str, float]:
        """For the cloud."""
        return {name: float(getattr(self, name)) for name in Beside.__slots__}


@dataclass(frozen=True, slots=True)
class Decided:
    """Counts of parts that the release itself decided.

    Args:
        parts: all of them.
        rejects: that it rejected.
        undecided: that it could not decide, or not in time.
        faults: how often it broke or gave no answer.
    """

    parts: int = 0
    rejects: int = 0
    undecided: int = 0
    faults: int = 0

    def plus(self, other: "Decided") -> "Decided":
        """Both together."""
        return Decided(*(getattr(self, name) + getattr(other, name) for name in Decided.__slots__))

    def less(self, other: "Decided") -> "Decided":
        """What is left without the other's."""
        return Decided(*(getattr(self, name) - getattr(other, name) for name in Decided.__slots__))

    def as_figures(self) -> dict[str, float]:
        """For the cloud."""
        return {name: float(getattr(self, name)) for name in Decided.__slots__}


def judge_shadow(products: Sequence[Beside], limits: Probation, *, rejects_masters: bool) -> Judgement:
    """Whether a release may decide.

    Args:
        products: of each product that it looks at. Together they must be enough; each that is enough by itself is also
            held to the limits by itself.
        limits: as the cloud and the station set them.
        rejects_masters: whether it rejected bad master parts in its trial.
    """
    total = sum_of(products)
    enough = [one for one in products if one.parts >= limits.parts]
    for counts in (total, *enough):
        if why := _against_shadow(counts, limits):
            return Judgement(Answer.FAILED, why)
    if total.parts < limits.parts:
        return Judgement(Answer.WAIT, f"looks beside the model in use, until {limits.parts} parts were seen by both")
    if not rejects_masters and (lack := _lacks_rejects(total, limits)):
        return Judgement(Answer.WAIT, lack)
    return Judgement(Answer.PASSED)


def judge_live(counts: Decided, predicted: float, limits: Probation) -> Judgement:
    """Whether a release may go on deciding.

    Args:
        counts: since it decides.
        predicted: the share of parts that it rejected in shadow.
        limits: as the cloud and the station set them.
    """
    asked = max(counts.parts, limits.parts)
    if counts.faults:
        return Judgement(Answer.FAILED, f"it broke, or gave no answer, on {counts.faults} of {counts.parts} parts")
    if counts.undecided > limits.undecided_most * asked:
        return Judgement(Answer.FAILED, _share("left undecided", counts.undecided, counts.parts, limits.undecided_most))
    low, high = predicted - limits.reject_shift_most, predicted + limits.reject_shift_most
    too_few = counts.parts >= limits.parts and counts.rejects < low * counts.parts
    if too_few or counts.rejects > high * asked:
        said = f"it rejects {counts.rejects} of {counts.parts} parts, in shadow it was {predicted:.1%}: more than "
        return Judgement(Answer.FAILED, f"{said}{limits.reject_shift_most:.1%} apart")
    if counts.parts < limits.parts:
        return Judgement(Answer.WAIT, f"decides on probation, for its first {limits.parts} parts")
    return Judgement(Answer.PASSED)


def sum_of(products: Sequence[Beside]) -> Beside:
    """All products together."""
    total = Beside()
    for one in products:
        total = total.plus(one)
    return total


def decided_in_all(products: Sequence[Decided]) -> Decided:
    """All products together."""
    total = Decided()
    for one in products:
        total = total.plus(one)
    return total


def reject_share(counts: Beside) -> float:
    """The share of parts that the other model rejects."""
    return counts.rejects / counts.parts if counts.parts else 0.0


def _against_shadow(counts: Beside, limits: Probation) -> str:
    asked = max(counts.parts, limits.parts)
    if counts.faults:
        return f"it broke, {counts.faults} times in {counts.parts} parts"
    if counts.undecided > limits.undecided_most * asked:
        return _share("left undecided", counts.undecided, counts.parts, limits.undecided_most)
    if counts.passes_of_rejects > limits.escape_most * max(counts.champion_rejects, REJECTS_ASKED):
        what = "rejected by the model in use are passed"
        return _share(what, counts.passes_of_rejects, counts.champion_rejects, limits.escape_most)
    if counts.disagreements > limits.disagreement_most * asked:
        what = "judged otherwise than by the model in use"
        return _share(what, counts.disagreements, counts.parts, limits.disagreement_most)
    return ""


def _lacks_rejects(counts: Beside, limits: Probation) -> str:
    """What is missing to show that it rejects anything; empty where it did."""
    shared = counts.champion_rejects - counts.passes_of_rejects
    if shared < 1:
        return "no part yet that both reject: what rejects nothing must not decide"
    if counts.passes_of_rejects > limits.escape_most * counts.champion_rejects:
        return f"more than {limits.escape_most:.1%} of what the model in use rejects are passed so far"
    return ""


def _share(what: str, count: int, of: int, limit: float) -> str:
    return f"{count} of {of} parts {what}: at most {limit:.1%} may be"
