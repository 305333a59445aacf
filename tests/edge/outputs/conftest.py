from pathlib import Path

import pytest
from outputs_kit import make_station
from station_kit import Station


@pytest.fixture
def made(tmp_path: Path) -> Station:
    """A station with the blob bundle, whose every fifth frame is bad; its outputs are appended by the test."""
    return make_station(tmp_path)
