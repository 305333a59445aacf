"""The CPUs that this process is really granted, which can be fewer than the machine shows, and what they can do."""

import math
import os
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


def granted_cpus() -> int:
    """How many cores this process may really use: affinity and cgroup quota (v2 and v1), at least 1."""
    quotas = [quota for quota in (_quota_v2(), _quota_v1()) if quota is not None]
    return max(1, min([len(os.sched_getaffinity(0)), *(math.ceil(quota) for quota in quotas)]))


def has_bf16(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether the CPU multiplies BF16 in hardware (AVX-512 BF16 or AMX)."""
    flags = cpu_info.read_text(encoding="utf-8").split() if cpu_info.is_file() else []
    return bool(_BF16_FLAGS & set(flags))


def cpu_name(cpu_info: Path = _CPU_INFO) -> str:
    """The processor, as the kernel calls it; the architecture where it has no name for it."""
    return _said(cpu_info).get("model name") or platform.machine()


def cpu_identity(cpu_info: Path = _CPU_INFO) -> str:
    """What decides which code runs on this CPU: its model and everything it says it can do, in a fixed order."""
    said = _said(cpu_info)
    names = ("vendor_id", "cpu family", "model", "model name", "stepping")
    flags = " ".join(sorted(said.get("flags", said.get("Features", "")).split()))
    return "; ".join([platform.machine(), *(said.get(name, "") for name in names), flags])


def _said(cpu_info: Path) -> dict[str, str]:
    """What the kernel says of the first CPU, by name."""
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.is_file() else []
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}


def _quota_v2() -> float | None:
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1() -> float | None:
    try:
        quota = int((_CGROUP / "cpu" / "cpu.cfs_quota_us").read_text())
        period = int((_CGROUP / "cpu" / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError):
        return None
