from pathlib import Path

import pytest
from outboxes import EPOCH, STATION, SqliteOutbox

from cloud_sync.station.ledger import Ledger
from cloud_sync.station.sender import Sender
from cloud_sync.station.settling import cut, merged
from cloud_sync.station.window import Window
from cloud_sync.wire.envelopes import Ack, to_ranges
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.outbox import SeqRange, Stream

ONE, OTHER = "0" * 32, "f" * 32


def numbers(ranges: list[SeqRange]) -> list[int]:
    return [seq for item in ranges for seq in range(item.first, item.last + 1)]


def test_acknowledgements_are_merged_by_stream_and_epoch() -> None:
    acks = [
        Ack(Stream.INSPECTIONS, ONE, to_ranges([1, 2])),
        Ack(Stream.OUTCOMES, ONE, to_ranges([1])),
        Ack(Stream.INSPECTIONS, OTHER, to_ranges([9])),
        Ack(Stream.INSPECTIONS, ONE, to_ranges([4])),
    ]
    assert {key: numbers(ranges) for key, ranges in merged(acks).items()} == {
        (Stream.INSPECTIONS, ONE): [1, 2, 4],
        (Stream.OUTCOMES, ONE): [1],
        (Stream.INSPECTIONS, OTHER): [9],
    }


@pytest.mark.parametrize("seqs", [range(1, 26), [1], [1, 3, 5, 7, 9, 11, 13], [*range(1, 8), 20, *range(30, 60)]])
def test_pieces_hold_the_same_numbers_and_no_piece_is_too_large(seqs: list[int]) -> None:
    pieces = [numbers(piece) for piece in cut(to_ranges(seqs), 10)]
    assert [seq for piece in pieces for seq in piece] == list(seqs)
    assert max(map(len, pieces)) <= 10


def test_a_range_of_all_numbers_goes_whole() -> None:
    assert list(cut([SeqRange(1, 2**53 - 1)], 10)) == [[SeqRange(1, 2**53 - 1)]]


def test_many_quarantined_ranges_are_one_line_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.db")
    window = Window(MemoryLink(MemoryBroker(), "station"))
    sender = Sender(STATION, outbox, window, Ledger(), lambda: None)
    odd = to_ranges(range(1, 2000, 2))
    sender.settle([Ack(Stream.INSPECTIONS, EPOCH, odd, odd)])
    outbox.close()
    assert sender.counts.quarantined == 1000
    assert [record.getMessage() for record in caplog.records if "held" in record.getMessage()] == [
        "the collector held 1000 other inspections between seq 1 and 1999"
    ]
