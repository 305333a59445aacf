"""Disks: real ones that are full, slow, read-only or in memory, and those that no test can mount."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from disk_kit import NEEDED, LoopDisk, run
from doctor_kit import expect, on_machine, station_around, well

from edge.doctor.around import Around
from edge.doctor.rooms import disk

WRITES = """import sys
from pathlib import Path
from edge.doctor import Around, examine
from edge.doctor.check import Check
from edge.doctor.rooms import disk
checks = [Check("writing", disk.pace, 1.0), Check("room", disk.room)]
print(*(finding.id.replace("little-space", "disk") for finding in examine(Around(Path(sys.argv[1])), checks)))"""
SMALL = {"retention": {"quota_bytes": 1_000_000, "records_bytes": 8_000_000, "free_bytes": 0}}


def test_a_folder_of_this_machine_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    around = station_around(tmp_path, SMALL | {"line": {"deadline_ms": 60_000, "commit_margin_ms": 50_000}})
    assert {"disk.budgets", "disk.writing"} <= {each.id for look in (disk.room, disk.pace) for each in look(around)}
    assert list(around.data_dir.iterdir()) == []


def test_a_data_folder_that_is_not_there_yet_is_noted_and_not_made(tmp_path: Path) -> None:
    around = Around(tmp_path / "deep" / "data")
    expect(disk.file_system(around), "disk.no-folder")
    assert list(disk.pace(around))
    assert list(tmp_path.iterdir()) == []


def test_data_in_memory_are_refused() -> None:
    if not Path("/dev/shm").is_dir():  # noqa: S108 - a file system in memory is what is wanted
        pytest.skip("no /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        expect(disk.file_system(Around(Path(name))), "disk.in-memory", "tmpfs")


@pytest.mark.parametrize(
    ("kind", "fault_id"),
    [
        ("overlay", "disk.overlay"),
        ("vfat", "disk.weak-kind"),
        ("nfs4", "disk.on-network"),
        ("cifs", "disk.on-network"),
        ("fuse.something", "disk.unknown-kind"),
    ],
)
def test_a_file_system_that_does_not_keep_its_word_is_found(tmp_path: Path, kind: str, fault_id: str) -> None:
    lines = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:9 / {tmp_path} rw,noatime - {kind} x rw\n"
    around = on_machine(Around(tmp_path), tmp_path / "root", {"proc/self/mountinfo": lines})
    expect(disk.file_system(around), fault_id, kind)
    well(disk.file_system(replace(around, data_dir=Path("/usr"))))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[LoopDisk]:
    """An ext4 of 40 MB with few inodes and no barriers."""
    if os.geteuid() != 0 or any(shutil.which(each, path="/usr/sbin:/sbin:/usr/bin:/bin") is None for each in NEEDED):
        pytest.skip("needs root and mkfs.ext4, mount, losetup")
    made = LoopDisk(tmp_path, 40)
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "16", str(tmp_path / "disk.img"))
    run("mount", "-o", "loop,nobarrier", str(tmp_path / "disk.img"), str(made.where))
    yield made
    made.unmount()


def fill_with_files(folder: Path) -> None:
    for number in range(1000):
        (folder / f"{number}").touch()


def test_a_small_disk_is_found_full_unsafe_and_at_last_read_only(small: LoopDisk, tmp_path: Path) -> None:
    around = replace(station_around(tmp_path / "station"), data_dir=small.where)
    expect(disk.file_system(around), "disk.no-barrier", "nobarrier", str(small.where))
    with pytest.raises(OSError, match="No space"):
        fill_with_files(small.where)
    found = list(disk.room(around))
    expect(found, "disk.below-floor", "1.0 GB")
    expect(found, "disk.budgets", "20 + 10 + 1 GB")
    expect(found, "disk.few-inodes")
    expect(disk.room(replace(around, config=None)), "disk.little-space", "0.0 GB free")
    run("mount", "-o", "remount,ro", str(small.where))
    expect(disk.file_system(around), "disk.read-only")
    expect(disk.pace(around), "disk.not-writable", "Read-only file system")


def test_a_disk_slower_than_the_line_allows_is_noted(tmp_path: Path) -> None:
    around = station_around(tmp_path, {"line": {"commit_margin_ms": 0.0001}})
    expect(disk.pace(around), "disk.slow", "p99", "0.0001")


def test_a_disk_that_hangs_cannot_hang_the_doctor(small: LoopDisk) -> None:
    """Not even SIGKILL ends who writes to a frozen file system."""
    run("fsfreeze", "-f", str(small.where))
    try:
        command = [sys.executable, "-c", WRITES, str(small.where)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    finally:
        run("fsfreeze", "-u", str(small.where))
    assert done.stdout.split() == ["doctor.no-answer", "disk.disk"]
