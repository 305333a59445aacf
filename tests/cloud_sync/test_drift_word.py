"""What a station says of drift goes out at each connection and at each change, and is made when it is said."""

from brokers import eventually
from outboxes import AT, EPOCH, STATION, SqliteOutbox
from uplink_kit import QUICK, BreakingLink, collector_at, outbox  # noqa: F401 - a fixture
from wire_samples import MESSAGES

from cloud_sync.station.drift_word import DriftWord
from cloud_sync.station.uplink import Uplink
from cloud_sync.wire import topics
from cloud_sync.wire.link import Limits
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.messages import DriftMessage, StateMessage

LIMITS = Limits(256 * 1024, 20)


class Drift:
    """What drifts, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    def __call__(self) -> DriftMessage:
        self.asked += 1
        if self.fails:
            raise OSError("the test's disk refuses")
        message = MESSAGES["drift.v1.json"]
        assert isinstance(message, DriftMessage)
        sign = message.signs[0].model_copy(update={"parts": self.asked})
        return DriftMessage(at=AT, epoch=EPOCH, model=message.model, signs=[sign])


class Wire:
    """What a word published; `room` is how many more the window takes."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.said: list[DriftMessage] = []

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        assert topic == topics.drift(STATION)
        self.said.append(DriftMessage.unpack(payload))
        return True


def test_it_is_said_at_each_connection_and_at_each_change_and_else_never() -> None:
    word, wire = DriftWord(STATION, Drift()), Wire()
    word.work(0, wire.publish)
    assert wire.said == []
    for count in (1, 2):
        word.begin(LIMITS)
        word.work(0, wire.publish)
        word.work(1, wire.publish)
        assert len(wire.said) == count
    word.changed()
    word.work(2, wire.publish)
    word.work(3, wire.publish)
    assert [said.signs[0].parts for said in wire.said] == [1, 2, 3]
    assert not word.hear("job", b"{}")


def test_what_found_no_room_is_made_anew_when_there_is() -> None:
    drift, wire = Drift(), Wire(room=0)
    word = DriftWord(STATION, drift)
    word.changed()
    word.work(0, wire.publish)
    wire.room = 1
    word.work(1, wire.publish)
    assert [said.signs[0].parts for said in wire.said] == [2]


def test_a_change_while_it_is_being_said_is_said_as_well() -> None:
    wire = Wire()

    def publish(topic: str, payload: bytes) -> bool:
        if not wire.said:
            word.changed()
        return wire.publish(topic, payload)

    word = DriftWord(STATION, Drift())
    word.changed()
    word.work(0, publish)
    word.work(1, publish)
    assert len(wire.said) == 2


def test_what_cannot_be_made_costs_no_record_and_is_said_once_it_can(outbox: SqliteOutbox) -> None:  # noqa: F811
    from outboxes import inspection

    drift, broker = Drift(), MemoryBroker(limits=LIMITS)
    drift.fails = True
    word = DriftWord(STATION, drift)
    outbox.add([inspection(1)])
    with collector_at(broker) as collector:
        uplink = Uplink(
            station=STATION,
            outbox=outbox,
            link=BreakingLink(broker),
            settings=QUICK,
            passengers=[word],
            state=lambda: StateMessage(state="online", epoch=EPOCH, next_seq=1, version="1", at=AT),
        )
        uplink.start()
        try:
            eventually(lambda: len(collector.records) == 1 and drift.asked > 0)
            drift.fails = False
            eventually(lambda: "drift" in collector.topics)
        finally:
            uplink.stop(5)
