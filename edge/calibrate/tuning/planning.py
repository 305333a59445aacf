"""The planning answer: how many cameras at how many parts a minute fit, and what more cores would give. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log2

from edge.calibrate.tuning.scaling import Scaled

LOAD = 0.8
_BEYOND = 4


@dataclass(frozen=True, slots=True)
class Room:
    """What the whole station does with parts of so many cameras, measured.

    Args:
        cameras: that see each part at once.
        parts_per_s: at full load.
        p99_ms: from trigger to decision, at full load.
        fits: whether that is within the limit.
    """

    cameras: int
    parts_per_s: float
    p99_ms: float
    fits: bool

    @property
    def most_per_minute(self) -> float:
        """Parts a minute at full load; nothing where they come too late."""
        return 60 * self.parts_per_s if self.fits else 0.0

    @property
    def advised_per_minute(self) -> float:
        """With a fifth of the machine in reserve: at full load a queue never empties."""
        return LOAD * self.most_per_minute

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        rates = {
            "most_per_minute": round(self.most_per_minute, 1),
            "advised_per_minute": round(self.advised_per_minute, 1),
        }
        return asdict(self) | rates


@dataclass(frozen=True, slots=True)
class Beyond:
    """What cores that are not here would give: reckoned, not measured.

    Args:
        cores: how many.
        low: times the speed of the cores that are here, if each doubling gains what the last one here gained, less
            what doublings lost so far once more.
        high: the same, if each core gives what the first gave.
    """

    cores: int
    low: float
    high: float


def best_by_cores(scaled: Sequence[Scaled]) -> dict[int, Scaled]:
    """The fastest way for each number of cores."""
    best: dict[int, Scaled] = {}
    for one in scaled:
        if one.way.cores not in best or one.parts_per_s > best[one.way.cores].parts_per_s:
            best[one.way.cores] = one
    return dict(sorted(best.items()))


def beyond(scaled: Sequence[Scaled]) -> tuple[list[Beyond], str]:
    """Two and four times the cores that are here, and what that is based on, in words."""
    best = best_by_cores(scaled)
    counts = list(best)
    if not counts:
        return [], "nothing was measured"
    here = counts[-1]
    if len(counts) == 1:
        guesses = [Beyond(here * times, 1.0, float(times)) for times in (2, _BEYOND)]
        return (
            guesses,
            f"only {here} core was measured: whether another one helps is not known; at most it gives as much",
        )
    last = best[here].parts_per_s / best[counts[-2]].parts_per_s
    gain = min(2.0, last ** (1 / log2(here / counts[-2])))
    full = best[counts[0]].parts_per_s * here / counts[0] / best[here].parts_per_s
    guesses = [
        Beyond(here * times, round(_fading(gain, int(log2(times))), 2), round(times * max(1.0, full), 2))
        for times in (2, _BEYOND)
    ]
    basis = (
        f"from {counts[-2]} to {here} cores the speed grew {last:.2f} times. Low: each further doubling gains that, "
        "and loses again what this one lost. High: every core gives what the first one gave"
    )
    return guesses, basis


def _fading(gain: float, doublings: int) -> float:
    times, lost = 1.0, 2.0 / gain
    for _ in range(doublings):
        gain = max(1.0, gain / lost)
        times *= gain
    return times
