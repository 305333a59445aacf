"""One product's challenger: its process, started again where it ends, and what it has shown so far.

The desk's thread alone calls what is here, but for `figures`, `close` and the fields that say so.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from edge.domain.frame import Image
from edge.shadow.apart import IDLE_LOADS_WITHIN_S, ApartError, EngineApart, StarvedError, UnloadableError
from edge.shadow.comparing import Challenger
from edge.shadow.figures import Pair, ShadowFigures, State, began_again, counted
from edge.shadow.messages import Order
from models.detections import Detections
from models.errors import ModelError
from models.spec import ModelId

log = structlog.get_logger()
_MOST_DEATHS = 3
_LOADS_WITHIN_CPU_S = 300.0
_HANGS_AFTER = 5.0
_STARVES_AFTER = 7.5
_MOST_STARVED = 3
_LONGEST_REST_S = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Where a challenger's process finds things, and what it may take.

    Args:
        cache: folder of compiled graphs.
        bundles: folder of all bundles.
        timeout_s: how long a live model may take for a frame.
        rests: for how many times as long as a look took it rests afterwards: a quota counts what was idle time too.
    """

    cache: Path
    bundles: Path
    timeout_s: float
    rests: float = 0.0


class Lane:
    """A challenger on its way from loading to looking.

    `state`, `closed` and `refused` may be read by any thread; `refused` counts what found no room, for who offers, and
    `rest_s` is how long to wait before the next look.

    Args:
        challenger: what is to look.
        terms: where it finds things, and what it may take.
    """

    def __init__(self, challenger: Challenger, terms: Terms) -> None:
        self.challenger = challenger
        self.state: State = "loading"
        self.closed = False
        self.refused = 0
        self.rest_s = 0.0
        self._terms = terms
        self._tally = ShadowFigures(challenger=challenger.bundle.model_id)
        self._refused_before = 0
        self._apart: EngineApart | None = None
        self._begun_s = 0.0
        self._hurry = False
        self._deaths = 0
        self._starved = 0
        self._why = ""

    def figures(self) -> ShadowFigures:
        """So far; any thread."""
        tally = self._tally
        skipped = tally.skipped + max(0, self.refused - self._refused_before)
        return replace(tally, state=self.state, why=self._why, skipped=skipped)

    def close(self) -> None:
        """Say that nobody wants it any more; the desk's thread then lets it go; any thread."""
        self.closed = True

    def dispose(self) -> None:
        """End the process, if there is one."""
        apart, self._apart = self._apart, None
        if apart is not None:
            apart.close()

    def tend(self) -> None:
        """Go on with loading; waits for nothing."""
        if self.state != "loading" or self.closed:
            return
        try:
            if self._apart is None:
                order = order_of(self.challenger, self._terms)
                self._apart, self._begun_s = EngineApart(order, hurry=self._hurry), time.monotonic()
            elif self._apart.ready(_LOADS_WITHIN_CPU_S, 0):
                self.state = "looking"
                log.info("a shadow looks", bundle=self.challenger.bundle.model_id.id)
            elif not self._hurry and time.monotonic() > self._begun_s + IDLE_LOADS_WITHIN_S:
                self._hurry = True
                self.dispose()
        except ApartError as error:
            self.fail(error)

    def look(self, image: Image, stop: threading.Event) -> Detections:
        """What the challenger finds on a frame.

        Raises:
            ModelError: it has no answer; `fail` must hear of it unless it is an AlignmentError.
            StarvedError: it had no time, or nobody waits any more.
        """
        if self._apart is None:
            raise StarvedError("it is being loaded again")
        limits_s = _HANGS_AFTER * self._terms.timeout_s, _STARVES_AFTER * self._terms.timeout_s
        try:
            found, took_ms = self._apart.look(image, limits_s, lambda: self.closed or stop.is_set())
        except StarvedError as error:
            self._starved += not (self.closed or stop.is_set())
            if self._starved >= _MOST_STARVED:
                raise ApartError(f"{error}, {self._starved} times one after the other: it hangs") from error
            raise
        self._starved = 0
        self.rest_s = min(_LONGEST_REST_S, self._terms.rests * took_ms / 1000)
        cpu_s, slowest_ms = self._tally.cpu_s + took_ms / 1000, max(self._tally.slowest_ms, took_ms)
        self._tally = replace(self._tally, cpu_s=cpu_s, slowest_ms=slowest_ms)
        return found

    def fail(self, error: ModelError) -> None:
        """Count a fault; a process that is of no use is let go, and started again twice."""
        if self.closed:
            return
        self._count_fault()
        if not isinstance(error, ApartError):
            return
        self.dispose()
        self._deaths += 1
        self._starved = 0
        broken = isinstance(error, UnloadableError) or self._deaths >= _MOST_DEATHS
        self._why = str(error) if broken else ""
        self.state = "broken" if broken else "loading"
        model = self.challenger.bundle.model_id
        log.warning("a shadow fails", bundle=model.id, version=model.version, why=str(error), goes_on=not broken)

    def give_up(self, defect: Exception) -> None:
        """Look no more: not the challenger failed, but something here did."""
        self._count_fault()
        self.dispose()
        self._why, self.state = f"defect beside the line: {type(defect).__name__}: {defect}", "broken"

    def _count_fault(self) -> None:
        self._tally = replace(self._tally, faults=self._tally.faults + 1)

    def skip(self) -> None:
        """One part more that was not looked at."""
        self._tally = replace(self._tally, skipped=self._tally.skipped + 1)

    def count(self, pairs: Sequence[Pair], champion: ModelId) -> None:
        """One part more that was, beside this champion; another one than before begins the figures again."""
        tally = self._tally
        if tally.champion not in {None, champion}:
            tally, self._refused_before = began_again(tally), self.refused
        self._tally = counted(replace(tally, champion=champion), pairs)


def order_of(challenger: Challenger, terms: Terms) -> Order:
    """What a process is told that is to run this challenger."""
    bundle = challenger.bundle
    return Order(
        bundle=str(bundle.path),
        sha256=bundle.model_id.sha256,
        cache=str(terms.cache),
        bundles=str(terms.bundles),
        plan=challenger.plan,
        reference="" if challenger.reference is None else str(challenger.reference),
        shared=-1,
    )
