"""A bundle on OpenVINO: compiled once, a fixed set of asynchronous requests, every wait bounded.

Invariants:
- A request belongs to one ticket at a time; one that did not answer in time is not used again until it has.
- A value that is not finite, or a score that its map does not show, is a ModelError, never an empty answer.
"""

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from edge.domain.frame import Image
from edge.infer.engine import ModelTimeoutError
from edge.infer.plan import Plan
from edge.infer.regions import regions
from models.bundle import Bundle
from models.compile import compile_bundle
from models.detections import Detections
from models.errors import ModelError
from models.letterbox import Placement, letterbox_into, placement
from models.selftest import check_selftest
from models.spec import ModelId, ModelSpec

if TYPE_CHECKING:
    import openvino as ov

_SELFTEST_S = 30.0
_CLOSE_MS = 100
_STUCK_POLL_S = 0.005
_SCORE_TOLERANCE = 0.02


class OpenVinoEngine:
    """Runs one bundle on the CPU.

    Args:
        bundle: opened, so every hash is verified.
        plan: threads, streams and requests.

    Raises:
        ModelError: the graph cannot be compiled, or the bundle's own frames get another answer than expected.
    """

    def __init__(self, bundle: Bundle, plan: Plan) -> None:
        self._bundle = bundle
        self._input = bundle.spec.inputs[0]
        self._compiled = compile_bundle(bundle, threads=plan.threads, streams=plan.streams)
        self._idle: queue.Queue[ov.InferRequest] = queue.Queue()
        self._stuck: list[ov.InferRequest] = []
        self._places: dict[tuple[int, int], Placement] = {}
        self._selftest = threading.Thread()
        for _ in range(plan.requests):
            self._idle.put(self._compiled.create_infer_request())
        self.selftest()

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and what its classes mean."""
        return self._bundle.spec

    @property
    def model_id(self) -> ModelId:
        """Which bundle this is."""
        return self._bundle.model_id

    def selftest(self) -> None:
        """Run the bundle's own frames through the compiled graph. Raises ModelError, also when it takes for ever."""
        if self._selftest.is_alive():
            raise ModelTimeoutError(f"bundle {self.model_id.id!r}: an earlier self-test has not ended yet")
        answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._selftest = threading.Thread(target=self._run_selftest, args=(answers,), name="selftest", daemon=True)
        self._selftest.start()
        try:
            error = answers.get(timeout=_SELFTEST_S)
        except queue.Empty:
            raise ModelTimeoutError(
                f"bundle {self.model_id.id!r}: the self-test did not end in {_SELFTEST_S:g} s"
            ) from None
        if error is not None:
            raise error

    def _run_selftest(self, answers: "queue.SimpleQueue[Exception | None]") -> None:
        try:
            check_selftest(self._bundle, self._compiled)
        except ModelError as error:
            answers.put(error)
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            answers.put(ModelError(f"bundle {self.model_id.id!r}: the self-test broke: {error}"))
        else:
            answers.put(None)

    def submit(self, image: Image, timeout_s: float) -> "OpenVinoTicket":
        """Letterbox the frame straight into a free request's input and start it. Raises ModelError."""
        request = self._free_request(timeout_s)
        try:
            place = self._place(image)
            letterbox_into(image, request.get_input_tensor().data[0], place, self._input)
            request.start_async()
        except Exception as error:
            self._idle.put(request)
            raise ModelError(f"bundle {self.model_id.id!r}: cannot start a request: {error}") from error
        return OpenVinoTicket(self, request, place)

    def close(self) -> None:
        """Wait briefly for what still runs, then let go of the requests."""
        for request in self._stuck:
            with contextlib.suppress(RuntimeError):
                request.wait_for(_CLOSE_MS)
        while not self._idle.empty():
            self._idle.get_nowait()

    def collect(self, request: "ov.InferRequest", place: Placement, timeout_s: float) -> Detections:
        """Wait for a started request and read its answer; the ticket's half of `submit`."""
        try:
            answered = request.wait_for(max(0, round(timeout_s * 1000)))
        except RuntimeError as error:
            self._idle.put(request)
            raise ModelError(f"bundle {self.model_id.id!r}: the request failed: {error}") from error
        if not answered:
            self._stuck.append(request)
            raise ModelTimeoutError(f"bundle {self.model_id.id!r}: no answer within {timeout_s * 1000:.0f} ms")
        try:
            return self._read(request, place)
        finally:
            self._idle.put(request)

    def _read(self, request: "ov.InferRequest", place: Placement) -> Detections:
        score = float(np.asarray(request.get_tensor("score").data).reshape(-1)[0])
        anomaly_map = np.array(request.get_tensor("map").data, np.float32).reshape(request.get_tensor("map").shape[-2:])
        if not (np.isfinite(score) and np.isfinite(anomaly_map).all()):
            raise ModelError(
                f"bundle {self.model_id.id!r} answered with a value that is not finite: its graph is broken"
            )
        if anomaly_map.min() < -_SCORE_TOLERANCE or anomaly_map.max() > 1 + _SCORE_TOLERANCE:
            raise ModelError(
                f"bundle {self.model_id.id!r}: its map runs from {anomaly_map.min():.3f} to {anomaly_map.max():.3f}, "
                "and must lie in [0, 1]: its graph is broken"
            )
        if abs(score - float(anomaly_map.max())) > _SCORE_TOLERANCE:
            raise ModelError(
                f"bundle {self.model_id.id!r}: its score {score:.3f} is not its map's highest value "
                f"{anomaly_map.max():.3f}: what the map does not show would pass unseen"
            )
        return regions(anomaly_map, place, self._input)

    def _place(self, image: Image) -> Placement:
        size = image.shape[1], image.shape[0]
        if size not in self._places:
            self._places[size] = placement(*size, self._input)
        return self._places[size]

    def _free_request(self, timeout_s: float) -> "ov.InferRequest":
        """A request nobody waits for; one that was given up as too slow counts again as soon as it has ended."""
        until_s = time.monotonic() + timeout_s
        while True:
            self._recover()
            patience_s = max(0.0, until_s - time.monotonic())
            try:
                return self._idle.get(timeout=min(patience_s, _STUCK_POLL_S) if self._stuck else patience_s)
            except queue.Empty:
                if time.monotonic() >= until_s:
                    raise ModelTimeoutError(
                        f"bundle {self.model_id.id!r}: no request became free in {timeout_s:.3f} s"
                    ) from None

    def _recover(self) -> None:
        for request in list(self._stuck):
            if _finished(request):
                self._stuck.remove(request)
                self._idle.put(request)


class OpenVinoTicket:
    """A frame on its way."""

    def __init__(self, engine: OpenVinoEngine, request: "ov.InferRequest", place: Placement) -> None:
        self._engine = engine
        self._request = request
        self._place = place
        self.started_s = time.monotonic()

    def result(self, timeout_s: float) -> Detections:
        """The detections; call once. Raises ModelError, ModelTimeoutError after `timeout_s` seconds."""
        return self._engine.collect(self._request, self._place, timeout_s)


def _finished(request: "ov.InferRequest") -> bool:
    try:
        return bool(request.wait_for(0))
    except RuntimeError:
        return True
