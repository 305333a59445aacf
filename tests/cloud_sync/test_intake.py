import json
import random
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudThread, stored
from outboxes import AT, EPOCH, STATION, hashes, images, inspection, outcome

from cloud_sync.hub.intake import take_in
from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.outbox import OutboxRow, Stream

TOPIC = topics.inspections(STATION)
OTHER_EPOCH = "f" * 32


def message(*rows: OutboxRow, station: str = STATION, epoch: str = EPOCH, topic: str = TOPIC) -> Message:
    return Message(topic, pack_batch(station, epoch, rows, AT))


def altered(row: OutboxRow, **members: object) -> OutboxRow:
    content = json.loads(row.payload) | members
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return OutboxRow(row.stream, row.seq, text.encode(), row.epoch)


def test_a_valid_batch_becomes_records_with_what_can_be_asked_of_them() -> None:
    inspections, outcomes = take_in(message(inspection(1), inspection(2))), take_in(message(outcome(3)))

    assert [record.payload for record in inspections.records] == [inspection(1).payload, inspection(2).payload]
    assert [record.verdict for record in inspections.records] == ["REJECT", "UNDECIDED"]
    assert inspections.records[0].part_id == "part-1 Größe"
    assert inspections.settled == tuple(record.key for record in inspections.records)
    assert (outcomes.records[0].verdict, outcomes.records[0].outcome) == ("PASS", "told")
    assert take_in(message(images(1))).records[0].verdict is None


FOREIGN = [
    pytest.param(message(inspection(1), topic="inspectd/v1/press-4/up/inspections"), "press-4", id="topic of another"),
    pytest.param(message(inspection(1), topic="inspectd/v1/press-3/up/state"), "up/inspections", id="other subject"),
    pytest.param(
        message(inspection(1), topic="inspectd/v1/press-3/down/inspections"), "up/inspections", id="downwards"
    ),
    pytest.param(message(inspection(1), topic=""), "expected a topic", id="no topic"),
    pytest.param(Message(TOPIC, b"hello"), "expected JSON", id="no batch"),
]


@pytest.mark.parametrize(("came", "words"), FOREIGN)
def test_a_foreign_message_is_one_dead_letter_and_settles_nothing(came: Message, words: str) -> None:
    intake = take_in(came)

    assert (intake.records, intake.settled) == ((), ())
    assert [letter.payload for letter in intake.dead] == [came.payload]
    assert words in intake.dead[0].reason


BAD_RECORDS = [
    pytest.param(altered(inspection(2), verdict="MAYBE"), True, id="unknown verdict"),
    pytest.param(altered(inspection(2), schema="inspectd.inspection.v2"), True, id="a later schema"),
    pytest.param(altered(inspection(2), latency_ms={"infer": "1.5"}), True, id="a number as text"),
    pytest.param(altered(inspection(2), seq="2"), False, id="seq as text"),
    pytest.param(altered(inspection(2), seq=0), False, id="seq zero"),
    pytest.param(altered(inspection(2), seq=2**63), False, id="seq beyond every database"),
    pytest.param(altered(inspection(2), seq=True), False, id="seq a boolean"),
    pytest.param(altered(inspection(2), station="press-4"), False, id="of another station"),
    pytest.param(altered(inspection(2), epoch=OTHER_EPOCH), False, id="of another database"),
    pytest.param(OutboxRow(Stream.INSPECTIONS, 2, b"[]", EPOCH), False, id="a list"),
    pytest.param(OutboxRow(Stream.INSPECTIONS, 2, b"null", EPOCH), False, id="null"),
]


@pytest.mark.parametrize(("bad", "settled"), BAD_RECORDS)
def test_a_bad_record_is_kept_as_a_dead_letter_and_spoils_no_other(bad: OutboxRow, *, settled: bool) -> None:
    intake = take_in(message(inspection(1), bad, inspection(3)))

    assert [record.key.seq for record in intake.records] == [1, 3]
    assert [letter.payload for letter in intake.dead] == [bad.payload]
    assert [key.seq for key in intake.settled] == ([1, 2, 3] if settled else [1, 3])


def test_a_nul_reaches_no_column_of_text_and_stays_in_the_bytes() -> None:
    """PostgreSQL holds no such text: the collector would have tried to write it for ever."""
    named, misnamed = inspection(1, part_id="a\x00b"), altered(inspection(2), latency_ms={"a\x00": "no number"})

    intake = take_in(message(named, misnamed))

    assert [record.payload for record in intake.records] == [named.payload]
    assert intake.records[0].part_id == "a\ufffdb"
    assert [letter.payload for letter in intake.dead] == [misnamed.payload]
    assert "latency_ms.a\ufffd" in intake.dead[0].reason


def test_a_record_of_another_stream_is_a_dead_letter() -> None:
    disguised = OutboxRow(Stream.INSPECTIONS, 1, outcome(1).payload, EPOCH)

    assert take_in(message(disguised)).records == ()


def mutated(payload: bytes, dice: random.Random) -> bytes:
    """One to four cuts, flips, copies or insertions."""
    content = bytearray(payload)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(content) + 1)
        match dice.randrange(5):
            case 0 if content:
                content[at % len(content)] ^= 1 << dice.randrange(8)
            case 1:
                del content[at : at + dice.randrange(1, 50)]
            case 2:
                content[at:at] = content[: dice.randrange(1, 50)]
            case 3:
                content[at:at] = dice.choice([b'"', b"}", b"]", b"\xff", b"null", b"1e999", b"\\u0000", b"[" * 3000])
            case _:
                content[at : at + 1] = bytes([dice.randrange(256)])
    return bytes(content)


class Silent:
    """A listener that wants nothing."""

    limits: Limits | None = None

    def on_connected(self, limits: Limits) -> None:
        self.limits = limits

    def on_disconnected(self, why: str) -> None:
        pass

    def on_message(self, message: Message) -> None:
        pass

    def on_answer(self, refusal: str | None) -> None:
        pass


def test_3000_damaged_messages_change_no_record_and_stop_nothing(tmp_path: Path) -> None:
    dice = random.Random(11)
    rows = [inspection(seq) for seq in range(1, 6)]
    broker, place, silent = MemoryBroker(), tmp_path / "store.db", Silent()
    attacker = MemoryLink(broker, "attacker")
    attacker.start(silent)
    collector_link = MemoryLink(broker, "collector", (topics.ANY_INSPECTIONS,), keep_session=True)
    with CloudThread(place, collector_link) as collector:
        eventually(lambda: silent.limits)
        whole = message(*rows).payload
        for payload in [whole, *(mutated(whole, dice) for _ in range(3000)), message(inspection(6)).payload]:
            eventually(lambda payload=payload: attacker.publish(TOPIC, payload))
        eventually(lambda: collector.counts.received == 3002)
    attacker.stop(3.0)

    assert stored(place) == hashes([*rows, inspection(6)])
    with StoreReader(str(place)) as reader:
        assert reader.stations()[0].quarantined == 0
        assert reader.dead_letters() > 2500
