"""Machines that are recorded, and this one under limits."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doctor_kit import expect, on_machine, well

from edge.doctor.around import Around
from edge.doctor.rooms import machine

GOOD_CPU = "processor : 0\nmodel name : Xeon\nflags : fpu avx512_vnni avx512_bf16 amx_int8\n"
PLAIN_CPU = "processor : 0\nmodel name : Xeon\nflags : fpu avx2 hypervisor\n"
MEMORY = "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\nSwapTotal: 400000 kB\nSwapFree: {free} kB\n"
FREQUENCIES = {"cpuinfo_max_freq": "4000000", "scaling_max_freq": "4000000", "scaling_governor": "performance"}
GROUP = {
    "proc/self/cgroup": "0::/inspectd\n",
    "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
}


def recorded(folder: Path, files: dict[str, str]) -> Around:
    return on_machine(Around(folder / "data"), folder / "root", files)


def frequencies(**changes: str) -> dict[str, str]:
    return {f"sys/devices/system/cpu/cpu0/cpufreq/{name}": text for name, text in (FREQUENCIES | changes).items()}


def test_a_xeon_with_everything_is_well(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": GOOD_CPU,
        "proc/meminfo": MEMORY.format(free=400000),
        "proc/stat": "cpu 9 0 9 90 0 0 0 0 0 0\n",
    }
    around = recorded(tmp_path, files | frequencies())
    well([*machine.processor(around), *machine.pace(around), *machine.memory(around)])


@pytest.mark.parametrize("fault_id", ["machine.no-vnni", "machine.no-bf16"])
def test_a_processor_without_is_told_what_that_means(tmp_path: Path, fault_id: str) -> None:
    expect(machine.processor(recorded(tmp_path, {"proc/cpuinfo": PLAIN_CPU})), fault_id)


def test_another_kind_of_machine_is_no_station() -> None:
    if (setarch := shutil.which("setarch")) is None:
        pytest.skip("no setarch (util-linux)")
    text = (
        "from pathlib import Path; from edge.doctor.around import Around;"
        "from edge.doctor.rooms.machine import processor;"
        "print(*(finding.id for finding in processor(Around(Path('data')))))"
    )
    done = subprocess.run([setarch, "i686", sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert "machine.architecture" in done.stdout.split()


@pytest.mark.parametrize(
    ("files", "fault_id", "word"),
    [
        pytest.param(frequencies(scaling_governor="powersave"), "machine.powersave", "powersave", id="governor"),
        pytest.param(frequencies(scaling_max_freq="2000000"), "machine.slowed", "2.0 GHz of 4.0", id="limited"),
        pytest.param({"proc/cpuinfo": PLAIN_CPU}, "machine.virtual", "", id="virtual"),
        pytest.param({"proc/stat": "cpu 10 0 10 70 0 0 0 10 0 0\n"}, "machine.steal", "10.0%", id="stolen"),
    ],
)
def test_what_slows_the_processor_is_found(tmp_path: Path, files: dict[str, str], fault_id: str, word: str) -> None:
    expect(machine.pace(recorded(tmp_path, files)), fault_id, word)


def test_a_quota_below_two_processors_is_found(tmp_path: Path) -> None:
    files = GROUP | {"sys/fs/cgroup/inspectd/cpu.max": "50000 100000\n"}
    expect(machine.cores(recorded(tmp_path, files)), "machine.few-cores", "0.5 granted", "/sys/fs/cgroup/inspectd")


def test_a_groups_limit_counts_as_the_memory_there_is(tmp_path: Path) -> None:
    files = GROUP | {"proc/meminfo": MEMORY.format(free=400000), "sys/fs/cgroup/inspectd/memory.max": "500000000\n"}
    expect(machine.memory(recorded(tmp_path, files)), "machine.little-memory", "0.5 GB by the limit of our group")


def test_memory_that_was_swapped_out_is_found(tmp_path: Path) -> None:
    around = recorded(tmp_path, {"proc/meminfo": MEMORY.format(free=1000)})
    expect(machine.memory(around), "machine.swapping", "409 MB")


def test_a_low_limit_of_open_files_is_found(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    try:
        expect(machine.limits(Around(tmp_path)), "machine.few-files", "at most 512")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    well(machine.limits(Around(tmp_path)))
