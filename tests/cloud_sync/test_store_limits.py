"""What a store must take however odd it is: floods, counters that are wrong, numbers beyond all sense."""

import sqlite3

import pytest
import sqlalchemy as sa
from outboxes import AT, EPOCH, STATION, OutboxRow
from stores import ask

from cloud_sync.hub.intake import Intake, take_in
from cloud_sync.hub.store.inserting import write_records
from cloud_sync.hub.store.letters import LETTERS_PER_HOUR
from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.hub.store.writing import DeadLetter, Inserted, StoreWriter
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
