"""The one place where a graph is compiled, so that calibration, gate, self-test and inspection compute the same."""

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import openvino as ov

from models.cpus import granted_cpus
from models.errors import ModelError
from models.spec import Precision

if TYPE_CHECKING:
    from models.bundle import Bundle

_HINT = {Precision.FP32: "f32", Precision.INT8: "f32", Precision.BF16: "bf16"}
_CORE = ov.Core()
Hint = Literal["LATENCY", "THROUGHPUT"]
Config = dict[str, str | int | bool]


def save_graph(graph: ov.Model, path: Path) -> None:
    """Write a graph and its weights, each in the precision that it has.

    Raises:
        OSError: the disk does not take them; OpenVINO itself names neither file nor reason.
    """
    try:
        ov.save_model(graph, path, compress_to_fp16=False)
    except RuntimeError as fault:
        raise OSError(errno.EIO, f"the graph cannot be written ({fault})", str(path)) from fault


def compile_bundle(bundle: "Bundle", *, threads: int = 0, streams: int = 1, pinning: bool = False) -> ov.CompiledModel:
    """A verified bundle's graph, compiled for this CPU in the bundle's own precision.

    Args:
        bundle: from `open_bundle`.
        threads: CPU threads; 0 takes as many as this process is granted.
        streams: requests computed side by side, sharing the threads.
        pinning: whether each thread stays on its core.

    Raises:
        ModelError: OpenVINO refuses the graph.
    """
    return compile_graph(bundle.model_xml, bundle.precision, threads=threads, streams=streams, pinning=pinning)


def compile_hinted(bundle: "Bundle", hint: Hint) -> ov.CompiledModel:
    """A bundle's graph as OpenVINO's own hint would run it: only the precision is ours. Raises ModelError."""
    config: Config = {
        "INFERENCE_PRECISION_HINT": _HINT[bundle.precision],
        "PERFORMANCE_HINT": hint,
    }
    return compile_configured(bundle.model_xml, config)


def compile_graph(
    graph: ov.Model | Path, precision: Precision, *, threads: int = 0, streams: int = 1, pinning: bool = False
) -> ov.CompiledModel:
    """A graph, compiled for this CPU as `cpu_config` says. Raises ModelError: OpenVINO refuses the graph."""
    return compile_configured(graph, cpu_config(precision, threads=threads, streams=streams, pinning=pinning))


def cpu_config(precision: Precision, *, threads: int = 0, streams: int = 1, pinning: bool = False) -> Config:
    """All that OpenVINO is told about how to run a graph on this CPU; what a compiled graph is stored under names it.

    The hint is always given: left alone, OpenVINO runs an FP32 graph in BF16 where the CPU has it. INT8 graphs get f32
    for what was left in float, their distance head: see DECISIONS.md for what BF16 there did to scores.
    Threads are not pinned unless asked for: pinned processes on one machine collide on the same cores.
    """
    return {
        "INFERENCE_PRECISION_HINT": _HINT[precision],
        "INFERENCE_NUM_THREADS": threads or usable_threads(),
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": pinning,
    }


def compile_configured(graph: ov.Model | Path, config: Config) -> ov.CompiledModel:
    """A graph, compiled for this CPU with this configuration. Raises ModelError: OpenVINO refuses the graph."""
    model = graph if isinstance(graph, ov.Model) else read_graph(graph)
    try:
        return _CORE.compile_model(model, "CPU", config)
    except RuntimeError as fault:
        raise _refused(_name(graph), fault) from fault


def read_graph(path: Path) -> ov.Model:
    """A graph from its .xml and .bin.

    Raises:
        ModelError: OpenVINO cannot read it.
    """
    try:
        return _CORE.read_model(path)
    except RuntimeError as fault:
        raise _refused(str(path), fault) from fault


def import_compiled(blob: bytes, config: Config) -> ov.CompiledModel:
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
    """Threads that make sense here: CPUs this process is granted, by affinity and quota, which can be few of many."""
    return granted_cpus()


def _refused(name: str, fault: RuntimeError) -> ModelError:
    return ModelError(f"compile: OpenVINO refuses {name} ({fault}): recalibrate or roll back")


def _name(graph: ov.Model | Path) -> str:
    return str(graph) if isinstance(graph, Path) else str(graph.get_friendly_name())
