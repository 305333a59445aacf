"""Whether the service manager's watchdog is fed: pure; what the threads show comes in, a decision comes out.

A station that is not fed is killed and started again. That costs seconds of the line, so it is done only for what a
restart mends: a thread of ours that hangs, though it never waits for long by design.

Invariants:
- Going round is what counts, not being busy: a line without triggers, a pause between parts, a camera that is gone and
  tried again, a disk that refuses and is tried again, a broker that is away all leave every thread going round.
- A hang is always a fault, fed or not: the station is not ready.
- A process that stood still as a whole (a virtual machine that was paused) has no thread that hangs.
- What hangs in something outside of us and never worked since the start is no reason: the start was the restart, and
  it has not helped. So a camera that hangs its driver for ever, or a dead disk, cannot make a loop of restarts.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sign:
    """What one thread shows.

    Args:
        name: whose it is, for people.
        late_s: for how long it should have gone round, and has not.
        restart_helps: a new process would likely not hang at the same place.
    """

    name: str
    late_s: float
    restart_helps: bool = True


@dataclass(frozen=True, slots=True)
class Judgement:
    """`why` names what hangs, empty where nothing does; `feed`: no restart is wanted."""

    feed: bool
    why: str


def judge(signs: Sequence[Sign], patience_s: float, stood_still_s: float = 0.0) -> Judgement:
    """Whether to feed the watchdog.

    Args:
        signs: one of each thread that parts need.
        patience_s: later than this, seconds, is hung.
        stood_still_s: for how long who asks did not run itself, since it asked before.
    """
    hung = [sign for sign in signs if sign.late_s - stood_still_s > patience_s]
    why = "; ".join(_said(sign, patience_s) for sign in hung)
    return Judgement(feed=not any(sign.restart_helps for sign in hung), why=why)


def _said(sign: Sign, patience_s: float) -> str:
    in_vain = "" if sign.restart_helps else ", and never did since the start: a restart would not help"
    return f"{sign.name} has not moved for {patience_s:g} s{in_vain}"
