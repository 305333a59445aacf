"""Databases: of another version, of somebody else, damaged, and with what waits in them."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from doctor_kit import expect, run_by_us, station_around, well

from edge.doctor.around import Around
from edge.doctor.finding import meanings
from edge.doctor.rooms import records
from edge.record.counts import add_to_count
from edge.record.database import open_database, open_reader

SENDS = {"sync": {"broker": "mqtt://127.0.0.1:1"}}


@contextmanager
def database(around: Around) -> Iterator[sqlite3.Connection]:
    """A station's database as it is after a clean stop."""
    with closing(open_database(around.data_dir / "station.db")) as connection:
        yield connection


@pytest.fixture
def around(tmp_path: Path) -> Around:
    return station_around(tmp_path, SENDS)


def waits(connection: sqlite3.Connection, around: Around, station: str, hours: float) -> None:
    at = (around.now - timedelta(hours=hours)).isoformat()
    connection.execute(
        "INSERT INTO inspections (seq, part_id, product, verdict, triggered_at) VALUES (1, 'a', 'blob', 'PASS', ?)",
        (at,),
    )
    payload = json.dumps({"station": station}).encode()
    connection.execute(
        "INSERT INTO records (stream, seq, sha256, payload) VALUES ('inspections', 1, 'x', ?)", (payload,)
    )
    connection.execute("INSERT INTO outbox (stream, seq) VALUES ('inspections', 1)")


def fill(connection: sqlite3.Connection, rows: int) -> None:
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO epochs (epoch) VALUES (?)", ((f"{number:032}",) for number in range(rows)))
    connection.execute("COMMIT")


def test_no_database_is_well_and_none_is_made(around: Around) -> None:
    well(records.records(around))
    assert list(records.whole(around)) == []
    assert list(around.data_dir.iterdir()) == []


def test_a_database_that_is_whole_is_well_and_nothing_is_left_beside_it(around: Around) -> None:
    with database(around) as connection:
        waits(connection, around, "test-1", 0.1)
    before = (around.data_dir / "station.db").read_bytes()
    assert len(well([*records.records(around), *records.whole(around)])) == 3
    assert [path.name for path in around.data_dir.iterdir()] == ["station.db"]
    assert (around.data_dir / "station.db").read_bytes() == before


def test_a_database_in_use_is_read_beside_its_writer(around: Around) -> None:
    with database(around) as connection, run_by_us(around):
        waits(connection, around, "test-1", 3)
        expect(records.records(around), "records.waiting-long", "1 records wait")
        assert list(records.whole(around)) == []  # a running line goes first
        waiting = connection.execute("SELECT count(*) FROM outbox").fetchone()
        assert waiting == (1,)


def test_after_a_kill_the_log_is_read_and_stays_the_stations(tmp_path: Path) -> None:
    live, killed = station_around(tmp_path / "live", SENDS), station_around(tmp_path / "killed", SENDS)
    with database(live) as connection:
        waits(connection, live, "other-2", 0.1)
        for name in ("station.db", "station.db-wal"):
            shutil.copy(live.data_dir / name, killed.data_dir / name)
            if os.geteuid() == 0:
                os.chown(killed.data_dir / name, 65534, 65534)
    before = (killed.data_dir / "station.db-wal").read_bytes()
    expect(records.records(killed), "records.other-station")
    assert (killed.data_dir / "station.db-wal").read_bytes() == before
    assert len({path.stat().st_uid for path in killed.data_dir.iterdir()}) == 1


def test_without_a_broker_nothing_waits_too_long(tmp_path: Path) -> None:
    around = station_around(tmp_path)
    with database(around) as connection:
        waits(connection, around, "other-2", 300)
    well(records.records(around))


@pytest.mark.parametrize(("version", "fault_id"), [("3", "records.newer"), ("1", "records.older")])
def test_a_database_of_another_version_is_found_and_not_touched(around: Around, version: str, fault_id: str) -> None:
    with database(around) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (version,))
    before = (around.data_dir / "station.db").read_bytes()
    expect(records.records(around), fault_id, f"schema {version}")
    (around.data_dir / "station.db.before-3").touch()
    kept = "station.db.before-3" if version == "3" else "station.db.before-N"
    assert kept in expect(records.records(around), fault_id).mend + meanings()[fault_id].means
    assert (around.data_dir / "station.db").read_bytes() == before


def test_a_database_of_something_else_is_found(around: Around) -> None:
    with closing(sqlite3.connect(around.data_dir / "station.db")) as connection:
        connection.execute("CREATE TABLE mine (a)")
    expect(records.records(around), "records.foreign")


def test_a_file_that_is_no_database_is_found(around: Around) -> None:
    (around.data_dir / "station.db").write_bytes(b"not a database at all" * 200)
    expect(records.records(around), "records.unreadable", "not a database")
    expect(records.whole(around), "records.damaged", "not a database")


def test_a_damaged_page_is_found(around: Around) -> None:
    with database(around) as connection:
        fill(connection, 2000)
    path = around.data_dir / "station.db"
    content = bytearray(path.read_bytes())
    content[-3 * 4096 : -2 * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    expect(records.whole(around), "records.damaged", "edge restore")


def test_a_database_too_large_for_the_time_is_noted(around: Around) -> None:
    with database(around) as connection:
        fill(connection, 20_000)
    expect([records.checked(around, 0.0)], "records.not-checked", "PRAGMA quick_check")


def test_what_can_never_be_sent_was_lost_or_refused_is_noted(around: Around) -> None:
    with database(around) as connection:
        connection.execute(
            "INSERT INTO dead_letters VALUES ('inspections', 5, 1, 'too large', '2026-11-26T00:00:00+00:00')"
        )
        connection.execute("INSERT INTO uploads VALUES ('x', 'image/png', 1, 1, 1, 'top', 'too large')")
        add_to_count(connection, "lost:inspections", 7)
    found = list(records.records(around))
    expect(found, "records.dead-letters", "1 records", "edge spool retry-dead")
    expect(found, "records.refused-images", "1 were refused")
    expect(found, "records.lost", "7")


def test_records_of_another_station_are_found(around: Around) -> None:
    with database(around) as connection:
        waits(connection, around, "old-name", 0.1)
    expect(records.records(around), "records.other-station", "'old-name'", "edge spool drain")


def test_a_log_that_was_never_folded_in_is_noted(around: Around) -> None:
    with database(around) as connection, closing(open_reader(around.data_dir / "station.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchall()
        waits(connection, around, "test-1", 0)
        with (around.data_dir / "station.db-wal").open("ab") as log:
            log.truncate(300_000_000)
        with run_by_us(around):
            expect(records.records(replace(around)), "records.long-log", "300 MB")
