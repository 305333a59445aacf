"""The one place where a graph is compiled, so that calibration, gate, self-test and inspection compute the same."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import openvino as ov

from models.errors import ModelError
from models.spec import Precision

if TYPE_CHECKING:
    from models.bundle import Bundle

_HINT = {Precision.FP32: "f32", Precision.INT8: "f32", Precision.BF16: "bf16"}
_CORE = ov.Core()


def compile_bundle(bundle: "Bundle", *, threads: int = 0, streams: int = 1) -> ov.CompiledModel:
    """A verified bundle's graph, compiled for this CPU in the bundle's own precision.

    Args:
        bundle: from `open_bundle`.
        threads: CPU threads; 0 takes as many as this process may use.
        streams: requests computed side by side, sharing the threads.

    Raises:
        ModelError: OpenVINO refuses the graph.
    """
    return compile_graph(bundle.model_xml, bundle.precision, threads=threads, streams=streams)


def compile_graph(
    graph: ov.Model | Path, precision: Precision, *, threads: int = 0, streams: int = 1
) -> ov.CompiledModel:
    """A graph, compiled for this CPU as `cpu_config` says. Raises ModelError: OpenVINO refuses the graph."""
    return compile_configured(graph, cpu_config(precision, threads=threads, streams=streams))


def cpu_config(precision: Precision, *, threads: int = 0, streams: int = 1) -> dict[str, object]:
    """All that OpenVINO is told about how to run a graph on this CPU; what a compiled graph is stored under names it.

    The hint is always given: left alone, OpenVINO runs an FP32 graph in BF16 where the CPU has it. INT8 graphs get f32
    for what was left in float, their distance head: see DECISIONS.md for what BF16 there did to scores.
    Threads are not pinned: pinned processes on one machine collide on the same cores.
    """
    return {
        "INFERENCE_PRECISION_HINT": _HINT[precision],
        "INFERENCE_NUM_THREADS": threads or usable_threads(),
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
    }


def compile_configured(graph: ov.Model | Path, config: dict[str, object]) -> ov.CompiledModel:
    """A graph, compiled for this CPU with this configuration. Raises ModelError: OpenVINO refuses the graph."""
    try:
        model = graph if isinstance(graph, ov.Model) else _CORE.read_model(graph)
        return _CORE.compile_model(model, "CPU", config)
    except RuntimeError as fault:
        raise ModelError(f"compile: OpenVINO refuses {_name(graph)} ({fault}): recalibrate or roll back") from fault


def import_compiled(blob: bytes, config: dict[str, object]) -> ov.CompiledModel:
    """A graph that was compiled before and exported. Its bytes must be verified: OpenVINO does not.

    Raises:
        ModelError: OpenVINO does not take it.
    """
    try:
        return _CORE.import_model(blob, "CPU", config)
    except RuntimeError as fault:
        raise ModelError(f"compile: OpenVINO does not take what it exported ({fault})") from fault


def cpu_capabilities() -> frozenset[str]:
    """What this CPU computes natively, in OpenVINO's words: FP32, INT8, BF16 and more."""
    return frozenset(cast("list[str]", _CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")))


def usable_threads() -> int:
    """Logical CPUs this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def _name(graph: ov.Model | Path) -> str:
    return str(graph) if isinstance(graph, Path) else str(graph.get_friendly_name())
