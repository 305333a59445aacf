"""Shadows of the station's products: takes frames after they were told, and compares, in a thread of its own.

Invariants:
- `offer` never blocks, copies nothing and raises nothing; what finds no room is counted as skipped.
- A look begins only while the line has slack, and runs where nobody else wants the processor.
- Nothing that a challenger does, and no defect here, reaches the line: it is counted as a fault.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import structlog

from edge.domain.frame import Frame
from edge.domain.inspection import Committed, View
from edge.pauses import may_run
from edge.pipeline import Product
from edge.pulse import Pulse
from edge.shadow.apart import StarvedError
from edge.shadow.comparing import Challenger, challenging_view, failed_view, own_view
from edge.shadow.figures import Pair, ShadowFigures
from edge.shadow.lane import Lane, Terms
from models.bundle import Bundle
from models.errors import AlignmentError, ModelError

log = structlog.get_logger()
OnPair = Callable[[Committed, str, View, View], None]
_MOST_WAITING = 4
_PATIENCE_S = 0.1
_POLL_S = 0.005
_SLACK_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Around:
    """What a desk needs of the station.

    Args:
        prepare: what a bundle would be run with for a product; raises ConfigError, ModelError.
        products: what is live, by product id.
        slack: the share of its time that the next waiting part has left; 1 where none is on its way.
        terms: where a challenger's process finds things, and what it may take.
    """

    prepare: Callable[[str, Bundle], Challenger]
    products: Mapping[str, Product]
    slack: Callable[[], float]
    terms: Terms


@dataclass(frozen=True, slots=True)
class _Offered:
    lane: Lane
    champion: Product
    committed: Committed
    frames: tuple[Frame, ...]
    at_s: float


class ShadowDesk:
    """Compares each product's challenger with its champion; see the package for what its figures mean.

    `on_pair` is called in this thread for each pair of views, alike or not; `pulse` shows that the thread goes round.

    Args:
        around: what it needs of the station.
    """

    def __init__(self, around: Around) -> None:
        self.on_pair: OnPair | None = None
        self.pulse = Pulse(_SLACK_WITHIN_S)
        self._around = around
        self._lanes: dict[str, Lane] = {}
        self._ended: dict[str, ShadowFigures] = {}
        self._retired: deque[Lane] = deque()
        self._changing = threading.Lock()
        self._offered: queue.Queue[_Offered] = queue.Queue(_MOST_WAITING)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Start the thread; shadows that were begun before are loaded now."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End every shadow and the thread, waiting at most `timeout_s` seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        for product_id in list(self._lanes):
            self.end(product_id)
        if not self._thread.is_alive():
            self._let_go()

    def begin(self, product_id: str, bundle: Bundle) -> None:
        """Let this bundle look beside the product's own from now on; another one that did is ended.

        Returns at once; `figures` says when it looks.

        Raises:
            ConfigError, ModelError: it could never run here; nothing has changed.
        """
        with self._changing:
            running = self._lanes.get(product_id)
            if running is not None and running.challenger.bundle.model_id == bundle.model_id:
                return
            lane = Lane(self._around.prepare(product_id, bundle), self._around.terms)
            self._ended.pop(product_id, None)
            self._lanes = {**self._lanes, product_id: lane}
            self._retire(running)
        log.info("a shadow begins", product=product_id, bundle=bundle.model_id.id, version=bundle.model_id.version)

    def end(self, product_id: str) -> None:
        """Let the product's challenger look no more; its figures stay. None runs: nothing happens."""
        with self._changing:
            lane = self._lanes.get(product_id)
            if lane is None:
                return
            self._ended[product_id] = replace(lane.figures(), state="none")
            self._lanes = {name: one for name, one in self._lanes.items() if name != product_id}
            self._retire(lane)
        log.info("a shadow ends", product=product_id, **self._ended[product_id].as_figures())

    def figures(self, product_id: str) -> ShadowFigures:
        """What the product's shadow has shown so far, or had when it ended; zeros where there never was one."""
        lane = self._lanes.get(product_id)
        return self._ended.get(product_id, ShadowFigures()) if lane is None else lane.figures()

    def standings(self) -> dict[str, ShadowFigures]:
        """The figures of every product that has a shadow now."""
        return {product_id: lane.figures() for product_id, lane in self._lanes.items()}

    def offer(self, committed: Committed, frames: tuple[Frame, ...]) -> None:
        """A part that was told, with its frames, which are kept as they are. Never blocks, never raises."""
        part = committed.inspection.part
        lane, champion = self._lanes.get(part.product), self._around.products.get(part.product)
        if lane is None or champion is None or part.master or not frames or lane.state != "looking":
            return
        try:
            self._offered.put_nowait(_Offered(lane, champion, committed, frames, time.monotonic()))
        except queue.Full:
            lane.refused += 1

    def _run(self) -> None:
        while not self._stop.is_set():
            self.pulse.beat()
            self._let_go()
            for lane in self._lanes.values():
                self._guarded(lane, lane.tend)
            try:
                offered = self._offered.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue
            self._guarded(offered.lane, partial(self._take, offered))

    def _guarded(self, lane: Lane, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:
            log.error("defect beside the line, at its shadow", exc_info=error)
            lane.give_up(error)

    def _retire(self, lane: Lane | None) -> None:
        if lane is not None:
            lane.close()
            self._retired.append(lane)

    def _let_go(self) -> None:
        while self._retired:
            self._retired.popleft().dispose()

    def _take(self, offered: _Offered) -> None:
        lane = offered.lane
        if lane.closed or lane.state != "looking":
            return
        try:
            self._compare(offered)
        except StarvedError:
            lane.skip()
        self._stop.wait(lane.rest_s)

    def _compare(self, offered: _Offered) -> None:
        lane, views = offered.lane, _comparable(offered)
        if not views:
            return
        pairs = [self._pair(offered, view, frame) for view, frame in views]
        lane.count(pairs, offered.champion.engine.model_id)
        for pair in pairs:
            self._say(offered.committed, pair)

    def _pair(self, offered: _Offered, view: View, frame: Frame) -> Pair:
        lane = offered.lane
        champion = own_view(view, offered.champion.recipe_for(view.camera_id))
        self._await_slack(offered)
        try:
            found = lane.look(frame.image, self._stop)
            challenger = challenging_view(champion, found, lane.challenger)
        except AlignmentError:
            challenger = failed_view(champion, "reference_misaligned", lane.challenger)
        except ModelError as error:
            lane.fail(error)
            challenger = failed_view(champion, "model_fault", lane.challenger)
        return Pair(view.camera_id, champion, challenger)

    def _await_slack(self, offered: _Offered) -> None:
        """Raises StarvedError: the line leaves none, or nobody waits any more."""
        while not may_run(self._around.slack(), waited_s := time.monotonic() - offered.at_s):
            if waited_s > _SLACK_WITHIN_S or offered.lane.closed or self._stop.wait(_POLL_S):
                raise StarvedError("the line leaves no slack")

    def _say(self, committed: Committed, pair: Pair) -> None:
        if self.on_pair is None:
            return
        try:
            self.on_pair(committed, pair.camera_id, pair.champion, pair.challenger)
        except Exception as error:
            log.error("defect in what hears of a pair", camera=pair.camera_id, exc_info=error)


def _comparable(offered: _Offered) -> list[tuple[View, Frame]]:
    """The views with an answer of the champion that is live, each with its frame."""
    frames = {frame.camera_id: frame for frame in offered.frames}
    champion = offered.champion.engine.model_id
    return [
        (view, frames[view.camera_id])
        for view in offered.committed.inspection.views
        if view.detections is not None and view.model == champion and view.camera_id in frames
    ]
