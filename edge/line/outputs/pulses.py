"""When which GPIO line is on. Pure: verdicts and time come in.

Invariants:
- Pass is on only for a PASS, for one pulse, and never together with Fail.
- A verdict that comes before the last pulse and its gap are over, or not in the order of the triggers, gets no Pass:
  the line could not tell whose it is.
"""

from dataclasses import dataclass

from edge.domain.part import Verdict


@dataclass(frozen=True, slots=True)
class Lines:
    """What is on. The default is the safe state."""

    pass_on: bool = False
    fail_on: bool = False
    undecided_on: bool = False
    ready_on: bool = False


class Pulses:
    """The pulses of one station.

    `overruns` counts the verdicts that came too soon or out of turn.

    Args:
        pulse_s: how long a verdict is on, seconds.
        gap_s: how long nothing is on before the next, seconds.
    """

    def __init__(self, pulse_s: float, gap_s: float) -> None:
        self.overruns = 0
        self._pulse_s = pulse_s
        self._gap_s = gap_s
        self.restart()

    def restart(self) -> None:
        """Everything is off."""
        self._verdict: Verdict | None = None
        self._until_s = float("-inf")
        self._ready = False

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - ready is what is said
        """Whether the station can inspect."""
        self._ready = ready

    def tell(self, verdict: Verdict, now_s: float, *, in_turn: bool = True) -> None:
        """Begin the pulse of a verdict; one that was overtaken, or overtook another, gets no Pass."""
        if not in_turn or now_s < self._until_s + self._gap_s:
            self.overruns += 1
            verdict = Verdict.UNDECIDED
        self._verdict = verdict
        self._until_s = now_s + self._pulse_s

    def lines(self, now_s: float) -> Lines:
        """What is on at `now_s`."""
        verdict = self._verdict if now_s < self._until_s else None
        return Lines(
            pass_on=verdict is Verdict.PASS,
            fail_on=verdict in {Verdict.REJECT, Verdict.UNDECIDED},
            undecided_on=verdict is Verdict.UNDECIDED,
            ready_on=self._ready,
        )

    def wait_s(self, now_s: float) -> float | None:
        """How long until a line changes by itself, seconds; None while nothing is on."""
        return self._until_s - now_s if now_s < self._until_s else None
