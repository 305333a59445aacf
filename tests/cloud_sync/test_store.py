import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from outboxes import EPOCH, STATION, inspection, outcome
from postgres_kit import Postgres
from stores import ask, engine

from cloud_sync.hub.store import StoreError
from cloud_sync.hub.store.errors import ContentError
from cloud_sync.hub.store.inserting import write_records
from cloud_sync.hub.store.letters import LETTER_BYTES_PER_HOUR, LETTERS_PER_HOUR
from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.hub.store.writing import DeadLetter, Inserted, Key, NewRecord, StoreWriter
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import content_hash

OTHER_EPOCH = "f" * 32
AT_MS = 1_772_366_400_000


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "file.db")


@pytest.fixture
def store(place: str) -> Iterator[StoreWriter]:
    with StoreWriter(place) as writer:
        yield writer


def new(row: OutboxRow, *, station: str = STATION, epoch: str = EPOCH, payload: bytes | None = None) -> NewRecord:
    key = Key(station, epoch, row.stream, row.seq)
    return NewRecord(key, payload or row.payload, f"part-{row.seq}", verdict="PASS")


def held(place: str) -> dict[tuple[str, str, str, int], str]:
    with StoreReader(place) as reader:
        return {(found.station, found.epoch, found.stream, found.seq): found.sha256 for found in reader.records()}


def test_a_record_is_stored_with_its_exact_bytes(store: StoreWriter, place: str) -> None:
    row = inspection(1)

    assert store.insert([new(row)], [], AT_MS) == Inserted(1, 0, ())

    with StoreReader(place) as reader:
        assert reader.payload(STATION, EPOCH, Stream.INSPECTIONS, 1) == row.payload
        assert reader.payload(STATION, EPOCH, Stream.INSPECTIONS, 2) is None
    assert held(place) == {(STATION, EPOCH, "inspections", 1): content_hash(row.payload)}


def test_the_same_record_again_is_counted_and_stored_once(store: StoreWriter, place: str) -> None:
    rows = [new(inspection(seq)) for seq in range(1, 4)]
    store.insert(rows, [], AT_MS)

    assert store.insert([*rows, new(inspection(4))], [], AT_MS) == Inserted(1, 3, ())

    assert len(held(place)) == 4
    with StoreReader(place) as reader:
        assert reader.stations()[0].duplicates == 3


def test_a_record_twice_in_one_batch_is_stored_once(store: StoreWriter, place: str) -> None:
    assert store.insert([new(inspection(1)), new(inspection(1))], [], AT_MS) == Inserted(1, 1, ())
    assert len(held(place)) == 1


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "later"])
def test_other_content_under_a_taken_identity_is_quarantined(store: StoreWriter, place: str, *, together: bool) -> None:
    first, second = new(inspection(1)), new(inspection(1, part_id="another part"))
    if together:
        inserted = store.insert([first, second], [], AT_MS)
    else:
        store.insert([first], [], AT_MS)
        inserted = store.insert([second], [], AT_MS)

    assert inserted.quarantined == (first.key,)
    assert held(place) == {(STATION, EPOCH, "inspections", 1): content_hash(first.payload)}
    assert ask(place, "SELECT payload FROM quarantine") == [(second.payload,)]


def test_the_same_intruder_again_is_kept_once(store: StoreWriter, place: str) -> None:
    store.insert([new(inspection(1))], [], AT_MS)
    for _ in range(3):
        store.insert([new(inspection(1, part_id="another part"))], [], AT_MS)

    with StoreReader(place) as reader:
        assert reader.stations()[0].quarantined == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(new(inspection(1), station="press-4"), id="station"),
        pytest.param(new(inspection(1), epoch=OTHER_EPOCH), id="epoch"),
        pytest.param(new(outcome(1)), id="stream"),
        pytest.param(new(inspection(2)), id="seq"),
    ],
)
def test_each_part_of_the_identity_tells_records_apart(store: StoreWriter, place: str, other: NewRecord) -> None:
    assert store.insert([new(inspection(1)), other], [], AT_MS) == Inserted(2, 0, ())
    assert len(held(place)) == 2


def test_more_records_than_one_query_asks_for(store: StoreWriter) -> None:
    rows = [new(inspection(seq)) for seq in range(1, 1202)]

    assert store.insert(rows, [], AT_MS).stored == 1201
    assert store.insert(rows, [], AT_MS).duplicates == 1201


def test_a_text_that_postgresql_cannot_hold_is_stored_with_its_exact_bytes(store: StoreWriter, place: str) -> None:
    row = inspection(1, part_id="part\0 of doom")
    record = NewRecord(Key(STATION, EPOCH, row.stream, 1), row.payload, "part\0 of doom")

    store.insert([record], [DeadLetter("topic\0", b"x", "why\0", None)], AT_MS)

    assert held(place) == {(STATION, EPOCH, "inspections", 1): content_hash(row.payload)}
    assert ask(place, "SELECT part_id FROM records") == [("part\ufffd of doom",)]


def test_what_comes_late_fills_the_gap_that_it_left(store: StoreWriter, place: str) -> None:
    for seq in (5, 2, 9, 3):
        assert store.insert([new(inspection(seq))], [], AT_MS) == Inserted(1, 0, ())

    assert ask(place, "SELECT records, highest_seq FROM holdings") == [(4, 9)]


def test_two_writers_of_the_same_records_store_each_once(place: str) -> None:
    rows = [new(inspection(seq)) for seq in range(1, 401)]
    sums: list[Inserted] = []

    def write(order: int) -> None:
        with StoreWriter(place) as writer:
            sums.extend(insert_surely(writer, rows[start : start + 20][::order]) for start in range(0, 400, 20))

    writers = [threading.Thread(target=write, args=(order,)) for order in (1, -1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert sum(done.stored for done in sums) == 400
    assert sum(done.duplicates for done in sums) == 400
    assert ask(place, "SELECT records, highest_seq FROM holdings") == [(400, 400)]
    assert ask(place, "SELECT duplicates FROM stations") == [(400,)]


def test_two_writers_of_one_identity_quarantine_the_later(place: str) -> None:
    """Both begin before either has committed: only PostgreSQL lets them get that far."""
    records = [new(inspection(1)), new(inspection(1, part_id="another part"))]
    both = threading.Barrier(2)
    sums: list[Inserted] = []

    def write(record: NewRecord) -> None:
        with StoreWriter(place) as writer:
            both.wait(30)
            sums.append(insert_surely(writer, [record]))

    writers = [threading.Thread(target=write, args=(record,)) for record in records]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert sorted((done.stored, len(done.quarantined)) for done in sums) == [(0, 1), (1, 0)]
    assert len(ask(place, "SELECT sha256 FROM records UNION ALL SELECT sha256 FROM quarantine")) == 2


def insert_surely(writer: StoreWriter, records: list[NewRecord]) -> Inserted:
    """As the collector does it: again while the database fails."""
    while True:
        with contextlib.suppress(StoreError):
            return writer.insert(records, [], AT_MS)


def letters(count: int, size_bytes: int = 10, station: str = STATION) -> list[DeadLetter]:
    return [DeadLetter("t", f"{number:>{size_bytes}}".encode(), "why", station) for number in range(count)]


FLOODS = [
    pytest.param(LETTERS_PER_HOUR + 5, 10, LETTERS_PER_HOUR, id="many"),
    pytest.param(150, 60_000, LETTER_BYTES_PER_HOUR // 60_200, id="large"),
]


@pytest.mark.parametrize(("sent", "size_bytes", "kept"), FLOODS)
def test_a_station_cannot_fill_the_disk_with_dead_letters(
    store: StoreWriter, place: str, sent: int, size_bytes: int, kept: int
) -> None:
    came = letters(sent, size_bytes)
    dropped = [
        letter for start in (0, sent // 2) for letter in drop(store, came[start : start + (sent + 1) // 2], AT_MS)
    ]

    assert len(dropped) == sent - kept
    assert ask(place, "SELECT count(*) FROM dead_letters") == [(kept,)]
    assert drop(store, letters(3, station="press-4"), AT_MS) == ()
    assert drop(store, dropped[:1], AT_MS + 3_600_000) == ()
    with StoreReader(place) as reader:
        assert [(found.station, found.dropped) for found in reader.fleet()] == [(STATION, sent - kept), ("press-4", 0)]


def drop(store: StoreWriter, came: list[DeadLetter], at_ms: int) -> tuple[DeadLetter, ...]:
    return store.insert([], came, at_ms).dropped


def test_a_dead_letter_is_kept_once_with_its_reason(store: StoreWriter, place: str) -> None:
    letter = DeadLetter("some/topic", b"\x00\xff", "no such topic", None)
    for _ in range(2):
        store.insert([], [letter], AT_MS)

    assert ask(place, "SELECT topic, payload, reason FROM dead_letters") == [
        ("some/topic", b"\x00\xff", "no such topic")
    ]


def test_a_batch_that_fails_leaves_nothing_behind(store: StoreWriter, place: str) -> None:
    def write_too_much(connection: sa.Connection) -> None:
        write_records(connection, [new(inspection(1))], [], {"press-9"}, AT_MS)
        connection.execute(sa.text("INSERT INTO meta VALUES ('x', NULL)"))

    with pytest.raises(StoreError, match=r"(?i)not.null"):
        store.commit(write_too_much)

    assert held(place) == {}
    with StoreReader(place) as reader:
        assert reader.stations() == []


def test_a_commit_survives_the_processs_death(file: str) -> None:
    program = (
        "import os, sys; sys.path[:0] = sys.argv[2:];"
        "from test_store import AT_MS, StoreWriter, inspection, new; writer = StoreWriter(sys.argv[1]);"
        "writer.insert([new(inspection(1))], [], AT_MS); os._exit(9)"
    )
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "kit")]

    assert subprocess.run([sys.executable, "-c", program, file, *paths], check=False).returncode == 9
    assert len(held(file)) == 1


def test_the_database_is_written_as_durably_as_sqlite_can(file: str) -> None:
    with StoreWriter(file) as store:
        store.insert([new(inspection(1))], [], AT_MS)
        with store._engine.connect() as connection:  # noqa: SLF001 - the pragma holds for a connection only
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert Path(file + "-wal").exists()


def test_a_table_that_is_away_is_the_databases_fault_not_that_of_what_was_to_be_written(
    store: StoreWriter, place: str
) -> None:
    with engine(place).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE records RENAME TO away")
    with pytest.raises(StoreError, match="records") as failed:
        store.insert([new(inspection(1))], [], AT_MS)
    with engine(place).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO records")

    assert not isinstance(failed.value, ContentError)
    assert store.insert([new(inspection(1))], [], AT_MS).stored == 1


def test_a_server_waits_for_no_collector_that_hangs(postgres: Postgres) -> None:
    with StoreWriter(postgres.new_database()) as store:
        settings = {
            name: store.commit(lambda connection, name=name: connection.exec_driver_sql(f"SHOW {name}").scalar())
            for name in ("lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
        }

    assert settings == {
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "30s",
        "synchronous_commit": "on",
    }


def test_a_locked_database_is_waited_for_then_reported_and_works_again(file: str) -> None:
    with StoreWriter(file, busy_timeout_s=0.2) as store:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.insert([new(inspection(1))], [], AT_MS)
        other.execute("ROLLBACK")
        other.close()

        assert store.insert([new(inspection(1))], [], AT_MS).stored == 1


BAD_PLACES = [
    pytest.param("{dir}/absent/store.db", "cannot open", id="no such folder"),
    pytest.param("{dir}", "cannot open", id="a folder"),
    pytest.param("{dir}/noise.db", "cannot open", id="not a database"),
    pytest.param("nosuchdialect://x/y", "SQLite or PostgreSQL", id="unknown database"),
    pytest.param("://", "a store is", id="not a URL"),
]


@pytest.mark.parametrize(("bad_place", "words"), BAD_PLACES)
def test_what_cannot_be_a_store_is_refused_in_words(tmp_path: Path, bad_place: str, words: str) -> None:
    (tmp_path / "noise.db").write_bytes(b"this is no database at all " * 100)

    with pytest.raises(StoreError, match=words):
        StoreWriter(bad_place.format(dir=tmp_path))


def test_reading_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        StoreReader(str(tmp_path / "absent.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_database_is_no_store(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE t (x)")
    database.close()

    with pytest.raises(StoreError, match="no store of ours"):
        StoreReader(str(tmp_path / "other.db"))
