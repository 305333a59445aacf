"""`cloud tune` on pictures of its own: every table is filled by real processes, and what is missing is said."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from station_kit import run_json

from models.dataset.errors import DatasetError
from models.training.tune.epoch import Job, run
from models.training.tune.fashion import read_fashion

pytestmark = pytest.mark.long


def idx(path: Path, values: np.ndarray) -> None:
    head = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """Ten kinds of picture that brightness alone tells apart."""
    folder, rng = tmp_path / "fashion", np.random.default_rng(0)
    folder.mkdir()
    for name, count in (("train", 6400), ("t10k", 200)):
        labels = rng.integers(0, 10, count)
        images = np.clip(labels[:, None, None] * 25 + rng.integers(0, 10, (count, 28, 28)), 0, 255)
        idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        idx(folder / f"{name}-labels-idx1-ubyte.gz", labels)
    return folder


def settings_of(row: dict[str, object]) -> tuple[object, object]:
    return row["threads"], row["bf16"]


def test_the_command_fills_every_table_and_writes_its_page(fashion: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["cloud", "tune", "--data", str(fashion), "--seconds", "0.1", "--rounds", "1", "--out", str(out)]
    code, found = run_json([*words, "--shown-cpus", "3", "--json"], 240)
    assert code == 0
    assert found["images"] == 6400
    for row in [found["default"], found["tuned"], *found["threads"], *found["cores"], *found["jobs"]]:
        assert row["rounds_s"] == [row["epoch_s"]]
    granted = [row for row in found["threads"] if row["threads"] <= found["cpus"]]
    chosen = next(row for row in granted if (row["threads"], row["bf16"]) == settings_of(found["tuned"]))
    assert chosen["epoch_s"] <= 1.03 * min(row["epoch_s"] for row in granted)
    assert {row["threads"] for row in found["threads"]} >= {1, found["cpus"]}
    assert found["oversubscribed"]["threads"] == 3
    assert [row["cores"] for row in found["cores"]][-1] == found["cpus"]
    assert all(row["epoch_s"] > 0 and 0 < row["busy"] <= 1 for row in found["threads"] + found["jobs"])
    assert found["speedup_over_default"] == pytest.approx(found["default"]["epoch_s"] / found["tuned"]["epoch_s"])
    page = (out / "tune.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "<script" not in page
    assert "src=" not in page


def test_a_whole_epoch_learns_something(fashion: Path) -> None:
    timing = run(Job(str(fashion), threads=1))
    assert timing.images == 6400
    assert timing.accuracy is not None
    assert timing.accuracy > 0.2


def test_without_the_dataset_it_says_what_to_install(tmp_path: Path) -> None:
    code, _ = run_json(["cloud", "tune", "--data", str(tmp_path)])
    assert code == 2
    with pytest.raises(DatasetError, match="dataset-fashion-mnist or give --data"):
        read_fashion(tmp_path)


FAULTS = [
    pytest.param(lambda raw: raw[: len(raw) // 2], "cannot be read", id="truncated"),
    pytest.param(lambda _: b"no gzip", "cannot be read", id="no gzip"),
    pytest.param(lambda _: gzip.compress(b"\x00\x00\x0d\x03" + bytes(40)), "no idx file", id="no bytes inside"),
    pytest.param(lambda _: gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 5, 28, 28)), "not whole", id="promises more"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS)
def test_a_damaged_file_is_named(fashion: Path, damage: object, message: str) -> None:
    path = fashion / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DatasetError, match=message) as caught:
        read_fashion(fashion)
    assert path.name in str(caught.value)


def test_images_without_labels_are_refused(fashion: Path) -> None:
    idx(fashion / "train-labels-idx1-ubyte.gz", np.zeros(3))
    with pytest.raises(DatasetError, match="6400 images for 3 labels"):
        read_fashion(fashion)
