"""How fast graphs are on this machine, measured side by side so that their ratio means something."""

import time
from collections.abc import Mapping
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
    """Measure a bundle's own precision beside its FP32 graph.

    Raises:
        ModelError: the bundle has no FP32 graph, or one cannot be compiled.
    """
    graphs = {
        "own": compile_bundle(bundle, threads=threads),
        "fp32": compile_graph(bundle.path / "fp32" / "model.xml", Precision.FP32, threads=threads),
    }
    medians = median_ms(graphs, seconds)
    return Speed(bundle.model_id.precision, medians["own"], medians["fp32"])


def median_ms(graphs: Mapping[str, ov.CompiledModel], seconds: float) -> dict[str, float]:
    """Median milliseconds of one request of each graph, run in turns of a quarter second for `seconds` in all.

    In turns, so that a noisy neighbour hits all alike. The input is noise: what runs does not depend on pixels.
    """
    requests = {name: _warm(graph) for name, graph in graphs.items()}
    times: dict[str, list[float]] = {name: [] for name in graphs}
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s or not all(times.values()):
        for name, request in requests.items():
            times[name] += _run_for(request, _ROUND_S)
    return {name: float(np.median(seen)) * 1000 for name, seen in times.items()}


def _warm(graph: ov.CompiledModel) -> ov.InferRequest:
    request = graph.create_infer_request()
    for one in graph.inputs:
        request.get_tensor(one).data[:] = np.random.default_rng(0).integers(0, 256, tuple(one.shape), np.uint8)
    for _ in range(_WARM_UP):
        request.infer()
    return request


def _run_for(request: ov.InferRequest, seconds: float) -> list[float]:
    times: list[float] = []
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        started_s = time.perf_counter()
        request.infer()
        times.append(time.perf_counter() - started_s)
    return times
