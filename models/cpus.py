"""The CPUs that this process is really granted, which can be fewer than the machine shows, and what they can do.

OpenVINO, torch and Python count what is shown; a quota is invisible to them. Under one, threads beyond it only take
turns at being stopped.
"""

import math
import os
import platform
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from models.cgroups import Quota, cpu_list, cpu_quota, cpuset

_ROOT = Path("/")
_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
_ARM_FIELDS = ("CPU implementer", "CPU part")


@dataclass(frozen=True, slots=True)
class CpuGrant:
    """What one process may use of this machine.

    Args:
        cpus: logical CPUs it may run on, by affinity and cpuset.
        seen: logical CPUs of the machine.
        cores: physical cores among `cpus`; two hardware threads of one core count once.
        nodes: NUMA nodes they lie on.
        quota: time it gets in all, if less than without limit.
    """

    cpus: tuple[int, ...]
    seen: int
    cores: int
    nodes: int
    quota: Quota | None = None

    @property
    def amount(self) -> float:
        """CPUs' worth of computing, such as 1.5."""
        logical = float(len(self.cpus))
        return logical if self.quota is None else min(logical, self.quota.cpus)

    @property
    def threads(self) -> int:
        """The most threads that can make sense: the amount, rounded up, at least 1."""
        return max(1, math.ceil(self.amount))

    @property
    def is_cut(self) -> bool:
        """Whether fewer CPUs are granted than the machine shows, so that defaults overestimate it."""
        return self.amount < self.seen

    def __str__(self) -> str:
        kind = "" if self.cores == len(self.cpus) else f" ({self.cores} cores, {len(self.cpus)} hardware threads)"
        nodes = "" if self.nodes == 1 else f" on {self.nodes} NUMA nodes"
        if self.quota is None or self.quota.cpus >= len(self.cpus):
            return f"{self.amount:g} granted of {self.seen} seen{kind}{nodes}"
        return f"{self.amount:g} granted of {self.seen} seen{kind}{nodes}, by the quota of {self.quota.at}"


def cpu_grant(root: Path = _ROOT, affinity: Collection[int] | None = None) -> CpuGrant:
    """What this process is granted now: affinity, cpuset, quota of every group above it, hardware threads, NUMA nodes.

    Args:
        root: what stands for `/`; tests give a recorded tree.
        affinity: the CPUs it may run on; asked of the kernel if left out.
    """
    allowed = frozenset(os.sched_getaffinity(0) if affinity is None else affinity)
    cpus = (allowed & (cpuset(root) or allowed)) or allowed
    system = root / "sys/devices/system"
    seen = len(_list(system / "cpu/online")) or (os.cpu_count() or len(allowed))
    nodes = [folder for folder in (system / "node").glob("node[0-9]*") if _list(folder / "cpulist") & cpus]
    return CpuGrant(
        tuple(sorted(cpus)), max(seen, len(cpus)), _cores(system, cpus), max(1, len(nodes)), cpu_quota(root)
    )


def granted_cpus() -> int:
    """How many threads this process may really run at once: affinity and quota, a fraction rounded up, at least 1."""
    return cpu_grant().threads


def cpu_model(cpu_info: Path = _CPU_INFO) -> str:
    """The processor's name, as the kernel says it."""
    said = _said(cpu_info)
    arm = " ".join(said[field] for field in _ARM_FIELDS if field in said)
    return said.get("model name") or arm or os.uname().machine


def other_cpu_s(stat: Path = Path("/proc/stat")) -> float:
    """CPU seconds this machine has spent on all but this process and its ended children; only differences mean much.

    Counted: user, nice, system, irq, softirq of proc_stat(5); not idle and iowait, nor time a host took away.
    """
    fields = stat.read_text(encoding="ascii").splitlines()[0].split()[1:] if stat.is_file() else []
    ticks = [int(field) for field in fields]
    busy_s = (sum(ticks[:3]) + sum(ticks[5:7])) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return busy_s - (own.user + own.system + own.children_user + own.children_system)


def has_bf16(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether the CPU multiplies BF16 in hardware (AVX-512 BF16 or AMX)."""
    flags = cpu_info.read_text(encoding="utf-8").split() if cpu_info.is_file() else []
    return bool(_BF16_FLAGS & set(flags))


def cpu_identity(cpu_info: Path = _CPU_INFO) -> str:
    """What decides which code runs on this CPU: its model and everything it says it can do, in a fixed order."""
    said = _said(cpu_info)
    names = ("vendor_id", "cpu family", "model", "model name", "stepping", *_ARM_FIELDS)
    flags = " ".join(sorted(said.get("flags", said.get("Features", "")).split()))
    return "; ".join([platform.machine(), *(said.get(name, "") for name in names), flags])


def _said(cpu_info: Path) -> dict[str, str]:
    """What the kernel says of the first CPU, by name."""
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.is_file() else []
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}


def _cores(system: Path, cpus: frozenset[int]) -> int:
    siblings = {_list(system / f"cpu/cpu{cpu}/topology/thread_siblings_list") or frozenset({cpu}) for cpu in cpus}
    return len(siblings)


def _list(file: Path) -> frozenset[int]:
    try:
        return cpu_list(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return frozenset()
