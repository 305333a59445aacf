from pathlib import Path

import pytest
from station_kit import Station, make_bundle, write_frames


@pytest.fixture
def made(tmp_path: Path) -> Station:
    """A station with the blob bundle, whose every fifth frame is bad; its outputs are appended by the test."""
    station = Station(tmp_path / "station")
    station.write_config()
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 20, bad_every=5)
    return station
