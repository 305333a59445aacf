"""What `edge doctor` looks at: can this machine be a station, and how good a one."""

import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

State = Literal["ok", "note", "bad"]
_CV2_OWNERS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_FSYNCS = 20
_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `bad` means a station cannot run, `note` that something is optional or weaker."""

    name: str
    state: State
    found: str


def examine(folder: Path) -> list[Finding]:
    """Look at this machine; `folder` is where the station would keep its data."""
    machine: list[Callable[[Path], Iterator[Finding]]] = [_python, _opencv, _openvino, _cpus, _disk, _extras, _broker]
    return [finding for check in [*machine, _plans] for finding in check(folder)]


def _python(_folder: Path) -> Iterator[Finding]:
    fits = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if fits else "bad", f"{platform.python_version()}, wanted 3.11 or newer")


def _opencv(_folder: Path) -> Iterator[Finding]:
    owners = [name for name in _CV2_OWNERS if _version(name)]
    if owners == ["opencv-python-headless"]:
        yield Finding("opencv", "ok", f"opencv-python-headless {_version(owners[0])}")
    elif len(owners) > 1:
        yield Finding("opencv", "bad", f"{' and '.join(owners)} own cv2: uninstall all, install headless")
    else:
        yield Finding("opencv", "bad", f"found {owners or 'none'}, wanted opencv-python-headless alone")


def _openvino(_folder: Path) -> Iterator[Finding]:
    try:
        import openvino as ov

        core = ov.Core()
        abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        name = core.get_property("CPU", "FULL_DEVICE_NAME")
    except (ImportError, RuntimeError) as error:
        yield Finding("openvino", "bad", f"does not start: {error}")
        return
    yield Finding("openvino", "ok", f"{_version('openvino')} on {name}: {', '.join(abilities)}")
    flags = _cpu_flags()
    vnni = sorted(flags & {"avx512_vnni", "avx_vnni", "amx_int8"})
    slow = "no VNNI: INT8 runs, but without its speed"
    yield Finding("INT8", "ok" if vnni else "note", f"{', '.join(vnni)}" if vnni else slow)


def _cpus(_folder: Path) -> Iterator[Finding]:
    from models.cpus import cpu_grant

    grant = cpu_grant()
    follow = ": threads follow what is granted" if grant.is_cut else ""
    yield Finding("cores", "ok", f"{grant}{follow}")


def _plans(folder: Path) -> Iterator[Finding]:
    """The kept plans: whether each is of this machine as it is now."""
    from edge.infer.kept_plans import kept_plans, machine_now

    plans = list(kept_plans(folder / "plans"))
    if not plans:
        yield Finding("plans", "note", "none kept: the default runs until `edge tune` found a better one")
    for path, key in plans:
        changed = [] if isinstance(key, str) else key.machine_differences(machine_now())
        why = f"cannot be used: {key}" if isinstance(key, str) else "; ".join(changed)
        state: State = "note" if why else "ok"
        yield Finding("plan", state, f"{path.name}: {why or 'of this machine'}{': run `edge tune`' if why else ''}")


def _disk(folder: Path) -> Iterator[Finding]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(folder).free
        fsync_ms = _fsync_ms(folder / ".doctor")
    except OSError as error:
        yield Finding("disk", "bad", f"{folder} cannot be written: {error.strerror}")
        return
    state: State = "ok" if free_bytes > _FREE_BYTES else "note"
    yield Finding("disk", state, f"{free_bytes / 1e9:.1f} GB free, fsync {fsync_ms:.1f} ms (median of {_FSYNCS})")


def _fsync_ms(file: Path) -> float:
    times = []
    with file.open("wb", buffering=0) as probe:
        for _ in range(_FSYNCS):
            probe.write(b"\0" * 4096)
            started_s = time.perf_counter()
            os.fsync(probe.fileno())
            times.append((time.perf_counter() - started_s) * 1000)
    file.unlink()
    return sorted(times)[_FSYNCS // 2]


def _extras(_folder: Path) -> Iterator[Finding]:
    for extra, module in (("calibrate", "nncf"), ("hub", "sqlalchemy"), ("demo", "elpv_dataset")):
        there = importlib.util.find_spec(module) is not None
        found = "installed" if there else f"not installed (pip install 'inspectd[{extra}]'); a station runs without"
        yield Finding(f"extra {extra}", "ok" if there else "note", found)


def _broker(_folder: Path) -> Iterator[Finding]:
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    iotcore = importlib.util.find_spec("iotcore") is not None
    found = "mosquitto" if mosquitto else "iotcore (demo only)" if iotcore else "none here; one elsewhere will do"
    yield Finding("broker", "ok" if mosquitto or iotcore else "note", found)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
