"""What the uplink may rely on: the station's outbox on a real database with a running writer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_kit import Collected, inspection

from cloud_sync.wire.outbox import Outbox, SeqRange, Stream
from edge.domain.errors import StorageError
from edge.record.outbox import SqliteOutbox
from edge.record.recorder import Recorder

ROWS = 10


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    committed = Collected()
    recorder = Recorder(
        "test-1",
        tmp_path / "station.db",
        keeps_image=lambda _inspection: False,
        on_committed=committed,
        on_unrecorded=lambda _inspection: None,
        on_storage=lambda _works, _why: None,
    )
    recorder.start()
    for _ in range(ROWS):
        recorder.record(inspection())
    committed.wait_for(ROWS)
    made = SqliteOutbox(recorder)
    yield made
    made.close()
    recorder.stop(10)


def epoch(outbox: Outbox) -> str:
    return outbox.after(Stream.INSPECTIONS, 0, 1)[0].epoch if seqs(outbox) else "0" * 32


def depth(outbox: Outbox) -> int:
    return sum(outbox.depths().values())


def seqs(outbox: Outbox, after: int = 0, limit: int = 100) -> list[int]:
    return [row.seq for row in outbox.after(Stream.INSPECTIONS, after, limit)]


def test_rows_come_in_order_above_a_number_and_no_more_than_asked(outbox: Outbox) -> None:
    assert seqs(outbox) == list(range(1, ROWS + 1))
    assert seqs(outbox, after=4, limit=3) == [5, 6, 7]
    assert outbox.after(Stream.OUTCOMES, 0, 100) == []


@pytest.mark.parametrize(
    ("ranges", "left"),
    [
        pytest.param([SeqRange(1, 10)], [], id="all"),
        pytest.param([SeqRange(3, 3), SeqRange(7, 9)], [1, 2, 4, 5, 6, 10], id="exactly the ranges"),
        pytest.param([SeqRange(8, 10_000)], [1, 2, 3, 4, 5, 6, 7], id="beyond the end"),
        pytest.param([], list(range(1, 11)), id="nothing"),
    ],
)
def test_exactly_what_is_acknowledged_is_gone_when_the_call_returns(
    outbox: Outbox, ranges: list[SeqRange], left: list[int]
) -> None:
    outbox.acknowledge(Stream.INSPECTIONS, epoch(outbox), ranges)
    assert seqs(outbox) == left
    assert depth(outbox) == len(left)
    outbox.acknowledge(Stream.INSPECTIONS, epoch(outbox), ranges)
    assert depth(outbox) == len(left)


def test_another_epoch_or_stream_deletes_nothing(outbox: Outbox) -> None:
    outbox.acknowledge(Stream.INSPECTIONS, "f" * 32, [SeqRange(1, 10)])
    outbox.acknowledge(Stream.IMAGES, epoch(outbox), [SeqRange(1, 10)])
    assert depth(outbox) == ROWS


def test_a_payload_never_changes(outbox: Outbox) -> None:
    first = outbox.after(Stream.INSPECTIONS, 0, 100)
    assert [row.payload for row in outbox.after(Stream.INSPECTIONS, 0, 100)] == [row.payload for row in first]
    assert len(epoch(outbox)) == 32


def test_an_acknowledgement_that_is_not_on_disk_raises(outbox: Outbox) -> None:
    assert isinstance(outbox, SqliteOutbox)
    with pytest.raises(StorageError):
        outbox._recorder.write_and_wait(lambda connection: connection.execute("SELECT 1 / 0 FROM nothing").fetchone())  # noqa: SLF001
    assert depth(outbox) == ROWS
