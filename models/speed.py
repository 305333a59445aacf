"""How fast a bundle's precisions are on this machine, measured side by side so that the ratio means something."""

import time
from dataclasses import dataclass

import numpy as np
import openvino as ov

from models.bundle import Bundle
from models.compile import compile_bundle, compile_graph
from models.spec import Precision

_ROUND_S = 0.25
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Speed:
    """Median milliseconds per image of one request at a time, of the bundle's own precision and of its FP32 graph."""

    precision: Precision
    own_ms: float
    fp32_ms: float

    @property
    def ratio(self) -> float:
        """How many times faster the bundle's precision is than FP32."""
        return self.fp32_ms / self.own_ms


def compare_speed(bundle: Bundle, *, threads: int = 0, seconds: float = 4.0) -> Speed:
    """Run both graphs in turn, a quarter of a second each, so that a noisy neighbour hits both alike.

    Raises:
        ModelError: the bundle has no FP32 graph, or one cannot be compiled.
    """
    own = compile_bundle(bundle, threads=threads)
    fp32 = compile_graph(bundle.path / "fp32" / "model.xml", Precision.FP32, threads=threads)
    shape = tuple(own.input(0).shape)
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    times: dict[str, list[float]] = {"own": [], "fp32": []}
    requests = {"own": own.create_infer_request(), "fp32": fp32.create_infer_request()}
    for request in requests.values():
        request.input_tensor.data[:] = frame
        _run(request, _WARM_UP)
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for name, request in requests.items():
            times[name] += _run_for(request, _ROUND_S)
    return Speed(bundle.model_id.precision, *(float(np.median(times[name])) * 1000 for name in ("own", "fp32")))


def _run_for(request: ov.InferRequest, seconds: float) -> list[float]:
    times: list[float] = []
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        started_s = time.perf_counter()
        request.infer()
        times.append(time.perf_counter() - started_s)
    return times


def _run(request: ov.InferRequest, count: int) -> None:
    for _ in range(count):
        request.infer()
