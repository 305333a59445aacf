"""The disk: whether it keeps what was written, has room for what the station keeps, and is fast enough."""

import os
import tempfile
import time
from collections.abc import Iterator

from edge.config import LineSection
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.doctor.mounts import Mount, mount_of, nearest_folder
from edge.domain.percentile import percentile

_FSYNCS = 60
_FEW = 10  # beside a running line, which waits for the same disk
_LITTLE_BYTES = 2_000_000_000
_INODES_FREE = 0.05
_DURABLE = frozenset({"ext4", "xfs", "ext3", "btrfs", "zfs", "f2fs"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_WEAK = frozenset({"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk"})
_NETWORK = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "glusterfs")
_NO_BARRIER = frozenset({"nobarrier", "barrier=0"})


def file_system(around: Around) -> Iterator[Finding]:
    """Whether the data lie where they last."""
    folder = nearest_folder(around.data_dir)
    if folder != around.data_dir:
        yield fault("disk.no-folder", "data folder", f"{around.data_dir} is not there yet")
    mount = mount_of(folder.resolve(), around.read("proc/self/mountinfo"))
    if mount is None:
        yield fault("disk.unknown-kind", "file system", f"{folder} is on none that the kernel lists")
        return
    found = f"{mount.kind} at {mount.point}"
    wrong = _kind_fault(mount.kind)
    yield ok("disk", "file system", found) if wrong is None else fault(wrong, "file system", found)
    yield from _options(mount)


def _kind_fault(kind: str) -> str | None:
    if kind in _DURABLE:
        return None
    if kind in _IN_MEMORY:
        return "disk.in-memory"
    if kind == "overlay":
        return "disk.overlay"
    if kind in _WEAK:
        return "disk.weak-kind"
    return "disk.on-network" if kind.startswith(_NETWORK) else "disk.unknown-kind"


def _options(mount: Mount) -> Iterator[Finding]:
    if "ro" in mount.options:
        yield fault("disk.read-only", "mount", f"{mount.point} is mounted read-only", point=mount.point)
    if unsafe := sorted(_NO_BARRIER & mount.options):
        yield fault("disk.no-barrier", "mount", f"{mount.point} is mounted with {unsafe[0]}", point=mount.point)


def room(around: Around) -> Iterator[Finding]:
    """Whether what the station may keep fits, and files can still be made."""
    folder = nearest_folder(around.data_dir)
    disk = os.statvfs(folder)
    free_bytes, size_bytes = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    found = f"{free_bytes / 1e9:.1f} GB free of {size_bytes / 1e9:.1f}"
    floor_bytes = 0 if around.config is None else around.config.retention.free_bytes
    if around.config is not None and free_bytes < floor_bytes:
        yield fault("disk.below-floor", "disk", f"{found}, and retention.free_bytes is {floor_bytes / 1e9:.1f} GB")
    elif free_bytes < _LITTLE_BYTES:
        yield fault("disk.little-space", "disk", found)
    else:
        yield ok("disk", "disk", found)
    yield from _budgets(around, size_bytes)
    if disk.f_files and disk.f_favail < disk.f_files * _INODES_FREE:
        yield fault("disk.few-inodes", "inodes", f"{disk.f_favail} free of {disk.f_files}")


def _budgets(around: Around, size_bytes: int) -> Iterator[Finding]:
    if around.config is None:
        return
    kept = around.config.retention
    wanted_bytes = kept.quota_bytes + kept.records_bytes + kept.free_bytes
    parts = " + ".join(f"{each / 1e9:g}" for each in (kept.quota_bytes, kept.records_bytes, kept.free_bytes))
    found = f"quota, records and floor of [retention] are {parts} GB, the disk has {size_bytes / 1e9:.1f}"
    if wanted_bytes > size_bytes:
        yield fault("disk.budgets", "budgets", found)
    else:
        yield ok("disk", "budgets", found)


def pace(around: Around) -> Iterator[Finding]:
    """How long it takes until what was written is on disk: each verdict waits for that before it is told."""
    folder = nearest_folder(around.data_dir)
    margin_ms = (LineSection() if around.config is None else around.config.line).commit_margin_ms
    try:
        times_ms = sorted(_fsyncs(folder, _FEW if around.quick or around.daemon is not None else _FSYNCS))
    except OSError as error:
        yield fault("disk.not-writable", "writing", f"{folder} cannot be written: {error.strerror}", folder=folder)
        return
    p50_ms, p99_ms = percentile(times_ms, 0.5), percentile(times_ms, 0.99)
    found = f"fsync {p50_ms:.1f} ms at the median, {p99_ms:.1f} at p99; commit_margin_ms is {margin_ms:g}"
    if p99_ms > margin_ms:
        yield fault("disk.slow", "writing", found)
    else:
        yield ok("disk", "writing", found)


def _fsyncs(folder: os.PathLike[str], times: int) -> Iterator[float]:
    """Milliseconds of each; the file has no name, so nothing stays behind however this ends."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
        for _ in range(times):
            probe.write(b"\0" * 4096)
            started_s = time.perf_counter()
            os.fsync(probe.fileno())
            yield (time.perf_counter() - started_s) * 1000
