"""Which of many is best, in little time on a machine that is never quite idle. Pure: who measures is given.

- Contenders run in turns, round after round, so that what else the machine does meets all of them alike.
- After each round the worse half goes, and those that stay run longer: time is spent where it decides.
- A contender whose p99 is over the limit loses against every one that keeps it, however fast.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from edge.calibrate.tuning.candidates import Contender

KEEP = 3
_SLICE_S = 0.2
_LONGER = 1.5
_NEAR = 0.97
_P99 = 0.99
_LAST_ROUNDS = 2
_SURE = 0.75


@dataclass(frozen=True, slots=True)
class Reading:
    """One turn: parts done, seconds, milliseconds each took, CPU seconds of this process, parts that got no answer."""

    parts: int
    seconds: float
    latencies_ms: tuple[float, ...]
    cpu_s: float
    failed: int = 0


@dataclass(slots=True)
class Tally:
    """All turns of one contender."""

    readings: list[Reading] = field(default_factory=list)

    @property
    def parts_per_s(self) -> float:
        """Of the middle turn."""
        return median(each.parts / each.seconds for each in self.readings)

    @property
    def cpu_ms(self) -> float:
        """CPU time a part costs, which other work on the machine changes little."""
        return 1000 * sum(each.cpu_s for each in self.readings) / max(1, sum(each.parts for each in self.readings))

    def latency_ms(self, share: float = _P99) -> float:
        """What this share of all parts stays below; with fewer than a hundred parts the p99 is the worst."""
        ordered = sorted(ms for each in self.readings for ms in each.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")

    def fits(self, limit_ms: float) -> bool:
        """Whether p99 is within the limit, and every part got an answer."""
        return self.latency_ms() <= limit_ms and not any(each.failed for each in self.readings)


Measure = Callable[[Contender, float], Reading]
Tallies = Mapping[Contender, Tally]


def search(
    contenders: Sequence[Contender],
    measure: Measure,
    limit_ms: float,
    until_s: float,
    clock: Callable[[], float],
    always: Collection[Contender] = (),
) -> dict[Contender, Tally]:
    """Measure in turns, halving, until `KEEP` are left and ran twice more, or until the time is over.

    Args:
        contenders: the likely ones first: little time measures few of them.
        measure: runs one for about so many seconds.
        limit_ms: p99 must not be above it.
        until_s: by `clock`; no turn starts after it, but for the first contender's first.
        clock: seconds.
        always: measured in every round, never dropped, no candidates: what to compare with.

    Returns:
        What was measured, in the order of `contenders`, then `always`.
    """
    tallies = {one: Tally() for one in (*contenders, *always)}
    alive, slice_s, last = list(contenders), _SLICE_S, 0
    while alive and last < _LAST_ROUNDS:
        for one in (*alive, *always):
            if clock() >= until_s and any(tally.readings for tally in tallies.values()):
                return _measured(tallies)
            tallies[one].readings.append(measure(one, slice_s))
        last += len(alive) <= KEEP
        alive = ranked({one: tallies[one] for one in alive}, limit_ms)[: max(KEEP, (len(alive) + 1) // 2)]
        slice_s *= _LONGER
    return _measured(tallies)


def ranked(tallies: Tallies, limit_ms: float) -> list[Contender]:
    """The best first: those within the limit by parts per second, then the others by how late they are."""

    def rank(one: Contender) -> tuple[bool, float]:
        fits = tallies[one].fits(limit_ms)
        return not fits, -tallies[one].parts_per_s if fits else tallies[one].latency_ms()

    return sorted(tallies, key=rank)


def choose(tallies: Tallies, limit_ms: float) -> Contender:
    """The best; of those within 3 % of it, the one that leaves most of the machine to others.

    A pinned one must be better than all that are not by more than those 3 %.
    """
    best = ranked(tallies, limit_ms)[0]
    if not tallies[best].fits(limit_ms):
        return best
    enough = _NEAR * tallies[best].parts_per_s
    near = [one for one, tally in tallies.items() if tally.fits(limit_ms) and tally.parts_per_s >= enough]
    return min(near, key=lambda one: (one.plan.pinning, one.plan.threads, one.plan.streams, one.plan.requests))


def settle(tallies: Tallies, chosen: Contender, default: Contender, limit_ms: float) -> Contender:
    """The chosen one, if it beat the default in three of four rounds or more: on a busy machine one round is luck."""
    if not tallies[default].fits(limit_ms):
        return chosen
    pairs = list(zip(tallies[chosen].readings, tallies[default].readings, strict=False))
    won = sum(a.parts / a.seconds > b.parts / b.seconds for a, b in pairs)
    return chosen if won >= _SURE * len(pairs) else default


def _measured(tallies: dict[Contender, Tally]) -> dict[Contender, Tally]:
    return {one: tally for one, tally in tallies.items() if tally.readings}


def in_turns(
    contenders: Sequence[Contender],
    measure: Measure,
    until_s: float,
    clock: Callable[[], float],
    slice_s: float,
    *,
    rounds: int = 2,
) -> dict[Contender, Tally]:
    """Every contender in turn for about `slice_s` seconds, so many rounds at least, and more until the time is over."""
    tallies = {one: Tally() for one in contenders}
    turn = 0
    while turn < rounds or clock() < until_s:
        for one in contenders:
            tallies[one].readings.append(measure(one, slice_s))
        turn += 1
    return tallies


def ratio(tallies: Tallies, one: Contender, other: Contender) -> float:
    """How many times faster one is than the other: of each round, as noise comes and goes, and then the middle."""
    pairs = zip(tallies[one].readings, tallies[other].readings, strict=False)
    return median(a.parts / a.seconds / (b.parts / b.seconds) for a, b in pairs if b.parts)
