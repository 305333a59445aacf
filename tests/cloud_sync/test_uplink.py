"""The station's end and the collector over the link in memory, where every fault can be had for the asking."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudThread, stored
from outboxes import EPOCH, STATION, SqliteOutbox, hashes, images, inspection, outcome

from cloud_sync.station.connection import OFFLINE, subscriptions
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import BATCH_LIMIT_BYTES, Ack, pack_ack, to_ranges, unpack_batch
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import Faults, MemoryBroker
from cloud_sync.wire.messages import StateMessage
from cloud_sync.wire.outbox import OutboxRow, Stream

QUICK = UplinkSettings(resend_after_s=0.05, resend_most_s=0.4, poll_s=0.02)
PATIENT = UplinkSettings(resend_after_s=60.0, poll_s=0.02)
OTHER_EPOCH = "f" * 32


class Watcher:
    """Somebody who hears what a station sends, and never answers."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.messages: list[Message] = []
        self.limits: Limits | None = None
        self.why = ""
        self.link = MemoryLink(broker, "watcher", ("inspectd/v1/#",))
        self.link.start(self)
        eventually(lambda: self.limits)

    def on_connected(self, limits: Limits) -> None:
        self.limits = limits

    def on_disconnected(self, why: str) -> None:
        self.why = why

    def on_message(self, message: Message) -> None:
        self.messages.append(message)
        self.link.acknowledge(message)

    def on_answer(self, refusal: str | None) -> None:
        pass

    def batches(self) -> list[tuple[str, list[int]]]:
        sent = [unpack_batch(message.payload) for message in self.messages if message.topic.endswith("/inspections")]
        return [(batch.stream, [json.loads(payload)["seq"] for payload in batch.payloads]) for batch in sent]

    def states(self) -> list[str]:
        said = [message.payload for message in self.messages if message.topic == topics.state(STATION)]
        return [StateMessage.unpack(payload).state for payload in said]

    def answer(self, ack: bytes) -> None:
        eventually(lambda: self.link.publish(topics.ack(STATION), ack))


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[SqliteOutbox]:
    box = SqliteOutbox(tmp_path / "outbox.db")
    yield box
    box.close()


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher(MemoryBroker())
    yield made
    made.link.stop(3.0)


def station(broker: MemoryBroker) -> MemoryLink:
    will = Message(topics.state(STATION), OFFLINE)
    return MemoryLink(broker, "station", subscriptions(STATION), will=will)


def make_uplink(watcher: Watcher, outbox: SqliteOutbox, settings: UplinkSettings = QUICK) -> Uplink:
    return Uplink(station=STATION, outbox=outbox, link=station(watcher.link._broker), settings=settings)  # noqa: SLF001


@pytest.mark.parametrize("seed", range(6))
def test_loss_repeats_and_disorder_both_ways_lose_nothing_and_double_nothing(
    outbox: SqliteOutbox, tmp_path: Path, seed: int
) -> None:
    broker = MemoryBroker(Faults(lost=0.3, repeated=0.3, late=0.3, seed=seed))
    rows = [*map(inspection, range(1, 201)), *map(outcome, range(1, 201)), *map(images, range(1, 101))]
    collector = MemoryLink(broker, "collector", (topics.ANY_INSPECTIONS,), keep_session=True)
    settings = UplinkSettings(resend_after_s=0.05, resend_most_s=0.4, poll_s=0.02, capacity=60)
    uplink = Uplink(station=STATION, outbox=outbox, link=station(broker), settings=settings)
    with CloudThread(tmp_path / "store.db", collector) as running, uplink:
        for start in range(0, len(rows), 20):
            outbox.add(rows[start : start + 20])
            uplink.notify()
            if start % 100 == 0:
                broker.cut("station" if start % 200 else "collector")
        eventually(lambda: outbox.count() == 0)

    assert stored(tmp_path / "store.db") == hashes(rows)
    assert running.counts.duplicates > 0
    assert running.counts.quarantined == 0


def test_the_brokers_word_deletes_nothing(outbox: SqliteOutbox, watcher: Watcher) -> None:
    outbox.add([inspection(1)])
    with make_uplink(watcher, outbox, PATIENT) as uplink:
        eventually(watcher.batches)
        assert uplink.status().sent == 1
    assert outbox.count() == 1


def test_what_is_not_acknowledged_is_sent_again_on_a_live_link(outbox: SqliteOutbox, watcher: Watcher) -> None:
    outbox.add([inspection(seq) for seq in (1, 2, 3)])
    with make_uplink(watcher, outbox) as uplink:
        eventually(watcher.batches)
        watcher.answer(pack_ack(Ack(Stream.INSPECTIONS, EPOCH, to_ranges([2]))))
        eventually(lambda: ("inspections", [1, 3]) in watcher.batches())
        assert uplink.status().resent > 0
        assert uplink.status().faults == 0
    assert outbox.count() == 2


def test_nothing_is_sent_again_before_its_time(outbox: SqliteOutbox, watcher: Watcher) -> None:
    outbox.add([inspection(1)])
    with make_uplink(watcher, outbox, PATIENT) as uplink:
        eventually(watcher.batches)
        for seq in range(2, 7):
            outbox.add([inspection(seq)])
            uplink.notify()
            eventually(lambda seq=seq: watcher.batches()[-1] == ("inspections", [seq]))
        assert uplink.status().resent == 0
    assert len(watcher.batches()) == 6


def test_after_a_reconnect_all_comes_from_the_disk_again(outbox: SqliteOutbox, watcher: Watcher) -> None:
    outbox.add([inspection(seq) for seq in (1, 2, 3)])
    with make_uplink(watcher, outbox, PATIENT):
        eventually(watcher.batches)
        watcher.link._broker.cut("station")  # noqa: SLF001
        eventually(lambda: len(watcher.batches()) == 2)
    assert watcher.batches() == [("inspections", [1, 2, 3])] * 2


def test_inspections_go_first_then_outcomes_then_images(outbox: SqliteOutbox, watcher: Watcher) -> None:
    outbox.add([images(1), outcome(1), inspection(1)])
    with make_uplink(watcher, outbox, PATIENT):
        eventually(lambda: len(watcher.batches()) == 3)
    assert [stream for stream, _ in watcher.batches()] == ["inspections", "outcomes", "images"]


def test_a_row_that_comes_in_below_what_was_sent_is_sent(outbox: SqliteOutbox, watcher: Watcher) -> None:
    outbox.add([images(5)])
    with make_uplink(watcher, outbox, PATIENT):
        eventually(watcher.batches)
        outbox.add([images(3)])
        eventually(lambda: len(watcher.batches()) == 2)
    assert watcher.batches() == [("images", [5]), ("images", [3])]


def test_a_backlog_larger_than_the_ledger_is_sent_in_order_as_it_is_acknowledged(
    outbox: SqliteOutbox, watcher: Watcher
) -> None:
    outbox.add([inspection(seq) for seq in range(1, 26)])
    with make_uplink(watcher, outbox, UplinkSettings(resend_after_s=60.0, poll_s=0.02, capacity=10)):
        for first in (1, 11, 21):
            last = min(first + 9, 25)
            eventually(lambda last=last: [seq for _, seqs in watcher.batches() for seq in seqs][-1:] == [last])
            watcher.answer(pack_ack(Ack(Stream.INSPECTIONS, EPOCH, to_ranges(range(first, last + 1)))))
        eventually(lambda: outbox.count() == 0)
    assert [seq for _, seqs in watcher.batches() for seq in seqs] == list(range(1, 26))


def test_a_record_too_large_to_send_holds_up_no_other(outbox: SqliteOutbox, watcher: Watcher) -> None:
    huge = OutboxRow(Stream.INSPECTIONS, 2, b'"' + b"x" * BATCH_LIMIT_BYTES + b'"', EPOCH)
    outbox.add([inspection(1), huge, inspection(3)])
    with make_uplink(watcher, outbox, PATIENT) as uplink:
        eventually(lambda: len(watcher.batches()) == 2)
        eventually(lambda: uplink.status().buried == 1)
    assert watcher.batches() == [("inspections", [1]), ("inspections", [3])]
    assert "holds at most 65536 bytes" in outbox.buried()["inspections", 2]
    assert outbox.depths()[Stream.INSPECTIONS] == 2


BAD_ACKS = [
    pytest.param(pack_ack(Ack(Stream.INSPECTIONS, OTHER_EPOCH, to_ranges([1, 2]))), id="of another database"),
    pytest.param(pack_ack(Ack(Stream.OUTCOMES, EPOCH, to_ranges([1, 2]))), id="of another stream"),
    pytest.param(pack_ack(Ack(Stream.INSPECTIONS, EPOCH, to_ranges([7]))), id="of records that are not there"),
    pytest.param(b"", id="empty"),
    pytest.param(b"\xff", id="noise"),
    pytest.param(b'{"stream":"inspections","ranges":[[1,2]]}', id="without an epoch"),
    pytest.param(b'{"stream":"inspections","epoch":"%s","ranges":[[2,1]]}' % EPOCH.encode(), id="downwards"),
]


@pytest.mark.parametrize("ack", BAD_ACKS)
def test_an_acknowledgement_that_is_not_ours_deletes_nothing(
    outbox: SqliteOutbox, watcher: Watcher, ack: bytes
) -> None:
    outbox.add([inspection(1), inspection(2), inspection(3)])
    with make_uplink(watcher, outbox, PATIENT):
        eventually(watcher.batches)
        watcher.answer(ack)
        watcher.answer(pack_ack(Ack(Stream.INSPECTIONS, EPOCH, to_ranges([3]))))
        eventually(lambda: outbox.count() == 2)

    assert [row.seq for row in outbox.after(Stream.INSPECTIONS, 0, 9)] == [1, 2]


def test_an_outbox_that_fails_is_reported_and_tried_again(outbox: SqliteOutbox, watcher: Watcher) -> None:
    heard: list[Exception] = []
    link = station(watcher.link._broker)  # noqa: SLF001
    with Uplink(station=STATION, outbox=outbox, link=link, settings=QUICK, on_failure=heard.append) as uplink:
        outbox.add([inspection(1)])
        eventually(watcher.batches)
        outbox.refuse = True
        watcher.answer(pack_ack(Ack(Stream.INSPECTIONS, EPOCH, to_ranges([1]))))
        eventually(lambda: heard)
        assert "the test's disk refuses" in uplink.status().last_error
        assert outbox.count() == 1

        outbox.refuse = False

        eventually(lambda: outbox.count() == 0)
        uplink.raise_if_failed()
        assert uplink.status().faults >= 1
        assert uplink.status().last_ack_at is not None


def test_a_thread_that_dies_is_not_dead_in_silence(watcher: Watcher) -> None:
    class Exits(SqliteOutbox):
        def depths(self) -> Mapping[Stream, int]:
            raise SystemExit("the test's end of the world")

    fatal = Exits(Path(":memory:"))
    with make_uplink(watcher, fatal) as uplink:

        def has_failed() -> bool:
            try:
                uplink.raise_if_failed()
            except LinkError as error:
                return "the test's end of the world" in str(error)
            return False

        eventually(has_failed)
    fatal.close()


def test_the_state_says_online_then_offline(outbox: SqliteOutbox, watcher: Watcher) -> None:
    with make_uplink(watcher, outbox):
        eventually(lambda: watcher.states() == ["online"])
    eventually(lambda: watcher.states() == ["online", "offline"])


def test_a_connection_that_breaks_leaves_the_state_offline_until_it_is_back(
    outbox: SqliteOutbox, watcher: Watcher
) -> None:
    with make_uplink(watcher, outbox):
        eventually(lambda: watcher.states() == ["online"])
        watcher.link._broker.cut("station")  # noqa: SLF001
        eventually(lambda: watcher.states() == ["online", "offline", "online"])


def test_without_a_broker_it_waits_and_stops_at_once(outbox: SqliteOutbox) -> None:
    broker = MemoryBroker()
    broker.close()
    uplink = Uplink(station=STATION, outbox=outbox, link=station(broker), settings=QUICK)
    outbox.add([inspection(1)])

    uplink.start()
    eventually(lambda: uplink.status().depth == 1)

    assert not uplink.status().connected
    assert uplink.stop(1.0)
    assert outbox.count() == 1


def test_a_bad_station_id_is_refused_at_once(outbox: SqliteOutbox) -> None:
    with pytest.raises(LinkError, match="station id"):
        Uplink(station="Press 3", outbox=outbox, link=station(MemoryBroker()))


def test_while_the_store_is_locked_nothing_is_acknowledged(outbox: SqliteOutbox, tmp_path: Path) -> None:
    place = tmp_path / "store.db"
    broker = MemoryBroker()
    rows = [inspection(seq) for seq in range(1, 11)]
    link = MemoryLink(broker, "collector", (topics.ANY_INSPECTIONS,), keep_session=True)
    uplink = Uplink(station=STATION, outbox=outbox, link=station(broker), settings=QUICK)
    with CloudThread(place, link, busy_timeout_s=0.05) as collector, uplink:
        blocker = sqlite3.connect(place, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        outbox.add(rows)
        uplink.notify()
        eventually(lambda: collector.counts.store_faults >= 2)
        assert outbox.count() == 10
        assert collector.counts.received == 0
        blocker.execute("ROLLBACK")
        blocker.close()

        eventually(lambda: outbox.count() == 0)

    assert stored(place) == hashes(rows)
