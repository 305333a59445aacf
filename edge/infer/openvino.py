"""A bundle on OpenVINO: compiled once, a fixed set of asynchronous requests, every wait bounded.

Invariants:
- A request belongs to one ticket at a time; one that did not answer in time is not used again until it has.
- A ticket holds at most `plan.per_frame` requests, so that the tiles of one frame never starve another camera's.
- An answer that is broken is a ModelError, never an empty answer; so is a frame of which one tile was not looked at.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.domain.frame import Image
from edge.infer.answers import reader
from edge.infer.engine import ModelTimeoutError
from edge.infer.plan import Plan
from edge.infer.reference import ReferenceInput
from models.bundle import Bundle
from models.compile import Config, compile_configured, cpu_config
from models.compiled_store import Compiled, CompiledStore
from models.detecting import IMAGE, REFERENCE
from models.detections import Detections
from models.errors import ModelError
from models.letterbox import Placement, letterbox_into, placement
from models.scoring import pose_of
from models.selftest import check_selftest
from models.spec import ModelId, ModelSpec
from models.tiling import Tile, merge, tiles

if TYPE_CHECKING:
    import openvino as ov

_SELFTEST_S = 30.0
_CLOSE_MS = 100
_STUCK_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class _Part:
    """A tile on its way: what runs it, and where it lies in the model's input."""

    request: "ov.InferRequest"
    tile: Tile
    place: Placement


class OpenVinoEngine:
    """Runs one bundle on the CPU; `cached` says whether its graph was stored, `note` why it was not taken or kept.

    Args:
        bundle: opened, so every hash is verified.
        plan: threads, streams and requests.
        compiled: the bundle's graph, where it is compiled already, in whatever way.
        store: of graphs compiled before; None compiles anew and keeps nothing.

    Raises:
        ModelError: the graph cannot be compiled, the kind cannot be run, or the bundle's own frames get another
            answer than expected.
    """

    def __init__(
        self,
        bundle: Bundle,
        plan: Plan,
        compiled: "ov.CompiledModel | None" = None,
        *,
        store: CompiledStore | None = None,
    ) -> None:
        self.bundle = bundle
        self.plan = plan
        self.cached, self.note = False, ""
        self._input = bundle.spec.inputs[0]
        self._pose = pose_of(bundle)
        self._read = reader(bundle.spec)
        self._per_frame = plan.per_frame
        self._idle: queue.Queue[ov.InferRequest] = queue.Queue()
        self._stuck: list[ov.InferRequest] = []
        self._places: dict[tuple[int, int], Placement] = {}
        self._selftest = threading.Thread()
        self._load(store, compiled)

    def _load(self, store: CompiledStore | None, compiled: "ov.CompiledModel | None" = None) -> None:
        """Take the graph, stored or compiled, through the self-test; a stored one that fails it is compiled anew."""
        config = config_of(self.bundle, self.plan)
        if store is None or compiled is not None:
            self._take(Compiled(compiled or compile_configured(self.bundle.model_xml, config), cached=False))
            self.selftest()
            return
        self._take(store.load(self.bundle, config))
        try:
            self.selftest()
        except ModelError as error:
            if not self.cached:
                raise
            store.forget(self.bundle, config)
            self._load(None)
            self.note = f"what was stored fails the self-test: {error}"

    def _take(self, compiled: Compiled) -> None:
        self.cached, self.note, self._compiled = compiled.cached, compiled.note, compiled.model
        self._image = self._compiled.input(IMAGE) if self.bundle.spec.compares else self._compiled.input(0)
        self._idle = queue.Queue()
        for _ in range(self.plan.requests):
            self._idle.put(self._compiled.create_infer_request())

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and what its classes mean."""
        return self.bundle.spec

    @property
    def model_id(self) -> ModelId:
        """Which bundle this is."""
        return self.bundle.model_id

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
            check_selftest(self.bundle, self._compiled)
        except ModelError as error:
            answers.put(error)
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            answers.put(ModelError(f"bundle {self.model_id.id!r}: the self-test broke: {error}"))
        else:
            answers.put(None)

    def submit(self, image: Image, timeout_s: float) -> "OpenVinoTicket":
        """The frame straight into a free request's input, and start it.

        Raises:
            ModelError: it cannot be started in time.
            AlignmentError: it does not lie on the bundle's reference.
        """
        if self.spec.compares:
            raise ModelError(f"bundle {self.model_id.id!r} compares with a golden reference: set the product's")
        return self.start(image, None, timeout_s)

    def start(self, image: Image, reference: ReferenceInput | None, timeout_s: float) -> "OpenVinoTicket":
        """Start on every tile of a frame; of many, the first are read meanwhile. Raises ModelError."""
        until_s = time.monotonic() + timeout_s
        if reference is not None:
            reference.lay_on(image)
        laid = None if self._pose is None else self._pose.place(image)
        ticket = OpenVinoTicket(self, (image.shape[1], image.shape[0]))
        try:
            for tile in tiles(image.shape[1], image.shape[0], self.spec.tiling):
                if ticket.running >= self._per_frame:
                    ticket.read_one(_left_s(until_s))
                request = self._free_request(_left_s(until_s))
                ticket.add(self._launch(request, image, reference, (tile, laid or self._place(tile))))
        except Exception:
            ticket.give_up()
            raise
        return ticket

    def _launch(
        self, request: "ov.InferRequest", image: Image, reference: ReferenceInput | None, where: tuple[Tile, Placement]
    ) -> _Part:
        tile, place = where
        try:
            letterbox_into(image[tile.window], request.get_tensor(self._image).data[0], place, self._input)
            if reference is not None:
                reference.write(request.get_tensor(REFERENCE).data[0], tile, place)
            request.start_async()
        except Exception as error:
            self._idle.put(request)
            raise ModelError(f"bundle {self.model_id.id!r}: cannot start a request: {error}") from error
        return _Part(request, tile, place)

    def close(self) -> None:
        """Wait briefly for what still runs, then let go of the requests."""
        for request in self._stuck:
            with contextlib.suppress(RuntimeError):
                request.wait_for(_CLOSE_MS)
        while not self._idle.empty():
            self._idle.get_nowait()

    def collect(self, part: _Part, timeout_s: float) -> Detections:
        """Wait for a started request and read its answer; the ticket's half of `submit`."""
        request = part.request
        try:
            answered = request.wait_for(max(0, round(timeout_s * 1000)))
        except RuntimeError as error:
            self._idle.put(request)
            raise ModelError(f"bundle {self.model_id.id!r}: the request failed: {error}") from error
        if not answered:
            self.give_up(part)
            raise ModelTimeoutError(f"bundle {self.model_id.id!r}: no answer within {timeout_s * 1000:.0f} ms")
        try:
            return self._read(request, part.place, self.spec)
        except ModelError as error:
            raise ModelError(f"bundle {self.model_id.id!r}: {error}") from error
        finally:
            self._idle.put(request)

    def give_up(self, part: _Part) -> None:
        """Nobody waits for this part any more; its request counts again once it has ended."""
        self._stuck.append(part.request)

    def _place(self, tile: Tile) -> Placement:
        size = tile.width, tile.height
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
    """A frame on its way, in one request or, tile by tile, in many."""

    def __init__(self, engine: OpenVinoEngine, frame_size: tuple[int, int]) -> None:
        self._engine = engine
        self._frame_size = frame_size
        self._parts: deque[_Part] = deque()
        self._found: list[tuple[Tile, Detections]] = []
        self.started_s = time.monotonic()

    @property
    def running(self) -> int:
        """How many requests it holds."""
        return len(self._parts)

    def add(self, part: _Part) -> None:
        """One more tile is on its way."""
        self._parts.append(part)

    def read_one(self, timeout_s: float) -> None:
        """Wait for the tile that was started first. Raises ModelError, ModelTimeoutError after `timeout_s` seconds."""
        part = self._parts.popleft()
        self._found.append((part.tile, self._engine.collect(part, timeout_s)))

    def result(self, timeout_s: float) -> Detections:
        """The detections; call once. Raises ModelError, ModelTimeoutError after `timeout_s` seconds."""
        until_s = time.monotonic() + timeout_s
        try:
            while self._parts:
                self.read_one(_left_s(until_s))
        except ModelError:
            self.give_up()
            raise
        return merge(self._found, *self._frame_size)

    def give_up(self) -> None:
        """Wait for nothing more."""
        while self._parts:
            self._engine.give_up(self._parts.popleft())


def config_of(bundle: Bundle, plan: Plan) -> Config:
    """What OpenVINO is told about how to run a bundle by a plan."""
    return cpu_config(bundle.precision, threads=plan.threads, streams=plan.streams, pinning=plan.pinning)


def _left_s(until_s: float) -> float:
    return max(0.0, until_s - time.monotonic())


def _finished(request: "ov.InferRequest") -> bool:
    try:
        return bool(request.wait_for(0))
    except RuntimeError:
        return True
