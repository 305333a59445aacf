"""What a store must take however odd it is: floods, counters that are wrong, numbers beyond all sense."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from outboxes import AT, EPOCH, STATION, OutboxRow, inspection
from stores import ask, engine

from cloud_sync.hub.intake import Intake, take_in
from cloud_sync.hub.store.inserting import write_records
from cloud_sync.hub.store.letters import LETTERS_PER_HOUR
from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.hub.store.writing import DeadLetter, Inserted, Key, NewRecord, StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import LossRecord, canonical_json

SQLITE_PARAMETERS = 32_766  # of a query, where nobody built SQLite with more; PostgreSQL takes 65,535


def test_more_dead_letters_at_once_than_a_query_takes_parameters_stop_no_collector(place: str) -> None:
    letters = [DeadLetter("t", b"%d" % number, "why", STATION) for number in range(70_000)]

    def write(connection: sa.Connection) -> Inserted:
        if isinstance(driver := connection.connection.driver_connection, sqlite3.Connection):
            driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, SQLITE_PARAMETERS)
        return write_records(connection, [], letters, (), 1)

    with StoreWriter(place) as store:
        assert len(store.commit(write).dropped) == len(letters) - LETTERS_PER_HOUR
    assert ask(place, "SELECT count(*) FROM dead_letters") == [(LETTERS_PER_HOUR,)]


def tombstone(seq: int, records: int) -> Intake:
    loss = LossRecord(
        station=STATION,
        epoch=EPOCH,
        seq=seq,
        stream="inspections",
        of_epoch=EPOCH,
        ranges=[(1, 2)],
        records=records,
        verdicts={"PASS": 1},
        why="the disk is full",
        at=AT,
    )
    row = OutboxRow(Stream.LOSSES, seq, canonical_json(loss), EPOCH)
    return take_in(Message(topics.inspections(STATION), pack_batch(STATION, EPOCH, [row], AT)))


@pytest.mark.parametrize("records", [2**63 - 1, 10**30])
def test_a_station_that_claims_to_have_lost_more_than_an_integer_holds_hides_no_other_station(
    place: str, records: int
) -> None:
    with StoreWriter(place) as store:
        store.insert([], [DeadLetter("t", b"", "why", "press-4")], 1)
        for seq in (1, 2):
            assert store.insert(tombstone(seq, records).records, [], 1).stored == 1
    with StoreReader(place) as reader:
        assert [view.station for view in reader.fleet()] == [STATION, "press-4"]


def test_a_count_that_is_short_loses_no_record_and_doubles_none(place: str) -> None:
    records = [
        NewRecord(Key(STATION, EPOCH, Stream.INSPECTIONS, seq), inspection(seq).payload, "") for seq in range(1, 6)
    ]
    other = replace(records[1], payload=inspection(2, part_id="another").payload)
    with StoreWriter(place) as store:
        store.insert(records[:3], [], 1)
        store.commit(lambda connection: connection.execute(sa.text("DELETE FROM holdings")))  # as if by an old program
        done = store.insert([records[0], other, *records[3:]], [], 2)

    assert (done.stored, done.duplicates, [key.seq for key in done.quarantined]) == (2, 1, [2])
    assert ask(place, "SELECT seq, received_at_ms FROM records") == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)]


def test_who_starts_while_another_brings_the_store_forward_waits_for_it(tmp_path: Path) -> None:
    place = str(tmp_path / "cloud.db")
    StoreWriter(place).close()
    started = ThreadPoolExecutor(1)
    with engine(place).connect() as busy:
        busy.execute(sa.text("BEGIN IMMEDIATE"))
        writer = started.submit(StoreWriter, place, busy_timeout_s=0.05)
        wait([writer], 0.5)
        assert not writer.done()
        busy.rollback()
    writer.result(10).close()
    started.shutdown()
