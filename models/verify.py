"""Proof of what runs: which kernels OpenVINO chose for a bundle's convolutions on this CPU."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from models.bundle import Bundle
from models.compile import compile_bundle

_CONVOLUTION = "Convolution"
_CPU_INFO = Path("/proc/cpuinfo")
_VNNI_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "avx512vnni", "avxvnni"})


@dataclass(frozen=True, slots=True)
class Verification:
    """The compiled graph's convolutions by kernel; `int8` are those that compute in eight bits."""

    convolutions: int
    int8: int
    kernels: dict[str, int]
    cpu_has_vnni: bool

    @property
    def int8_share(self) -> float:
        """Share of convolutions that run as INT8 kernels."""
        return self.int8 / self.convolutions if self.convolutions else 0.0

    @property
    def note(self) -> str:
        """One sentence for a person."""
        share = f"{self.int8} of {self.convolutions} convolutions ({self.int8_share:.0%}) run as INT8 kernels"
        return share if self.cpu_has_vnni else f"{share}; this CPU has no VNNI, so they run without it and slower"

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        counts = {"convolutions": self.convolutions, "int8_convolutions": self.int8, "int8_share": self.int8_share}
        return {**counts, "kernels": self.kernels, "cpu_has_vnni": self.cpu_has_vnni, "note": self.note}


def verify(bundle: Bundle, *, threads: int = 0) -> Verification:
    """Compile the bundle as the station does, and read from the result what really runs.

    Raises:
        ModelError: OpenVINO refuses the graph.
    """
    return verify_graph(compile_bundle(bundle, threads=threads))


def verify_graph(compiled: ov.CompiledModel) -> Verification:
    """The kernels of a compiled graph's convolutions."""
    kernels = Counter(_kernel(node) for node in compiled.get_runtime_model().get_ops() if _is_convolution(node))
    int8 = sum(count for kernel, count in kernels.items() if is_int8(kernel))
    return Verification(kernels.total(), int8, dict(sorted(kernels.items())), cpu_has_vnni())


def is_int8(kernel: str) -> bool:
    """Whether OpenVINO's name of a kernel says that it multiplies in eight bits."""
    name = kernel.lower()
    return name.endswith(("_i8", "_u8")) or "vnni" in name or "int8" in name


def cpu_has_vnni(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether the CPU multiplies eight-bit integers in one instruction (AVX-512 VNNI or AVX-VNNI)."""
    flags = cpu_info.read_text(encoding="utf-8").split() if cpu_info.is_file() else []
    return bool(_VNNI_FLAGS & set(flags))


def _is_convolution(node: ov.Node) -> bool:
    return str(node.get_rt_info()["layerType"].astype(str)) == _CONVOLUTION


def _kernel(node: ov.Node) -> str:
    return str(node.get_rt_info()["primitiveType"].astype(str))
