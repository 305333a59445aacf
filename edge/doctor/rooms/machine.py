"""The machine: what its processor can do, how much of it and of its memory is ours."""

import platform
import resource
from collections.abc import Iterator

from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from models.cgroups import memory_limit_bytes
from models.cpus import cpu_grant, cpu_model, has_bf16

_VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")
_LITTLE_BYTES = 2_000_000_000
_SWAPPED_BYTES = 50_000_000
_LEAST_CPUS = 2.0
_LEAST_FILES = 1024
_STEAL_SHARE = 0.02
_SLOWED = 0.9
_CPU = "sys/devices/system/cpu/cpu0/cpufreq"


def processor(around: Around) -> Iterator[Finding]:
    """Its kind, and what it multiplies in hardware."""
    kind, name = platform.machine(), cpu_model(around.root / "proc/cpuinfo")
    if kind == "x86_64":
        yield ok("machine", "processor", f"{name} ({kind})")
    else:
        yield fault("machine.architecture", "processor", f"{name} is {kind}, wanted x86_64")
    flags = cpu_flags(around)
    vnni = [flag for flag in _VNNI if flag in flags]
    if vnni:
        yield ok("machine", "INT8", f"in hardware: {', '.join(vnni)}")
    else:
        yield fault("machine.no-vnni", "INT8", "the processor has no VNNI: INT8 runs, but without its speed")
    if has_bf16(around.root / "proc/cpuinfo"):
        yield ok("machine", "BF16", f"in hardware: {', '.join(sorted(flag for flag in flags if 'bf16' in flag))}")
    else:
        yield fault("machine.no-bf16", "BF16", "the processor has neither AVX-512 BF16 nor AMX: BF16 is not tried")


def cpu_flags(around: Around) -> set[str]:
    """What the processor says it can do."""
    lines = around.read("proc/cpuinfo").splitlines()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def cores(around: Around) -> Iterator[Finding]:
    """How much computing this process is granted, by affinity, cpuset and quota."""
    grant = cpu_grant(around.root)
    if grant.amount < _LEAST_CPUS:
        yield fault("machine.few-cores", "cores", str(grant))
    else:
        yield ok("machine", "cores", f"{grant}{': threads follow what is granted' if grant.is_cut else ''}")


def pace(around: Around) -> Iterator[Finding]:
    """Whether something keeps the processor from running at its speed."""
    governor = around.read(f"{_CPU}/scaling_governor")
    most, may = (_number(around.read(f"{_CPU}/{name}")) for name in ("cpuinfo_max_freq", "scaling_max_freq"))
    if governor in {"powersave", "conservative"}:
        yield fault("machine.powersave", "clock rate", f"the governor is {governor}")
    elif governor:
        yield ok("machine", "clock rate", f"the governor is {governor}")
    if most and may and may < most * _SLOWED:
        yield fault("machine.slowed", "clock rate", f"limited to {may / 1e6:.1f} GHz of {most / 1e6:.1f}")
    if "hypervisor" in cpu_flags(around):
        yield fault("machine.virtual", "virtual machine", "this is one: others may take its time")
    share = _stolen(around)
    if share > _STEAL_SHARE:
        yield fault("machine.steal", "stolen time", f"the host took {share:.1%} of the time since the start")


def memory(around: Around) -> Iterator[Finding]:
    """How much there is, by the machine and by the limits of our group, and whether it is swapped out."""
    said = _memory(around)
    limit = memory_limit_bytes(around.root)
    ours = min(said.get("MemTotal", 0), limit or float("inf"))
    found = f"{ours / 1e9:.1f} GB{' by the limit of our group' if limit and ours == limit else ''}"
    free = said.get("MemAvailable", 0)
    if min(ours, free) < _LITTLE_BYTES:
        yield fault("machine.little-memory", "memory", f"{found}, {free / 1e9:.1f} GB of the machine's to be had")
    else:
        yield ok("machine", "memory", f"{found}, {free / 1e9:.1f} GB to be had")
    used = said.get("SwapTotal", 0) - said.get("SwapFree", 0)
    if used > _SWAPPED_BYTES:
        yield fault("machine.swapping", "swap", f"{used / 1e6:.0f} MB are swapped out")
    else:
        yield ok("machine", "swap", f"{used / 1e6:.0f} MB are swapped out")


def limits(_around: Around) -> Iterator[Finding]:
    """How many files a process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _LEAST_FILES:
        yield fault("machine.few-files", "open files", f"at most {soft} (could be {hard}), wanted {_LEAST_FILES}")
    else:
        yield ok("machine", "open files", f"at most {soft}")


def _stolen(around: Around) -> float:
    """Share of the processor's time that the host gave to others (proc_stat(5): the eighth figure)."""
    fields = [int(each) for each in around.read("proc/stat").partition("\n")[0].split()[1:9]]
    total = sum(fields)
    return fields[7] / total if len(fields) == 8 and total else 0.0  # noqa: PLR2004 - as said above


def _memory(around: Around) -> dict[str, int]:
    rows = (line.split() for line in around.read("proc/meminfo").splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) > 1}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
