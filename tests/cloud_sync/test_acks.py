from outboxes import EPOCH, STATION

from cloud_sync.hub.acks import PendingAcks
from cloud_sync.hub.store.writing import Key
from cloud_sync.wire.envelopes import Ack, to_ranges
from cloud_sync.wire.outbox import Stream


def keys(*seqs: int, station: str = STATION, stream: Stream = Stream.INSPECTIONS) -> list[Key]:
    return [Key(station, EPOCH, stream, seq) for seq in seqs]


def drain(acks: PendingAcks) -> list[tuple[str, Ack]]:
    sent = []
    while (waiting := acks.first()) is not None:
        acks.sent(*waiting)
        sent.append(waiting)
    return sent


def test_what_waits_is_merged_per_station_and_stream() -> None:
    acks = PendingAcks()
    acks.add(keys(1, 2), [])
    acks.add(keys(1, station="press-4"), [])
    acks.add(keys(3), [])
    acks.add(keys(3, stream=Stream.OUTCOMES), [])

    assert drain(acks) == [
        (STATION, Ack(Stream.INSPECTIONS, EPOCH, to_ranges([1, 2, 3]))),
        ("press-4", Ack(Stream.INSPECTIONS, EPOCH, to_ranges([1]))),
        (STATION, Ack(Stream.OUTCOMES, EPOCH, to_ranges([3]))),
    ]


def test_what_could_not_be_sent_waits_on() -> None:
    acks = PendingAcks()
    acks.add(keys(1), [])

    assert acks.first() == acks.first()
    assert len(drain(acks)) == 1


def test_what_comes_while_one_is_on_its_way_is_not_lost() -> None:
    acks = PendingAcks()
    acks.add(keys(1), [])
    waiting = acks.first()
    assert waiting is not None
    acks.add(keys(2), keys(2))
    acks.sent(*waiting)

    assert drain(acks) == [(STATION, Ack(Stream.INSPECTIONS, EPOCH, to_ranges([2]), to_ranges([2])))]


def test_a_long_one_is_cut_into_messages() -> None:
    acks = PendingAcks()
    acks.add(keys(*range(1, 10_001, 2)), [])

    sent = drain(acks)

    assert [len(ack.ranges) for _, ack in sent] == [2000, 2000, 1000]


def test_a_station_that_never_hears_costs_bounded_memory() -> None:
    acks = PendingAcks(capacity=10)
    acks.add(keys(*range(1, 100)), [])
    acks.add(keys(*range(1, 100)), [])
    assert drain(acks) == [(STATION, Ack(Stream.INSPECTIONS, EPOCH, to_ranges(range(1, 11))))]

    acks.add(keys(50), [])
    assert len(drain(acks)) == 1
