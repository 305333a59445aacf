"""A station is put back from an old backup: the cloud has everything exactly once, and nothing in quarantine."""

import signal
from contextlib import closing
from pathlib import Path

import pytest
from brokers import eventually
from line_kit import Line, make_line
from station_kit import end
from stores import ask

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from edge.backup.making import Wanted, make_backup
from edge.backup.restoring import restore
from edge.config import load_config
from edge.record.database import open_reader
from models.progress import SilentProgress

HELD = "SELECT epoch, stream, seq, payload FROM records"
PARTS = 50


def made(line: Line) -> set[tuple[object, ...]]:
    """Every record that the station's database holds, by identity and content."""
    query = "SELECT epochs.epoch, stream, seq, payload FROM records JOIN epochs ON epochs.id = records.epoch"
    with closing(open_reader(line.station.database)) as reader:
        return set(reader.execute(query).fetchall())


@pytest.mark.long
def test_after_an_old_backup_is_restored_the_cloud_has_every_part_once(tmp_path: Path) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port())
    line, store, archive = make_line(tmp_path, broker), str(tmp_path / "cloud.db"), tmp_path / "line-1.backup"
    with broker:
        with line.daemon():
            line.run_parts(20)  # nobody collects: all of it waits in the backup
            with line.simulator(30, "--rate", "40") as simulator:  # and some are under way when it is made
                eventually(lambda: line.told() >= 25)
                make_backup(load_config(line.station.config), archive, Wanted(), SilentProgress())
                assert simulator.wait(60) == 0
        with line.collector(), line.daemon() as daemon:
            line.run_parts(PARTS)
            line.await_acknowledged()
            end(daemon, signal.SIGKILL)
        first_life = made(line)
        assert set(ask(store, HELD)) == first_life

        done = restore(archive, line.station.config, SilentProgress(), force=True)
        assert done.aside is not None
        with line.collector(), line.daemon():
            line.run_parts(PARTS)
            line.await_acknowledged()

    held, second_life = ask(store, HELD), made(line)
    assert set(held) == first_life | second_life
    assert len(held) == len(set(held)) == len({row[:3] for row in held})
    assert len([row for row in held if row[1] == "inspections"]) == 20 + 30 + PARTS + PARTS
    assert {row[0] for row in second_life - first_life} == {done.epoch}
    assert ask(store, "SELECT * FROM quarantine") == []
    assert ask(store, "SELECT * FROM dead_letters") == []
    assert ask(store, "SELECT resets FROM conditions") == [(0,)]


@pytest.mark.long
def test_a_backup_restored_on_two_machines_at_once_is_seen_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    broker = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port())
    line, store, archive = make_line(tmp_path, broker), str(tmp_path / "cloud.db"), tmp_path / "line-1.backup"
    twin = make_line(tmp_path / "twin", broker)
    with broker:
        with line.daemon():
            line.run_parts(10)
            make_backup(load_config(line.station.config), archive, Wanted(), SilentProgress())
        for each in (line, twin):
            own = each.station.config.read_text()
            restore(archive, each.station.config, SilentProgress(), force=True)
            each.station.config.write_text(own)
        with line.collector(), line.daemon():
            line.run_parts(10)
            with twin.daemon():
                twin.run_parts(10)
                said = line.station.folder / "collector.log"
                eventually(lambda: "two machines send as station test-1" in said.read_text(), 60)
            line.await_acknowledged()
        with line.collector(), twin.daemon():
            twin.await_acknowledged()
    held = ask(store, HELD)
    assert set(held) == made(line) | made(twin)
    assert len(held) == len({row[:3] for row in held})
    assert len([row for row in held if row[1] == "inspections"]) == 10 + 10 + 10
    assert ask(store, "SELECT * FROM quarantine") == []
