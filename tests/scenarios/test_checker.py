"""A checker that cannot fail proves nothing: each kind of loss is planted here, and must be found and named."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from backlog_kit import BEGAN, fill
from checker import Kind, Report, digest_of
from checker_sources import check

from cloud_sync.hub.intake import take_in
from cloud_sync.hub.store.writing import DeadLetter, StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import LossRecord, canonical_json, inspection_id
from edge.record.inspections import insert_record

STATION, PARTS = "test-1", 30
PART_7 = "WHERE stream = 'inspections' AND seq = 7"


@dataclass
class Ends:
    """A station whose line heard everything and whose cloud has everything, until something is planted."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "station.db"

    @property
    def store(self) -> Path:
        return self.folder / "cloud.db"

    @property
    def log(self) -> Path:
        return self.folder / "line.jsonl"

    def make(self) -> "Ends":
        fill(self.database, STATION, PARTS)
        rows = self.rows()
        self.log.write_text("".join(map(told_event, (row for row in rows if row.stream is Stream.INSPECTIONS))))
        self.send(*rows)
        self.at_station("DELETE FROM outbox")
        return self

    def rows(self) -> list[OutboxRow]:
        query = (
            "SELECT stream, seq, payload, epochs.epoch FROM records"
            " JOIN epochs ON epochs.id = records.epoch ORDER BY stream, seq"
        )
        with closing(sqlite3.connect(self.database)) as connection:
            return [OutboxRow(Stream(stream), *rest) for stream, *rest in connection.execute(query)]

    def send(self, *rows: OutboxRow) -> None:
        with StoreWriter(str(self.store)) as writer:
            for row in rows:
                packed = pack_batch(STATION, row.epoch, [row], BEGAN)
                intake = take_in(Message(topics.inspections(STATION), packed, None))
                writer.insert(intake.records, intake.dead, 0)

    def at_station(self, statement: str, *values: object) -> None:
        _execute(self.database, statement, values)

    def in_cloud(self, statement: str, *values: object) -> None:
        _execute(self.store, statement, values)

    def in_log(self, old: str, new: str) -> None:
        text = self.log.read_text()
        assert old in text
        self.log.write_text(text.replace(old, new, 1))

    def unhear(self, part_id: str) -> None:
        lines = self.log.read_text().splitlines(keepends=True)
        self.log.write_text("".join(line for line in lines if part_id not in line))

    def check(self, *, prunes: bool = False) -> Report:
        return check(STATION, self.database, str(self.store), self.log, prunes=prunes)

    def entomb(self, *, records: int = 1, passes: int = 1) -> None:
        """Part 7 given up unsent, as a full disk makes it; the tombstone counts what it is told to."""
        epoch = self.rows()[0].epoch
        tombstone = LossRecord(
            station=STATION,
            epoch=epoch,
            seq=1,
            stream="inspections",
            of_epoch=epoch,
            ranges=[(7, 7)],
            records=records,
            verdicts={"PASS": passes},
            why="the disk was full",
            at=BEGAN,
        )
        self.in_cloud("DELETE FROM records PART_7")
        self.at_station("DELETE FROM records PART_7")
        self.send(OutboxRow(Stream.LOSSES, 1, canonical_json(tombstone), epoch))
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            insert_record(connection, Stream.LOSSES, tombstone, 1)
        self.at_station("DELETE FROM outbox")


def told_event(row: OutboxRow) -> str:
    record = json.loads(row.payload)
    event = {
        "event": "told",
        "part_id": record["part_id"],
        "verdict": record["verdict"],
        "reasons": record["reasons"],
        "inspection_id": inspection_id(STATION, row.epoch, row.seq),
        "record_sha256": digest_of(row.payload),
        "latency_ms": 12.5,
    }
    return json.dumps(event) + "\n"


def _execute(database: Path, statement: str, values: tuple[object, ...]) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.create_function("digest", 1, digest_of)
        statement = statement.replace("PART_7", PART_7)
        connection.executescript(statement) if ";" in statement else connection.execute(statement, values)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Ends(tmp_path_factory.mktemp("whole")).make().folder


@pytest.fixture
def ends(whole: Path, tmp_path: Path) -> Ends:
    return Ends(shutil.copytree(whole, tmp_path / "ends"))


def told_twice(ends: Ends) -> None:
    ends.log.write_text(ends.log.read_text() + ends.log.read_text().splitlines()[6] + "\n")


def told_of_nothing(ends: Ends) -> None:
    ends.at_station("DELETE FROM records PART_7")
    ends.in_cloud("DELETE FROM records PART_7")


def lost_without_word_to_the_line(ends: Ends) -> None:
    told_of_nothing(ends)
    ends.unhear("cell-00000007")


def pass_without_record(ends: Ends) -> None:
    line = json.loads(ends.log.read_text().splitlines()[6])
    ends.in_log(f'"{line["inspection_id"]}"', "null")


def other_verdict_told(ends: Ends) -> None:
    ends.in_log('"cell-00000007", "verdict": "PASS"', '"cell-00000007", "verdict": "REJECT"')


def other_content_told(ends: Ends) -> None:
    digest = json.loads(ends.log.read_text().splitlines()[6])["record_sha256"]
    ends.in_log(digest, "0" * 64)


def outcome_of_another_verdict(ends: Ends) -> None:
    for execute in (ends.at_station, ends.in_cloud):
        execute(
            "UPDATE records SET payload = CAST(replace(CAST(payload AS TEXT), '\"PASS\"', '\"REJECT\"') AS BLOB)"
            " WHERE stream = 'outcomes' AND seq = 7"
        )
        execute("UPDATE records SET sha256 = digest(payload) WHERE stream = 'outcomes' AND seq = 7")


def outcome_of_a_part_that_heard_nothing(ends: Ends) -> None:
    ends.unhear("cell-00000007")


def never_sent(ends: Ends) -> None:
    ends.in_cloud("DELETE FROM records PART_7")


def still_waiting(ends: Ends) -> None:
    never_sent(ends)
    ends.at_station("INSERT INTO outbox VALUES ('inspections', 7, 1)")


def flipped_in_cloud(ends: Ends) -> None:
    ends.in_cloud("UPDATE records SET payload = CAST(replace(CAST(payload AS TEXT), '9', '8') AS BLOB) PART_7")


def changed_in_cloud_hash_and_all(ends: Ends) -> None:
    flipped_in_cloud(ends)
    ends.in_cloud("UPDATE records SET sha256 = digest(payload) PART_7")


def doubled(ends: Ends) -> None:
    ends.in_cloud(
        "ALTER TABLE records RENAME TO held; CREATE TABLE records AS SELECT * FROM held;"
        "INSERT INTO records SELECT * FROM held PART_7;"
    )


def doubled_under_another_number(ends: Ends) -> None:
    ends.in_cloud("CREATE TEMP TABLE copy AS SELECT * FROM records PART_7; UPDATE copy SET seq = 31;"
                  "INSERT INTO records SELECT * FROM copy;")  # fmt: skip


def of_an_unknown_epoch(ends: Ends) -> None:
    ends.at_station("UPDATE epochs SET epoch = '0123456789abcdef0123456789abcdef'")


def tombstone_of_too_many(ends: Ends) -> None:
    ends.entomb(records=2)


def tombstone_of_too_many_verdicts(ends: Ends) -> None:
    ends.entomb(passes=3)


PLANTED: list[tuple[Callable[[Ends], None], set[Kind]]] = [
    (told_twice, {Kind.TOLD_TWICE}),
    (told_of_nothing, {Kind.TOLD_LOST, Kind.HOLE}),
    (lost_without_word_to_the_line, {Kind.HOLE, Kind.TOLD_UNHEARD}),
    (pass_without_record, {Kind.TOLD_UNRECORDED}),
    (other_verdict_told, {Kind.TOLD_OTHER_VERDICT}),
    (other_content_told, {Kind.TOLD_OTHER_CONTENT}),
    (outcome_of_another_verdict, {Kind.TOLD_OTHER_VERDICT}),
    (outcome_of_a_part_that_heard_nothing, {Kind.TOLD_UNHEARD}),
    (never_sent, {Kind.LOST}),
    (still_waiting, {Kind.WAITING}),
    (flipped_in_cloud, {Kind.DAMAGED, Kind.OTHER_CONTENT}),
    (changed_in_cloud_hash_and_all, {Kind.OTHER_CONTENT}),
    (doubled, {Kind.TWICE}),
    (doubled_under_another_number, {Kind.FOREIGN, Kind.MISFILED}),
    (of_an_unknown_epoch, {Kind.FOREIGN, Kind.LOST, Kind.MISFILED}),
    (tombstone_of_too_many, {Kind.TOMBSTONE}),
    (tombstone_of_too_many_verdicts, {Kind.TOMBSTONE}),
]


def test_what_is_whole_is_found_whole(ends: Ends) -> None:
    report = ends.check()
    assert report.clean, report
    assert report.tally["equal"] == 2 * PARTS
    assert report.tally["told"] == PARTS


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [pytest.param(plant, kinds, id=plant.__name__) for plant, kinds in PLANTED],
)
def test_what_is_planted_is_found(ends: Ends, plant: Callable[[Ends], None], kinds: set[Kind]) -> None:
    plant(ends)
    assert set(ends.check().wrong) == kinds


def test_a_right_tombstone_excuses_what_it_names(ends: Ends) -> None:
    ends.entomb()
    report = ends.check()
    assert report.clean, report


def test_what_the_station_pruned_is_in_the_cloud(ends: Ends) -> None:
    ends.at_station("DELETE FROM records PART_7")
    assert set(ends.check().wrong) == {Kind.FOREIGN}
    report = ends.check(prunes=True)
    assert report.clean, report
    assert report.tally["pruned"] == 1


def test_quarantine_and_dead_letters_excuse_what_they_hold(ends: Ends) -> None:
    by_seq = {row.seq: row for row in ends.rows() if row.stream is Stream.INSPECTIONS}
    changed_in_cloud_hash_and_all(ends)
    ends.send(by_seq[7])
    ends.in_cloud("DELETE FROM records WHERE stream = 'inspections' AND seq IN (8, 9)")
    with StoreWriter(str(ends.store)) as writer:
        writer.insert([], [DeadLetter("a/topic", by_seq[8].payload, "for the test", STATION)], 0)
    ends.at_station("INSERT INTO dead_letters VALUES ('inspections', 9, 1, 'too large', '2026-03-01')")
    report = ends.check()
    assert report.clean, report
    excused = ("quarantined", "dead letters of the cloud", "dead letters of the station")
    assert [report.tally[name] for name in excused] == [1, 1, 1]
