"""What is said of a link that comes and goes: one line when it is lost, one when it is back. Pure: times come in."""

from dataclasses import dataclass


@dataclass(slots=True)
class Absence:
    """Whether the link is away, and since when.

    Args:
        since_s: when it was lost, or the uplink began, seconds on a clock that only rises; None while it is there.
        was_told: whether its loss was said already.
    """

    since_s: float | None
    was_told: bool = False

    def lost(self, now_s: float, why: str) -> str | None:
        """The line for a link that is not there; None where that was said."""
        if self.since_s is None:
            self.since_s, self.was_told = now_s, False
        if self.was_told:
            return None
        self.was_told = True
        return f"the link is lost: {why}"

    def back(self, now_s: float, waiting: int | None) -> str:
        """The line for a link that is there again, or for the first time."""
        away_s, was_told = 0.0 if self.since_s is None else now_s - self.since_s, self.was_told
        self.since_s, self.was_told = None, False
        rows = "" if waiting is None else f", {waiting} records wait"
        return f"the link is back after {away_s:.1f} s{rows}" if was_told else f"the link is there{rows}"
