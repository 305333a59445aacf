"""Parts through one engine as fast as it takes them, letterboxing included, as the pipeline's two threads do it."""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from typing import Self

from edge.calibrate.tuning.candidates import Contender
from edge.calibrate.tuning.search import Reading
from edge.domain.frame import Image
from edge.infer.comparing import ComparingEngine
from edge.infer.engine import Engine, Ticket
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from models.bundle import Bundle
from models.compile import Hint, compile_hinted

_ANSWER_S = 20.0
_WARM_UP_PARTS = 2
Parts = Sequence[Sequence[Image]]


class Bench:
    """The engines of all contenders of one bundle, each made when it is first asked for; closed at the end.

    Args:
        bundle: opened.
        parts: each of them the frames of all cameras; taken round and round.
        reference: the product's golden reference, for bundles that compare.
    """

    def __init__(self, bundle: Bundle, parts: Parts, reference: Image | None = None) -> None:
        self.parts = parts
        self._bundle = bundle
        self._reference = reference
        self._engines: dict[Contender, OpenVinoEngine] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for engine in self._engines.values():
            engine.close()

    def hinted(self, hint: Hint, cameras: int) -> Contender:
        """What OpenVINO chooses by its own hint, with as many requests as it advises, one for each camera at least."""
        compiled = compile_hinted(self._bundle, hint)
        threads, streams, requests = (
            int(compiled.get_property(name))
            for name in ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        )
        requests = max(requests, cameras)
        per_frame = max(1, requests // cameras) if self._bundle.spec.tiling else 1
        pinning = bool(compiled.get_property("ENABLE_CPU_PINNING"))
        contender = Contender(Plan(threads, streams, requests, per_frame, pinning), hint)
        self._engines[contender] = OpenVinoEngine(self._bundle, contender.plan, compiled=compiled)
        return contender

    def engine(self, contender: Contender) -> Engine:
        """The contender's engine, which has passed the bundle's self-test and is warm. Raises ModelError."""
        made = self._engines.get(contender)
        if made is None:
            made = self._engines[contender] = OpenVinoEngine(self._bundle, contender.plan)
        return made if self._reference is None else ComparingEngine(made, self._reference)

    def measure(self, contender: Contender, seconds: float) -> Reading:
        """One turn. Raises ModelError."""
        fresh = contender not in self._engines
        engine = self.engine(contender)
        if fresh:
            run_parts(engine, self.parts, 0.0)
        return run_parts(engine, self.parts, seconds)

    def let_go(self, keep: Sequence[Contender]) -> None:
        """Close the engines of all others."""
        for contender in [one for one in self._engines if one not in keep]:
            self._engines.pop(contender).close()


def run_parts(engine: Engine, parts: Parts, seconds: float) -> Reading:
    """Start parts for so long, two at least, while another thread waits for their answers, and count them.

    Raises:
        ModelError: the engine cannot take a frame or gives no answer.
    """
    running: queue.Queue[tuple[float, list[Ticket]] | None] = queue.Queue(64)
    latencies_ms: list[float] = []
    failures: list[Exception] = []
    started_s, cpu_s = time.perf_counter(), time.process_time()
    judge = threading.Thread(target=_judge, args=(running, latencies_ms, failures), name="judge", daemon=True)
    judge.start()
    count = 0
    try:
        while (count < _WARM_UP_PARTS or time.perf_counter() - started_s < seconds) and not failures:
            triggered_s = time.perf_counter()
            tickets = [engine.submit(image, _ANSWER_S) for image in parts[count % len(parts)]]
            running.put((triggered_s, tickets), timeout=_ANSWER_S)
            count += 1
    finally:
        with contextlib.suppress(queue.Full):
            running.put(None, timeout=_ANSWER_S)
        judge.join(_ANSWER_S)
    if failures:
        raise failures[0]
    took_s = time.perf_counter() - started_s
    return Reading(len(latencies_ms), took_s, tuple(latencies_ms), time.process_time() - cpu_s)


def _judge(
    running: "queue.Queue[tuple[float, list[Ticket]] | None]", latencies_ms: list[float], failures: list[Exception]
) -> None:
    try:
        while (one := running.get(timeout=_ANSWER_S)) is not None:
            triggered_s, tickets = one
            for ticket in tickets:
                ticket.result(_ANSWER_S)
            latencies_ms.append((time.perf_counter() - triggered_s) * 1000)
    except Exception as error:  # noqa: BLE001 - raised by who started it
        failures.append(error)
