"""However many samples a store holds, listing and exporting them takes the memory of one page."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from labels_kit import PRODUCT, blobs_of, have_file, picture, put_directly

from cloud_sync.hub.store.writing import StoreWriter

FEW, MANY, EXPORTED = 1000, 100_000, 10_000
MORE_MOST = 1.15


def filled(folder: Path, count: int) -> str:
    folder.mkdir()
    place, content = str(folder / "store.db"), picture(1)
    StoreWriter(place).close()
    put_directly(place, ((f"{number:032x}", content) for number in range(count)))
    have_file(place, blobs_of(place, folder), content)
    return place


PROGRAM = """
import sys
from pathlib import Path
from cloud_sync.hub.cli import app
app(sys.argv[1:], standalone_mode=False)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
sys.stderr.write(peak.split()[1])
"""


def peak_kib(words: Sequence[str]) -> int:
    """The most memory that a command had; what the kernel says of a child counts its parent's too."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
    )
    return int(done.stderr)


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_a_hundred_times_the_samples_take_no_more_memory_to_list(tmp_path: Path) -> None:
    few, many = (
        peak_kib(("labels", "list", "--json", "--store", filled(tmp_path / str(count), count))) for count in (FEW, MANY)
    )

    assert many / few < MORE_MOST, f"{few} KiB for {FEW} samples, {many} KiB for {MANY}"


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_ten_times_the_images_take_no_more_memory_to_export(tmp_path: Path) -> None:
    taken = []
    for count in (FEW, EXPORTED):
        where = ("--store", filled(tmp_path / str(count), count), "--product", PRODUCT)
        taken.append(peak_kib(("labels", "export", *where, "--out", str(tmp_path / f"out{count}"))))

    assert taken[1] / taken[0] < MORE_MOST, f"{taken} KiB"
