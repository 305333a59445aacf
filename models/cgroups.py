"""How much CPU time the kernel's control groups grant a process, read from files alone. Pure but for reading.

A quota may stand at any ancestor of a process's group: a systemd unit's CPUQuota= at the unit, a pod's at the pod. So
every ancestor that can be seen is read, and the smallest wins. What a container's own namespace hides above it cannot
be seen from inside.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True, slots=True, order=True)
class Quota:
    """CPUs' worth of time per time, such as 1.5, and the group that sets it."""

    cpus: float
    at: str


@dataclass(frozen=True, slots=True)
class _Mount:
    """One mounted hierarchy: version 1 or 2, what it controls, which of its groups is mounted, and where."""

    version: int
    controllers: frozenset[str]
    group: PurePosixPath
    point: Path


def cpu_quota(root: Path = _ROOT) -> Quota | None:
    """The smallest CPU quota over this process, of its group or any ancestor, version 1 or 2; None where there is none.

    Args:
        root: what stands for `/`; tests give a recorded tree.
    """
    return min((quota for folder in _folders(root, "cpu") if (quota := _quota(folder, root)) is not None), default=None)


def cpuset(root: Path = _ROOT) -> frozenset[int] | None:
    """The logical CPUs that every cpuset above this process leaves it; None where no cpuset is set."""
    sets = [found for folder in _folders(root, "cpuset") if (found := _set(folder))]
    return frozenset.intersection(*sets) if sets else None


def memory_limit_bytes(root: Path = _ROOT) -> int | None:
    """The smallest memory limit over this process, of its group or any ancestor; None where there is none.

    Args:
        root: what stands for `/`; tests give a recorded tree.
    """
    limits = (_memory_limit(folder) for folder in _folders(root, "memory"))
    return min((limit for limit in limits if limit is not None), default=None)


def cpu_list(text: str) -> frozenset[int]:
    """Numbers from the kernel's list form, such as `0-3,8,10-11`. Raises ValueError for anything else."""
    numbers: set[int] = set()
    for span in filter(None, text.strip().split(",")):
        first, _, last = span.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The process's group and its ancestors, as mounted folders, in every hierarchy that may hold the controller."""
    groups = dict(_groups(root))
    for mount in _mounts(root):
        if mount.version == 1 and controller not in mount.controllers:
            continue
        group = groups.get(controller if mount.version == 1 else "")
        if group is not None:
            yield from _upward(mount, group)


def _upward(mount: _Mount, group: PurePosixPath) -> Iterator[Path]:
    """From the group's folder up to the mount; a group that lies outside of what is mounted leaves the mount alone."""
    inside = group.is_relative_to(mount.group) and ".." not in group.parts
    folder = mount.point / group.relative_to(mount.group) if inside else mount.point
    while True:
        yield folder
        if folder == mount.point:
            return
        folder = folder.parent


def _groups(root: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """(controller, group) of /proc/self/cgroup; version 2's has an empty name."""
    for line in _lines(root / "proc/self/cgroup"):
        _number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for name in controllers.split(","):
            yield name, PurePosixPath(group)


def _mounts(root: Path) -> Iterator[_Mount]:
    """The control groups' lines of /proc/self/mountinfo (proc(5): optional fields end at a lone hyphen)."""
    for line in _lines(root / "proc/self/mountinfo"):
        head, _, tail = line.partition(" - ")
        fields, kind = head.split(), tail.split()
        if len(fields) > 4 and kind and kind[0] in {"cgroup", "cgroup2"}:  # noqa: PLR2004 - the mount point is the fifth
            controllers = frozenset(kind[-1].split(",")) if kind[0] == "cgroup" else frozenset[str]()
            point = root / _unescaped(fields[4]).lstrip("/")
            version = 1 if kind[0] == "cgroup" else 2
            yield _Mount(version, controllers, PurePosixPath(_unescaped(fields[3])), point)


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _quota(folder: Path, root: Path) -> Quota | None:
    try:
        if (folder / "cpu.max").is_file():
            given, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            given, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
            )
        quota_us, period_us = (-1 if given == "max" else int(given)), int(period)
    except (OSError, ValueError):
        return None
    at = f"/{folder.relative_to(root)}"
    return Quota(quota_us / period_us, at) if quota_us > 0 and period_us > 0 else None


def _memory_limit(folder: Path) -> int | None:
    """Version 2 says `max` for none, version 1 a number beyond any machine's memory."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            limit = int((folder / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        return limit if limit < _NO_LIMIT_BYTES else None
    return None


def _set(folder: Path) -> frozenset[int]:
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
        try:
            return cpu_list((folder / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return frozenset()


def _lines(file: Path) -> list[str]:
    """A file of /proc; names of mounts and groups are bytes of any kind there, and only a newline ends a line."""
    try:
        return list(filter(None, file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")))
    except OSError:
        return []
