"""Epochs and dead letters: what was made in an epoch keeps it, and what cannot be sent is not lost."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from edge_kit import Collected, inspection, part
from edge_rows import rows
from refusing_kit import refusing_disk

from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream
from edge.domain.errors import StorageError
from edge.domain.inspection import Outcome, OutcomeOf
from edge.domain.part import Verdict
from edge.record.database import current_epoch, open_reader
from edge.record.outbox import SqliteOutbox
from edge.record.recorder import Recorder


class Made:
    """A recorder that runs, its outbox, and what was committed."""

    def __init__(self, path: Path) -> None:
        self.committed = Collected()
        self.recorder = Recorder(
            "test-1",
            path,
            keeps_image=lambda _inspection: True,
            on_committed=self.committed,
            on_unrecorded=lambda _inspection: None,
            on_storage=lambda _works, _why: None,
        )
        self.outbox = SqliteOutbox(self.recorder)
        self.path = path

    def inspect(self, count: int) -> None:
        before = len(self.committed.items)
        for number in range(before, before + count):
            self.recorder.record(inspection(of=part(f"p-{number}")))
        self.committed.wait_for(before + count)

    def epoch(self) -> str:
        with closing(open_reader(self.path)) as reader:
            return current_epoch(reader)[1]

    def waiting(self, stream: Stream = Stream.INSPECTIONS) -> list[OutboxRow]:
        return list(self.outbox.after(stream, 0, 10_000))

    def dead(self) -> list[tuple[object, ...]]:
        return rows(self.path, "SELECT stream, seq, reason FROM dead_letters ORDER BY stream, seq")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    one = Made(tmp_path / "station.db")
    one.recorder.start()
    yield one
    one.outbox.close()
    one.recorder.stop(10)
    assert one.recorder.failure is None


def content(row: OutboxRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.payload)
    return found


def test_what_follows_an_inspection_keeps_its_epoch_though_a_new_one_began_in_between(made: Made) -> None:
    made.inspect(3)
    old = made.epoch()
    made.outbox.renew(old)
    made.inspect(2)
    new = made.epoch()
    assert new != old
    for committed in made.committed.items:
        seq, part_id = committed[0].seq, committed[0].inspection.part.part_id
        made.recorder.record_outcomes([OutcomeOf(seq, part_id, Outcome.TOLD, Verdict.PASS, 1.0)])
        made.recorder.record_images(committed[0], {}, ["top"])
    made.recorder.settle(10)
    for stream in (Stream.INSPECTIONS, Stream.OUTCOMES, Stream.IMAGES):
        found = made.waiting(stream)
        assert [row.epoch for row in found] == [old] * 3 + [new] * 2
        assert [content(row)["epoch"] for row in found] == [row.epoch for row in found]
        assert [row.seq for row in found] == [1, 2, 3, 4, 5]
    assert [committed.inspection_id.split("/")[1] for committed, _ in made.committed.items] == [old] * 3 + [new] * 2


def test_what_a_start_closes_keeps_the_epoch_it_was_opened_in(tmp_path: Path) -> None:
    first = Made(tmp_path / "station.db")
    first.recorder.start()
    first.inspect(1)
    old = first.epoch()
    first.outbox.renew(old)
    first.outbox.close()
    first.recorder.stop(10)
    second = Made(tmp_path / "station.db")
    second.recorder.start()
    second.recorder.settle(10)
    assert [content(row)["epoch"] for row in second.waiting(Stream.OUTCOMES)] == [old]
    second.outbox.close()
    second.recorder.stop(10)


def test_an_epoch_that_is_not_the_current_one_begins_none(made: Made) -> None:
    old = made.epoch()
    made.outbox.renew("f" * 32)
    assert made.epoch() == old
    made.outbox.renew(old)
    new = made.epoch()
    made.outbox.renew(old)
    assert made.epoch() == new


def test_an_acknowledgement_of_an_epoch_takes_no_row_of_another(made: Made) -> None:
    made.inspect(2)
    old = made.epoch()
    made.outbox.renew(old)
    made.inspect(2)
    made.outbox.acknowledge(Stream.INSPECTIONS, old, [SeqRange(1, 100)])
    assert [row.seq for row in made.waiting()] == [3, 4]
    assert made.outbox.depths()[Stream.INSPECTIONS] == 2


def test_new_epochs_while_the_line_runs_leave_every_record_in_one_of_them(made: Made) -> None:
    stop = threading.Event()

    def renew() -> None:
        while not stop.is_set():
            made.outbox.renew(made.epoch())

    renewing = threading.Thread(target=renew)
    renewing.start()
    for _ in range(60):
        made.inspect(5)
    stop.set()
    renewing.join(10)
    reader = SqliteOutbox(made.recorder)
    found = reader.after(Stream.INSPECTIONS, 0, 1000)
    reader.close()
    assert [row.seq for row in found] == list(range(1, 301))
    assert all(content(row)["epoch"] == row.epoch for row in found)
    assert len({row.epoch for row in found}) > 1


def test_dead_letters_leave_the_outbox_and_come_back_whole(made: Made) -> None:
    made.inspect(6)
    before = made.waiting()
    made.outbox.bury(before[1:4], "too large for this broker")
    assert [row.seq for row in made.waiting()] == [1, 5, 6]
    assert made.dead() == [("inspections", seq, "too large for this broker") for seq in (2, 3, 4)]
    assert made.outbox.depths()[Stream.INSPECTIONS] == 3
    assert made.recorder.retry_dead(Stream.OUTCOMES) == 0
    assert made.recorder.retry_dead() == 3
    assert made.recorder.retry_dead() == 0
    assert made.waiting() == before
    assert made.dead() == []
    assert made.outbox.depths()[Stream.INSPECTIONS] == 6


def test_only_the_stream_that_is_asked_for_comes_back(made: Made) -> None:
    made.inspect(1)
    made.recorder.record_outcomes([OutcomeOf(1, "p-0", Outcome.TOLD, Verdict.PASS, 1.0)])
    made.recorder.settle(10)
    made.outbox.bury([*made.waiting(), *made.waiting(Stream.OUTCOMES)], "poison")
    assert made.recorder.retry_dead(Stream.INSPECTIONS) == 1
    assert [row[0] for row in made.dead()] == ["outcomes"]


def test_what_was_acknowledged_meanwhile_is_not_buried_and_what_is_buried_twice_is_there_once(made: Made) -> None:
    made.inspect(3)
    found = made.waiting()
    made.outbox.acknowledge(Stream.INSPECTIONS, found[0].epoch, [SeqRange(1, 1)])
    for reason in ("first", "second"):
        made.outbox.bury(found[:2], reason)
        made.outbox.bury(found[:2], "again")
    assert made.dead() == [("inspections", 2, "first")]
    assert made.recorder.retry_dead() == 1
    assert [row.seq for row in made.waiting()] == [2, 3]


def test_a_dead_letter_that_arrived_after_all_is_none_any_more(made: Made) -> None:
    made.inspect(3)
    found = made.waiting()
    made.outbox.bury(found, "the link broke before its answer came")
    made.outbox.acknowledge(Stream.INSPECTIONS, "f" * 32, [SeqRange(1, 3)])
    assert len(made.dead()) == 3
    made.outbox.acknowledge(Stream.INSPECTIONS, found[0].epoch, [SeqRange(1, 2)])
    assert [row[1] for row in made.dead()] == [3]


def test_dead_letters_of_an_earlier_epoch_come_back_under_it(made: Made) -> None:
    made.inspect(1)
    (row,) = made.waiting()
    made.outbox.bury([row], "poison")
    made.outbox.renew(row.epoch)
    made.recorder.retry_dead()
    assert made.waiting() == [row]


def test_what_the_disk_refuses_has_not_happened_and_can_be_done_again(made: Made) -> None:
    made.inspect(4)
    old, found = made.epoch(), made.waiting()
    with refusing_disk(made.path):
        for act in (
            lambda: made.outbox.bury(found, "poison"),
            lambda: made.outbox.renew(old),
            lambda: made.outbox.acknowledge(Stream.INSPECTIONS, old, [SeqRange(1, 2)]),
        ):
            with pytest.raises(StorageError):
                act()
    assert (made.epoch(), made.waiting(), made.dead()) == (old, found, [])
    assert made.outbox.depths()[Stream.INSPECTIONS] == 4
    made.inspect(1)  # once the disk is back
    made.outbox.bury(found[:1], "poison")
    made.outbox.renew(old)
    assert made.epoch() != old
    assert made.outbox.depths()[Stream.INSPECTIONS] == 4


def test_nothing_is_read_for_the_cloud_while_the_file_system_takes_no_changes(tmp_path: Path) -> None:
    """As where ext4 has given up: the rows can still be read, and may be in memory alone."""
    folder, gone = tmp_path / "data", tmp_path / "gone"
    folder.mkdir()
    made = Made(folder / "station.db")
    made.recorder.start()
    try:
        made.inspect(2)
        assert len(made.waiting()) == 2  # the reader is open from now on
        folder.rename(gone)
        with pytest.raises(StorageError, match="takes no changes"):
            made.waiting()
        gone.rename(folder)
        assert len(made.waiting()) == 2
    finally:
        made.outbox.close()
        made.recorder.stop(10)
