"""What the station says of itself to the cloud, read from a real database."""

from pathlib import Path

import pytest
from backlog_kit import fill
from line_kit import STATION, make_line

from edge.config import StationConfig, load_config
from edge.domain.errors import StorageError
from edge.health import Health
from edge.record.database import epoch_of, open_reader
from edge.standing import make_health, read_state


@pytest.fixture
def config(tmp_path: Path) -> StationConfig:
    line = make_line(tmp_path)
    fill(line.station.database, STATION, 4)
    return load_config(line.station.config)


def epoch(config: StationConfig) -> str:
    reader = open_reader(config.database_path)
    try:
        return epoch_of(reader)
    finally:
        reader.close()


def test_the_state_names_the_epoch_and_the_next_inspections_number(config: StationConfig) -> None:
    state = read_state(config.database_path)
    assert (state.state, state.epoch, state.next_seq) == ("online", epoch(config), 5)
    assert state.at is not None


def test_health_counts_what_waits_and_names_what_is_wrong_however_long_its_reason(config: StationConfig) -> None:
    health = Health()
    health.raise_fault("camera:top", "gone " * 200)
    health.set_alarm("dead_letters", "3 records cannot be sent")

    said = make_health(config, health)

    assert (said.ready, said.epoch) == (False, epoch(config))
    assert {name: rows for name, rows in said.outbox.items() if rows} == {"inspections": 4, "outcomes": 4}
    assert said.faults["camera:top"].startswith("gone gone")
    assert said.alarms == {"dead_letters": "3 records cannot be sent"}
    assert said.spool_bytes > 4096
    assert said.disk_free_bytes > 0


def test_a_database_that_is_not_there_is_a_storage_fault(config: StationConfig) -> None:
    config.database_path.unlink()
    with pytest.raises(StorageError):
        make_health(config, Health())
