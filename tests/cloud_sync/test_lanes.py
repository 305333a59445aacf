"""Which goes first, and what a full or narrow way does to it: state, verdicts, feedback, then who rides along."""

import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from answering_link import AnsweringLink
from brokers import eventually
from outboxes import EPOCH, STATION, SqliteOutbox, images, inspection, outcome
from uplink_kit import QUICK, BreakingLink, Collector, collector_at, outbox, uplink_to  # noqa: F401 - a fixture

from cloud_sync.station.passenger import Publish
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from cloud_sync.wire.envelopes import Ack, pack_ack, to_ranges
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.messages import CommandMessage, HealthMessage, StateMessage
from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream

mosquitto_only = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")
WIDE = Limits(256 * 1024, 20)
NARROW = Limits(256 * 1024, 1)


class Rider:
    """A passenger that sends one message for each piece of work, and can be made to fail."""

    def __init__(self, subject: str = "want") -> None:
        self.subject = subject
        self.fails: Exception | None = None
        self.tries = 0
        self.heard: list[bytes] = []
        self.limits: list[Limits] = []
        self.waiting = 0

    def begin(self, limits: Limits) -> None:
        self.limits.append(limits)

    def hear(self, subject: str, payload: bytes) -> bool:
        if subject != "job":
            return False
        if payload == b"broken":
            raise LinkError("the test cannot read it")
        self.heard.append(payload)
        return True

    def work(self, _now_s: float, publish: Publish) -> None:
        self.tries += 1
        if self.fails is not None:
            raise self.fails
        while self.waiting and publish(f"inspectd/v1/{STATION}/up/{self.subject}", b"{}"):
            self.waiting -= 1


def feedback(seq: int) -> OutboxRow:
    return OutboxRow(Stream.FEEDBACK, seq, json.dumps({"seq": seq}, separators=(",", ":")).encode(), EPOCH)


def health(faults: dict[str, str] | None = None) -> HealthMessage:
    return HealthMessage(
        at=datetime.now(UTC),
        epoch=EPOCH,
        ready=not faults,
        faults=faults or {},
        alarms={},
        outbox={},
        dead_letters=0,
        losses=0,
        uploads=0,
        spool_bytes=0,
        disk_free_bytes=0,
    )


def make(
    broker: MemoryBroker,
    outbox: SqliteOutbox,  # noqa: F811
    *riders: Rider,
    said: Callable[[], HealthMessage] | None = None,
    heard: list[Exception] | None = None,
) -> Uplink:
    on_failure = None if heard is None else heard.append
    link = BreakingLink(broker)
    return Uplink(
        station=STATION,
        outbox=outbox,
        link=link,
        settings=QUICK,
        passengers=riders,
        state=lambda: StateMessage(state="online", epoch=EPOCH, next_seq=7, version="1.2", at=datetime.now(UTC)),
        health=said,
        on_failure=on_failure,
    )


@pytest.mark.parametrize("limits", [WIDE, NARROW], ids=["20 places", "1 place"])
def test_state_goes_first_then_verdicts_then_feedback_then_files(outbox: SqliteOutbox, limits: Limits) -> None:  # noqa: F811
    broker, rider = MemoryBroker(limits=limits), Rider()
    rider.waiting = 2
    outbox.add([feedback(1), images(1), outcome(1), inspection(1)])
    with collector_at(broker) as collector:
        collector.answers = False
        with make(broker, outbox, rider, said=health):
            eventually(lambda: rider.waiting == 0 and len(collector.topics) >= 8)
        first = collector.topics[:8]
        assert first[0] == "state"
        assert first.index("feedback") > max(i for i, name in enumerate(first[:5]) if name == "inspections")
        assert [stream for stream, _ in collector.records[:4]] == ["inspections", "outcomes", "images", "feedback"]
        assert first.index("want") > first.index("feedback")


def test_the_state_says_epoch_next_number_and_version_at_each_connection(outbox: SqliteOutbox) -> None:  # noqa: F811
    broker = MemoryBroker()
    with collector_at(broker) as collector, make(broker, outbox):
        for count in (1, 2):
            eventually(lambda count=count: len(online(collector)) == count)
            broker.cut("station")
        eventually(lambda: len(online(collector)) == 3)
    assert {(said.epoch, said.next_seq, said.version) for said in online(collector)} == {(EPOCH, 7, "1.2")}


def test_a_full_window_keeps_a_place_for_the_state(outbox: SqliteOutbox) -> None:  # noqa: F811
    class Silent(BreakingLink):
        """Answers nothing once records came."""

        def _answered(self, connection: object, listener: object) -> None:
            if not stuck.is_set():
                super()._answered(connection, listener)  # type: ignore[arg-type]

    stuck, broker = threading.Event(), MemoryBroker(limits=Limits(256 * 1024, 3))
    link = Silent(broker)
    uplink = Uplink(station=STATION, outbox=outbox, link=link, settings=QUICK)
    with collector_at(broker) as collector, uplink:
        eventually(lambda: online(collector))
        eventually(lambda: link._connection.in_flight == 0)  # noqa: SLF001
        stuck.set()
        outbox.add([inspection(1)])
        eventually(lambda: len(collector.records) == 1)
        outbox.add([outcome(1), images(1)])
        eventually(lambda: len(collector.records) >= 2)
        command(collector, EPOCH)

        eventually(lambda: len(online(collector)) == 2)

        assert link._connection.in_flight == 3  # noqa: SLF001 - two batches, and the state in the place kept for it


def test_a_command_begins_a_new_epoch_and_the_state_says_so(outbox: SqliteOutbox) -> None:  # noqa: F811
    broker, heard = MemoryBroker(), list[Exception]()
    with collector_at(broker) as collector, make(broker, outbox, heard=heard):
        eventually(lambda: len(online(collector)) == 1)
        command(collector, EPOCH)
        eventually(lambda: len(online(collector)) == 2)
        renewed = outbox.epoch
        assert renewed != EPOCH
        command(collector, EPOCH)
        collector.link.publish(topics.command(STATION), b'{"command":"format-disk"}')
        eventually(lambda: heard)
    assert outbox.epoch == renewed


def test_a_passenger_that_fails_is_reported_tried_ever_more_seldom_and_harms_nobody(
    outbox: SqliteOutbox,  # noqa: F811
) -> None:
    broker, heard = MemoryBroker(), list[Exception]()
    broken, whole = Rider(), Rider()
    broken.fails = OSError("the test's file is gone")
    with collector_at(broker) as collector, make(broker, outbox, broken, whole, heard=heard) as uplink:
        for seq in range(1, 31):
            outbox.add([inspection(seq)])
            whole.waiting += 1
            uplink.notify()
            eventually(lambda seq=seq: (Stream.INSPECTIONS, seq) in collector.records)
        eventually(lambda: whole.waiting == 0 and outbox.count() == 0)
        assert broken.tries <= 3
        assert whole.tries > 30
        assert "the test's file is gone" in str(heard[0])
        broken.fails = None
        broken.waiting = 1

        eventually(lambda: broken.waiting == 0)


def test_messages_go_to_who_takes_them_and_a_bad_one_stops_nothing(outbox: SqliteOutbox) -> None:  # noqa: F811
    broker, heard, rider = MemoryBroker(), list[Exception](), Rider()
    with collector_at(broker) as collector, make(broker, outbox, rider, heard=heard):
        eventually(lambda: rider.limits)
        for payload in (b"one", b"broken", b"two"):
            collector.link.publish(topics.job(STATION), payload)
        collector.link.publish(topics.file_ack(STATION), b"for nobody")
        eventually(lambda: rider.heard == [b"one", b"two"] and len(heard) == 2)
    assert "nobody here takes down/file-ack" in str(heard[1])


def test_health_is_said_at_once_and_when_faults_change_never_twice_in_a_breath(outbox: SqliteOutbox) -> None:  # noqa: F811
    broker, faults = MemoryBroker(), dict[str, str]()
    with collector_at(broker) as collector, make(broker, outbox, said=lambda: health(dict(faults))) as uplink:
        eventually(lambda: len(collector.of("health")) == 1)
        for number in range(50):
            faults["camera:top"] = f"gone, try {number}"
            uplink.health_changed()
        eventually(lambda: len(collector.of("health")) == 2)
    last = HealthMessage.unpack(collector.of("health")[-1])
    assert (last.ready, last.faults) == (False, {"camera:top": "gone, try 49"})


class ReadOnly(SqliteOutbox):
    """A disk that can be read, and takes nothing."""

    def acknowledge(self, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:  # noqa: ARG002
        raise OSError("the test's disk is read-only")


def test_a_disk_that_takes_nothing_keeps_no_word_and_no_record_from_the_cloud(tmp_path: Path) -> None:
    broker, box, faults = MemoryBroker(), ReadOnly(tmp_path / "outbox.db"), dict[str, str]()
    box.add([inspection(1)])
    with collector_at(broker) as collector, make(broker, box, said=lambda: health(dict(faults))) as uplink:
        eventually(lambda: uplink.status().faults)
        box.add([inspection(2)])
        faults["storage"] = "read-only"
        uplink.health_changed()
        eventually(lambda: (Stream.INSPECTIONS, 2) in collector.records)
        eventually(lambda: HealthMessage.unpack(collector.of("health")[-1]).faults == faults)
    box.close()


def test_health_that_was_not_sent_is_replaced_never_queued(outbox: SqliteOutbox) -> None:  # noqa: F811
    broker, faults = MemoryBroker(), dict[str, str]()
    broker.close()
    with make(broker, outbox, said=lambda: health(dict(faults))) as uplink:
        for number in range(10):
            faults["storage"] = str(number)
            uplink.health_changed()
        broker.open()
        with collector_at(broker) as collector:
            broker.cut("station")
            eventually(lambda: collector.of("health"))
            assert [HealthMessage.unpack(said).faults for said in collector.of("health")] == [{"storage": "9"}]


def test_health_that_cannot_be_made_is_a_fault_and_records_flow(outbox: SqliteOutbox) -> None:  # noqa: F811
    def broken() -> HealthMessage:
        raise OSError("the test's disk has no figures")

    broker, heard = MemoryBroker(), list[Exception]()
    outbox.add([inspection(1)])
    with collector_at(broker), make(broker, outbox, said=broken, heard=heard):
        eventually(lambda: outbox.count() == 0)
    assert "no figures" in str(heard[0])


def test_a_swallowed_acknowledgement_heals_while_the_link_lives(outbox: SqliteOutbox) -> None:  # noqa: F811
    broker = MemoryBroker()
    outbox.add([inspection(1), inspection(2)])
    with collector_at(broker) as collector, make(broker, outbox) as uplink:
        collector.answers = False  # the acknowledgement is swallowed
        eventually(lambda: len(collector.records) >= 2)
        collector.answers = True
        eventually(lambda: outbox.count() == 0)
        assert uplink.status().resent >= 2
    assert collector.topics.count("state") == 2  # one connection: online, offline


def test_many_acknowledgements_cost_few_commits(outbox: SqliteOutbox) -> None:  # noqa: F811
    commits: list[int] = []
    acknowledge = outbox.acknowledge

    def counting(stream: Stream, epoch: str, ranges: object) -> None:
        commits.append(1)
        acknowledge(stream, epoch, ranges)  # type: ignore[arg-type]

    outbox.acknowledge = counting  # type: ignore[method-assign]
    broker, pace = MemoryBroker(), UplinkSettings(resend_after_s=60, poll_s=0.02, settle_s=0.3)
    outbox.add([inspection(seq) for seq in range(1, 301)])
    with collector_at(broker) as collector:
        collector.answers = False
        with Uplink(station=STATION, outbox=outbox, link=BreakingLink(broker), settings=pace) as uplink:
            eventually(lambda: len(collector.records) == 300)
            for seq in range(1, 301):
                said = pack_ack(Ack(Stream.INSPECTIONS, EPOCH, to_ranges([seq])))
                eventually(lambda said=said: collector.link.publish(topics.ack(STATION), said))
            eventually(lambda: outbox.count() == 0)
            assert uplink.status().acknowledged == 300
    assert len(commits) < 60


def test_while_a_backlog_drains_each_row_is_read_about_once_and_little_is_held(outbox: SqliteOutbox) -> None:  # noqa: F811
    read, largest, after = [0], [0], outbox.after

    def counting(stream: Stream, seq: int, limit: int) -> list[OutboxRow]:
        page = after(stream, seq, limit)
        read[0] += len(page)
        largest[0] = max(largest[0], len(page))
        return page

    rows = [*map(inspection, range(1, 6001)), *map(outcome, range(1, 6001))]
    outbox.add(rows)
    outbox.after = counting  # type: ignore[method-assign]
    link, pace = AnsweringLink(), UplinkSettings(capacity=1000, poll_s=0.02)
    with Uplink(station=STATION, outbox=outbox, link=link, settings=pace) as uplink:
        eventually(lambda: outbox.count() == 0, 30)
        assert uplink.status().resent == 0
    assert link.records == len(rows)
    assert read[0] < 1.3 * len(rows)
    assert largest[0] <= 1024


@mosquitto_only
def test_a_broker_that_takes_one_message_at_a_time_gets_state_records_and_passengers(
    outbox: SqliteOutbox,  # noqa: F811
    tmp_path: Path,
) -> None:
    outbox.add([*map(inspection, range(1, 201)), *map(outcome, range(1, 201))])
    options = ("max_inflight_messages 1",)
    rider = Rider()
    rider.waiting = 5
    with (
        LocalBroker("mosquitto", tmp_path / "broker", free_port(), options=options) as made,
        collector_at(made.address) as heard,
    ):
        uplink = uplink_to(made, outbox)
        uplink._passengers = type(uplink._passengers)([rider], lambda _error: None)  # noqa: SLF001 - one rides along
        with uplink:
            eventually(lambda: outbox.count() == 0 and rider.waiting == 0)
            assert rider.limits[0].in_flight == 1
            assert uplink.status().faults == 0
        eventually(lambda: len(heard.of("state")) == 2)


def online(collector: Collector) -> list[StateMessage]:
    return [said for payload in collector.of("state") if (said := StateMessage.unpack(payload)).state == "online"]


def command(collector: Collector, epoch: str) -> None:
    said = CommandMessage(command="new-epoch", epoch=epoch).pack()
    eventually(lambda: collector.link.publish(topics.command(STATION), said))
