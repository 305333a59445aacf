"""A station's database is put back from yesterday's copy: no row of the cloud changes, and nothing new is lost."""

import contextlib
import shutil
import signal
from pathlib import Path

import pytest
from brokers import eventually
from line_kit import Line, make_line
from station_kit import end
from stores import ask

from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from edge.record.database import open_reader

RECORDS = "SELECT * FROM records"
QUARANTINED = "SELECT epoch, stream, seq, payload FROM quarantine"


def epochs(line: Line) -> list[str]:
    """The station's epochs, the first one first."""
    with contextlib.closing(open_reader(line.station.database)) as connection:
        return [row[0] for row in connection.execute("SELECT epoch FROM epochs ORDER BY id")]


def run_and_kill(line: Line, parts: int) -> None:
    with line.daemon() as daemon:
        line.run_parts(parts)
        line.await_acknowledged()
        end(daemon, signal.SIGKILL)


def database_files(line: Line) -> list[Path]:
    return sorted(line.station.database.parent.glob("station.db*"))


def restore(line: Line, backup: Path) -> None:
    for path in database_files(line):
        path.unlink()
    shutil.copytree(backup, line.station.database.parent, dirs_exist_ok=True)


RESTORED = [
    pytest.param(True, id="online", marks=pytest.mark.soak),
    pytest.param(False, id="offline until it has reused identities"),
]


@pytest.mark.long
@pytest.mark.parametrize("is_told_first", RESTORED)
def test_a_restored_database_changes_no_row_of_the_cloud(tmp_path: Path, *, is_told_first: bool) -> None:
    broker, backup = LocalBroker(available_kinds()[0], tmp_path / "broker", free_port()), tmp_path / "backup"
    line = make_line(tmp_path, broker)
    store = str(line.store)
    backup.mkdir()
    with broker:
        with line.collector():
            run_and_kill(line, 12)
            for path in database_files(line):
                shutil.copy2(path, backup)
            run_and_kill(line, 12)
        before, first_epoch = ask(store, RECORDS), epochs(line)[0]
        restore(line, backup)
        with line.daemon(), contextlib.ExitStack() as stack:
            if not is_told_first:
                line.run_parts(6)
            stack.enter_context(line.collector())
            eventually(lambda: len(epochs(line)) == 2, within_s=40)
            line.run_parts(6)
            line.await_acknowledged()

    after, new_epoch = ask(store, RECORDS), epochs(line)[1]
    assert [row for row in after if row in set(before)] == before
    added = [row for row in after if row not in set(before)]
    assert {row[1] for row in added} == {new_epoch}
    assert len([row for row in added if row[2] == "inspections"]) == 6
    held = ask(store, QUARANTINED)
    assert {row[0] for row in held} == (set() if is_told_first else {first_epoch})
    assert len([row for row in held if row[1] == "inspections"]) == (0 if is_told_first else 6)
