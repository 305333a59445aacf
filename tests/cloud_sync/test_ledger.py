from cloud_sync.station.ledger import Ledger
from cloud_sync.wire.envelopes import to_ranges
from cloud_sync.wire.outbox import SeqRange, Stream

EPOCH = "0" * 32
INSPECTIONS, OUTCOMES = Stream.INSPECTIONS, Stream.OUTCOMES


def test_a_record_is_due_after_30_seconds_then_60_then_120() -> None:
    ledger = Ledger()
    due_at = []
    now_s = 1000.0
    for _ in range(3):
        ledger.mark_sent(INSPECTIONS, EPOCH, [1], now_s)
        sent_s = now_s
        while not ledger.due(INSPECTIONS, now_s):
            now_s += 1
        due_at.append(now_s - sent_s)

    assert due_at == [30, 60, 120]


def test_the_wait_grows_no_further_than_its_limit() -> None:
    ledger = Ledger(resend_after_s=1, resend_most_s=5)
    for _ in range(2000):
        ledger.mark_sent(INSPECTIONS, EPOCH, [1], 0)

    assert ledger.due(INSPECTIONS, 4.9) == []
    assert ledger.due(INSPECTIONS, 5) == [1]


def test_what_is_acknowledged_is_never_due() -> None:
    ledger = Ledger()
    ledger.mark_sent(INSPECTIONS, EPOCH, [1, 2, 3, 4], 0)
    ledger.mark_sent(OUTCOMES, EPOCH, [2], 0)

    assert ledger.settle(INSPECTIONS, EPOCH, to_ranges([2, 3, 99])) == 2

    assert ledger.due(INSPECTIONS, 1000) == [1, 4]
    assert ledger.due(OUTCOMES, 1000) == [2]


def test_a_range_of_all_numbers_settles_all_at_once() -> None:
    ledger = Ledger()
    ledger.mark_sent(INSPECTIONS, EPOCH, range(1, 100), 0)

    assert ledger.settle(INSPECTIONS, EPOCH, [SeqRange(1, 2**53 - 1)]) == 99
    assert len(ledger) == 0


def test_room_shrinks_with_what_is_under_way_over_all_streams() -> None:
    ledger = Ledger(capacity=3)
    ledger.mark_sent(INSPECTIONS, EPOCH, [1, 2], 0)
    assert ledger.room == 1
    ledger.mark_sent(OUTCOMES, EPOCH, [1], 0)
    assert ledger.room == 0
    ledger.mark_sent(OUTCOMES, EPOCH, [1], 5)
    assert ledger.room == 0
    ledger.forget()
    assert ledger.room == 3
    assert not ledger.is_under_way(OUTCOMES, 1)


def test_an_acknowledgement_of_another_epoch_settles_nothing() -> None:
    ledger = Ledger()
    ledger.mark_sent(INSPECTIONS, EPOCH, [1], 0)

    assert ledger.settle(INSPECTIONS, "f" * 32, to_ranges([1])) == 0

    assert ledger.is_under_way(INSPECTIONS, 1)


def test_what_is_held_is_under_way_and_never_due() -> None:
    ledger = Ledger(capacity=2)
    ledger.hold(INSPECTIONS, EPOCH, [1])

    assert ledger.room == 1
    assert ledger.due(INSPECTIONS, 1e12) == []
