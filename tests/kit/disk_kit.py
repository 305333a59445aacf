"""Real file systems that fail as disks do: power cut, full, read-only, an fsync that fails. They need root."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import eventually

NEEDED = ("mkfs.ext4", "mount", "umount", "xfs_io", "losetup")
_SBIN = "/usr/sbin:/sbin:/usr/bin:/bin"


def run(*command: str) -> str:
    """Run a command of the system; its end is good."""
    path = shutil.which(command[0], path=_SBIN)
    assert path is not None, command[0]
    done = subprocess.run([path, *command[1:]], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


class LoopDisk:
    """An ext4 file system in a file, mounted; `where` is its folder.

    Args:
        folder: where the file and the mount point are made.
        size_mb: of the file.
    """

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.where = folder / "disk"
        self._file = folder / "disk.img"
        self._filler = self.where / "filler"
        self.where.mkdir(parents=True)
        with self._file.open("wb") as file:
            file.truncate(size_mb << 20)
        run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._file))

    def mount(self) -> None:
        """Mount it; a journal that a power cut left is replayed."""
        run("mount", "-o", "loop,errors=remount-ro", str(self._file), str(self.where))

    def sync(self) -> None:
        """Put all of it on disk."""
        run("sync", "-f", str(self.where))

    def unmount(self) -> None:
        """Unmount it once nobody has a file open any more."""
        eventually(self._try_to_unmount, 20)

    def cut_power(self, *, log_flushed: bool = False) -> None:
        """From now on nothing reaches the disk, and what had not is gone at the next mount."""
        run("xfs_io", "-x", "-c", "shutdown -f" if log_flushed else "shutdown", str(self.where))

    def go_read_only(self) -> None:
        """An error that the kernel answers by making the file system read-only, whoever has files open."""
        device = run("losetup", "-n", "-O", "NAME", "-j", str(self._file)).strip()
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("test\n")

    def fill(self) -> None:
        """Somebody else takes all that is free."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(b"\xff" * size):
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """Somebody else lets go of it."""
        self._filler.unlink()

    def is_mounted(self) -> bool:
        return os.path.ismount(self.where)

    def _try_to_unmount(self) -> bool:
        path = shutil.which("umount", path=_SBIN) or "umount"
        return subprocess.run([path, str(self.where)], check=False, capture_output=True).returncode == 0


@contextmanager
def loop_disk(folder: Path, size_mb: int = 96) -> Iterator[LoopDisk]:
    """A mounted disk; skips the test where none can be made."""
    missing = [tool for tool in NEEDED if shutil.which(tool, path=_SBIN) is None]
    if os.geteuid() or missing:
        pytest.skip(f"needs root and {', '.join(NEEDED)}; missing: {', '.join(missing) or 'root'}")
    disk = LoopDisk(folder, size_mb)
    try:
        disk.mount()
    except AssertionError as error:
        pytest.skip(f"no loop device can be mounted here: {error}")
    try:
        yield disk
    finally:
        if disk.is_mounted():
            disk.unmount()


@contextmanager
def failing_syncs(pid: int, log: Path) -> Iterator[None]:
    """Every fsync and fdatasync of a process fails while this lasts; skips the test where strace cannot do that."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    which = "fdatasync,fsync"
    command = [strace, "-f", "-e", f"trace={which}", "-e", f"inject={which}:error=EIO", "-o", str(log), "-p", str(pid)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: log.exists() and "INJECTED" in log.read_text(errors="replace"), 20)
        yield
    finally:
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(20)


@contextmanager
def tiny_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """A file system in memory with so little room; the test is skipped where that cannot be mounted."""
    if os.geteuid() != 0 or shutil.which("mount", path=_SBIN) is None:
        pytest.skip("mounting a small file system needs root")
    folder.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        run("umount", "--lazy", str(folder))  # a failed test may hold a file open
