"""Where a release stands at this station, and what is done next. Pure: what is seen comes in, one step comes out.

Invariants:
- A release decides only after this station's own shadow gate let it, whatever the cloud asks for.
- A bundle that a person made active meanwhile is left alone: the release is over, and nothing is changed.
- An activation and a way back are written down before they are begun, so that after a kill either is done again.
- `BACK` and `REJECTED` are the end of an offer; another one begins anew.
"""

from dataclasses import dataclass, field
from enum import StrEnum, auto

from cloud_sync.station.keeping import KeptState
from cloud_sync.wire.messages import Job, Stage
from edge.release.gates import WAITING, Answer, Beside, Decided, Judgement
from models.trust.verifying import Target


class Phase(StrEnum):
    """How far it came."""

    FETCHED = auto()
    SHADOW = auto()
    GOING_LIVE = auto()
    LIVE = auto()
    GOING_BACK = auto()
    BACK = auto()
    REJECTED = auto()


class Step(StrEnum):
    """What is done next."""

    WAIT = auto()
    CHECK = auto()
    END_SHADOW = auto()
    ACTIVATE = auto()
    SETTLE = auto()
    PROVE = auto()
    GO_BACK = auto()
    END = auto()
    REJECT = auto()


TOLD: dict[Phase, KeptState] = {
    Phase.FETCHED: "verified",
    Phase.SHADOW: "shadow",
    Phase.GOING_LIVE: "shadow",
    Phase.LIVE: "live",
    Phase.GOING_BACK: "live",
    Phase.BACK: "back",
    Phase.REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True)
class Course:
    """What is kept of the release under way, over every restart.

    Args:
        job: the offer.
        phase: how far it came.
        why: in words.
        bundle: the id of the bundle that it is a version of here; empty before it was checked.
        version: its own number in the station's store.
        sha256: that version's digest.
        signed: what was signed of it.
        before: the version that decided when its shadow began.
        rejects_masters: whether it rejected the station's bad master parts in its trial.
        proven: whether its probation is over, and it was good.
        beside: counts of its shadow by product.
        decided: counts of what it decided itself, by product.
        starts: how often the station was started since it went live, and did not come to an orderly end.
    """

    job: Job
    phase: Phase = Phase.FETCHED
    why: str = ""
    bundle: str = ""
    version: int = 0
    sha256: str = ""
    signed: Target | None = None
    before: int = 0
    rejects_masters: bool = False
    proven: bool = False
    beside: dict[str, Beside] = field(default_factory=dict)
    decided: dict[str, Decided] = field(default_factory=dict)
    starts: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more becomes of this offer."""
        return self.phase in {Phase.BACK, Phase.REJECTED}

    @property
    def is_watched(self) -> bool:
        """Whether it decides, or is about to, and may still have to go back by its own counts."""
        return self.phase in {Phase.GOING_LIVE, Phase.GOING_BACK} or (self.phase is Phase.LIVE and not self.proven)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step is decided on.

    Args:
        asked: how far the cloud wants it to be taken; None where it was withdrawn.
        active: the version that decides, or would from the next start on; None where there is none.
        shadow: the shadow gate's answer.
        live: the answer of the gate after that.
        untaken: why the running station does not take what was activated; empty where it did or still may.
    """

    asked: Stage | None
    active: int | None
    shadow: Judgement = WAITING
    live: Judgement = WAITING
    untaken: str = ""


def next_step(course: Course, seen: Seen) -> tuple[Step, str]:
    """What is done next, and why."""
    return _STEPS[course.phase](course, seen)


def _fetched(course: Course, seen: Seen) -> tuple[Step, str]:
    match seen.asked:
        case "shadow" | "live":
            return Step.CHECK, ""
        case "back":
            return Step.END, "it never decided here"
        case _:
            return Step.WAIT, course.why


def _shadow(course: Course, seen: Seen) -> tuple[Step, str]:
    if seen.active != course.before:
        return Step.REJECT, _persons_choice(course, seen)
    if seen.asked == "back":
        return Step.END, "it never decided here"
    if seen.asked not in {"shadow", "live"}:
        return Step.END_SHADOW, "withdrawn"
    match seen.shadow.answer:
        case Answer.FAILED:
            return Step.REJECT, f"in shadow: {seen.shadow.why}"
        case Answer.PASSED if seen.asked == "live":
            return Step.ACTIVATE, ""
        case _:
            return Step.WAIT, seen.shadow.why


def _going_live(course: Course, seen: Seen) -> tuple[Step, str]:
    if seen.active == course.version:
        return Step.SETTLE, ""
    if seen.active != course.before:
        return Step.REJECT, _persons_choice(course, seen)
    return (Step.ACTIVATE, "") if seen.asked == "live" else (Step.END, "withdrawn before it decided")


def _live(course: Course, seen: Seen) -> tuple[Step, str]:
    if seen.active != course.version:
        return Step.END, _persons_choice(course, seen)
    if seen.asked == "back" or seen.untaken:
        return Step.GO_BACK, seen.untaken or "the cloud asks for it"
    if course.proven:
        return Step.WAIT, course.why
    match seen.live.answer:
        case Answer.FAILED:
            return Step.GO_BACK, f"on probation: {seen.live.why}"
        case Answer.PASSED:
            return Step.PROVE, ""
        case Answer.WAIT:
            return Step.WAIT, seen.live.why


def _going_back(course: Course, seen: Seen) -> tuple[Step, str]:
    return (Step.GO_BACK if seen.active == course.version else Step.END), course.why


def _over(course: Course, _seen: Seen) -> tuple[Step, str]:
    return Step.WAIT, course.why


def _persons_choice(course: Course, seen: Seen) -> str:
    now = "none is active" if seen.active is None else f"v{seen.active} is active"
    return f"bundle {course.bundle!r}: {now} by a person's word, and that stands"


_STEPS = {
    Phase.FETCHED: _fetched,
    Phase.SHADOW: _shadow,
    Phase.GOING_LIVE: _going_live,
    Phase.LIVE: _live,
    Phase.GOING_BACK: _going_back,
    Phase.BACK: _over,
    Phase.REJECTED: _over,
}
