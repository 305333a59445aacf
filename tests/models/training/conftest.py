from pathlib import Path

import pytest
from pictures_kit import painted_dataset

from models.dataset.records import Dataset


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_dataset(tmp_path_factory.mktemp("painted"), count=12)


@pytest.fixture(scope="session")
def painted_pairs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_dataset(tmp_path_factory.mktemp("pairs"), count=12, reference=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"
