"""What a store must take however odd it is: floods, counters that are wrong, numbers beyond all sense."""

import sqlite3

import sqlalchemy as sa
from outboxes import STATION
from stores import ask

from cloud_sync.hub.store.inserting import write_records
from cloud_sync.hub.store.letters import LETTERS_PER_HOUR
from cloud_sync.hub.store.writing import DeadLetter, Inserted, StoreWriter

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
