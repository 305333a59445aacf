import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from brokers import eventually
from clouds import CloudThread
from outboxes import AT, EPOCH, STATION, feedback, inspection, loss
from senders import Sender, sender
from stores import ask

from cloud_sync.hub.collecting import desks
from cloud_sync.hub.collector import Collector
from cloud_sync.hub.station_desks import Said, is_restored
from cloud_sync.hub.store.fleet import StationView
from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.messages import CommandMessage, HealthMessage, StateMessage
from cloud_sync.wire.outbox import OutboxRow

OFFLINE = b'{"state": "offline"}'
DOWN = (topics.command(STATION), topics.ack(STATION))
NEW_EPOCH = CommandMessage(command="new-epoch", epoch=EPOCH).pack()


@contextlib.contextmanager
def collecting(place: str, broker: MemoryBroker | None = None) -> Iterator[tuple[Collector, Sender]]:
    broker = broker or MemoryBroker()
    link = MemoryLink(broker, "collector", ("inspectd/v1/+/up/#",))
    with CloudThread(place, link, desks=desks()) as collector, sender(broker, DOWN) as sending:
        eventually(lambda: collector.connected)
        yield collector, sending


def online(next_seq: int, at: datetime = AT, epoch: str = EPOCH) -> bytes:
    return StateMessage(state="online", epoch=epoch, next_seq=next_seq, version="0.2.0", at=at).pack()


def health(**members: object) -> bytes:
    zero = dict.fromkeys(("dead_letters", "losses", "uploads", "spool_bytes", "disk_free_bytes"), 0)
    content = {"at": AT, "epoch": EPOCH, "ready": True, "faults": {}, "alarms": {}, "outbox": {}} | zero | members
    return HealthMessage.model_validate(content).pack()


def send(collector: Collector, sending: Sender, topic: str, *payloads: bytes) -> None:
    """Send them, and wait until they are committed."""
    expected = collector.counts.received + len(payloads)
    for payload in payloads:
        sending.send(topic, payload)
    eventually(lambda: collector.counts.received == expected)


def batch(*rows: OutboxRow) -> bytes:
    return pack_batch(STATION, EPOCH, rows, AT)


def view(place: str) -> StationView:
    with StoreReader(place) as reader:
        return reader.fleet()[0]


def commands(sending: Sender) -> list[bytes]:
    return [came.payload for came in sending.heard if came.topic == topics.command(STATION)]


def test_a_station_is_online_until_its_last_will_comes(place: str) -> None:
    with collecting(place) as (collector, sending):
        send(collector, sending, topics.state(STATION), online(1))
        first = view(place)
        send(collector, sending, topics.state(STATION), online(1, AT + timedelta(seconds=9)))
        again = view(place)
        send(collector, sending, topics.state(STATION), OFFLINE)
    last = view(place)

    assert (first.state, first.epoch, first.version) == ("online", EPOCH, "0.2.0")
    assert again.since_ms == first.since_ms
    assert (last.state, last.epoch, last.version) == ("offline", EPOCH, "0.2.0")
    assert last.since_ms is not None
    assert last.since_ms >= last.last_seen_at_ms - 5000


def test_the_last_word_on_health_stands_also_when_it_is_older(place: str) -> None:
    with collecting(place) as (collector, sending):
        send(collector, sending, topics.health(STATION), health(outbox={"images": 3}))
        yesterday = health(at=AT - timedelta(days=1), outbox={"inspections": 7}, alarms={"disk": "full"})
        send(collector, sending, topics.health(STATION), yesterday)

    found = view(place)
    assert found.waiting == 7
    assert found.health is not None
    assert found.health.alarms == {"disk": "full"}


MALFORMED = [
    pytest.param(topics.state(STATION), b"online", id="state no JSON"),
    pytest.param(topics.state(STATION), b'{"state": "asleep"}', id="state unknown"),
    pytest.param(topics.state(STATION), online(1).replace(b'"next_seq":1', b'"next_seq":-1'), id="state below one"),
    pytest.param(topics.health(STATION), b"{}", id="health empty"),
    pytest.param(topics.health(STATION), b"[" * 5000, id="health too deep"),
]


@pytest.mark.parametrize(("topic", "payload"), MALFORMED)
def test_a_malformed_word_is_a_dead_letter_and_the_last_one_stands(place: str, topic: str, payload: bytes) -> None:
    with collecting(place) as (collector, sending):
        send(collector, sending, topics.state(STATION), online(1))
        send(collector, sending, topics.health(STATION), health())
        send(collector, sending, topic, payload)
        assert collector.counts.dead_letters == 1

    found = view(place)
    assert (found.state, found.epoch, found.dead_letters) == ("online", EPOCH, 1)
    assert found.health is not None


def test_a_station_that_counts_below_what_is_held_is_told_before_it_reuses_anything(place: str) -> None:
    with collecting(place) as (collector, sending):
        send(collector, sending, topics.state(STATION), online(1))
        send(collector, sending, topics.inspections(STATION), batch(*map(inspection, range(1, 11))))
        send(collector, sending, topics.state(STATION), online(6, AT + timedelta(hours=1)))
        eventually(lambda: commands(sending))

    assert commands(sending) == [NEW_EPOCH]
    assert view(place).resets == 1


def test_a_state_heard_again_after_what_was_recorded_since_is_no_restored_database(place: str) -> None:
    broker = MemoryBroker()
    with collecting(place, broker) as (collector, sending):
        sending.send(topics.state(STATION), online(1), retain=True)
        eventually(lambda: collector.counts.received == 1)
        send(collector, sending, topics.inspections(STATION), batch(*map(inspection, range(1, 11))))
    with collecting(place, broker) as (collector, sending):
        eventually(lambda: collector.counts.received == 1)
        send(collector, sending, topics.state(STATION), online(11, AT + timedelta(hours=1)))

    assert commands(sending) == []
    assert view(place).resets == 0


RESTORED = [
    pytest.param(Said(EPOCH, 11, "b"), 10, False, id="goes on"),
    pytest.param(Said(EPOCH, 10, "b"), 10, True, id="one behind"),
    pytest.param(Said(EPOCH, 1, "b"), 0, False, id="nothing held"),
    pytest.param(Said(EPOCH, None, "b"), 10, False, id="does not say"),
    pytest.param(Said(EPOCH, 5, "a"), 10, False, id="said before"),
    pytest.param(Said("f" * 32, 5, "a"), 10, True, id="back in an earlier epoch"),
]


@pytest.mark.parametrize(("now", "highest_seq", "restored"), RESTORED)
def test_whether_a_database_was_restored(now: Said, highest_seq: int, *, restored: bool) -> None:
    assert is_restored(now, Said(EPOCH, 5, "a"), highest_seq) == restored


def test_a_reused_identity_is_quarantined_and_its_station_told_to_begin_a_new_epoch(place: str) -> None:
    with collecting(place) as (collector, sending):
        send(collector, sending, topics.inspections(STATION), batch(inspection(1)))
        send(collector, sending, topics.inspections(STATION), batch(inspection(1, part_id="another part")))
        eventually(lambda: commands(sending))

    assert commands(sending) == [NEW_EPOCH]
    assert (view(place).quarantined, view(place).resets) == (1, 1)


def test_feedback_and_losses_are_records_like_all(place: str) -> None:
    with collecting(place) as (collector, sending):
        send(collector, sending, topics.feedback(STATION), batch(feedback(1)), batch(feedback(1), feedback(2)))
        send(collector, sending, topics.inspections(STATION), batch(loss(1, 40)), batch(loss(1, 40)), batch(loss(2, 2)))
        send(collector, sending, topics.feedback(STATION), batch(inspection(1)))

    found = view(place)
    assert (found.records, found.lost, found.dead_letters) == (4, 42, 1)
    assert ask(place, "SELECT stream, seq FROM records") == [
        ("feedback", 1),
        ("feedback", 2),
        ("losses", 1),
        ("losses", 2),
    ]


def test_times_are_those_of_the_collector_not_of_a_station_whose_clock_is_off(place: str) -> None:
    with collecting(place) as (collector, sending):
        send(collector, sending, topics.state(STATION), online(1, datetime(1970, 1, 2, tzinfo=UTC)))

    since_ms = view(place).since_ms
    assert since_ms is not None
    assert since_ms > 1_700_000_000_000
