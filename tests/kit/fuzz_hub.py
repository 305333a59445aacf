"""The collector's end under damaged input: batches and stray messages into a real store, in groups as it takes them."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clouds import stored
from fuzz_kit import Target
from mutator import Json, canonical, damaged, damaged_bytes
from outboxes import AT, EPOCH, STATION, images, inspection, outcome
from wire_samples import MESSAGES, feedback, loss

from cloud_sync.hub.intake import Intake, take_in
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import OutboxRow
from cloud_sync.wire.records import content_hash

_GROUP = 64
PREVIOUS = Path(__file__).parents[1] / "cloud_sync" / "previous"
ROWS = [make(seq) for make in (loss, inspection, outcome, images, feedback) for seq in (1, 2, 3)]


class HubEnd:
    """Takes messages in, and after each group compares the store with what must be in it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._store = StoreWriter(str(place))
        self._group: list[Intake] = []
        self._held: dict[tuple[str, int], str] = {}
        self._since_compared = 0
        for row in ROWS:
            self.feed(Message(topics.inspections(STATION), pack_batch(STATION, EPOCH, [row], AT)))
        self.commit()
        self.compare()

    def feed(self, message: Message) -> bool:
        """Whether anything of it was accepted as a record."""
        intake = take_in(message)
        _check(intake, message)
        self._group.append(intake)
        if len(self._group) == _GROUP:
            self.commit()
        return bool(intake.records)

    def commit(self) -> None:
        """Write the group as the collector does; what was held must stay, what is new must be counted."""
        group, self._group = self._group, []
        records = [record for intake in group for record in intake.records]
        inserted = self._store.insert(records, [letter for intake in group for letter in intake.dead], 0)
        before = len(self._held)
        for record in records:
            if (record.key.station, record.key.epoch) == (STATION, EPOCH):
                self._held.setdefault((record.key.stream, record.key.seq), content_hash(record.payload))
        assert inserted.stored == len(self._held) - before
        self._since_compared += 1
        if self._since_compared >= 20:
            self.compare()

    def compare(self) -> None:
        """Read the whole store."""
        self._since_compared = 0
        assert stored(self._place) == self._held

    def close(self) -> None:
        """Commit and compare what is left."""
        self.commit()
        self.compare()
        self._store.close()


def _check(intake: Intake, message: Message) -> None:
    """What holds for every intake, whatever came."""
    known = {record.key for record in intake.records}
    assert all(record.payload in message.payload for record in intake.records)
    for key in intake.settled:
        assert (key.station, key.epoch) == (STATION, EPOCH)
        assert key in known or any(_names(letter.payload, key.seq) for letter in intake.dead)
    assert intake.records or intake.dead, "a message that leaves no trace"
    texts = [letter.reason for letter in intake.dead]
    texts += [text for record in intake.records for text in (record.part_id, record.verdict, record.outcome) if text]
    for text in texts:
        assert "\x00" not in text, "PostgreSQL holds no such text"
        text.encode()


def _names(payload: bytes, seq: int) -> bool:
    value = json.loads(payload)
    return isinstance(value, dict) and value.get("seq") == seq


def resealed(seed: object, number: int) -> bytes:
    """A batch whose envelope is right and whose records are damaged."""
    dice = random.Random(f"{seed}/{number}")
    first = dice.choice(ROWS)
    rows = [first] + [row for row in ROWS if row.stream is first.stream and dice.random() < 0.3]
    made = [_damaged_row(row, dice) for row in rows]
    try:
        return pack_batch(STATION, EPOCH, made, AT)
    except LinkError:
        return damaged_bytes(pack_batch(STATION, EPOCH, rows, AT), dice)


def _damaged_row(row: OutboxRow, dice: random.Random) -> OutboxRow:
    value: Json = json.loads(row.payload)
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        value = damaged(value, dice)
    return OutboxRow(row.stream, row.seq, canonical(value), row.epoch)


def _topic(seed: object, number: int) -> bytes:
    dice = random.Random(f"{seed}/{number}")
    whole = dice.choice([topics.inspections(STATION), topics.state("a"), topics.file_init(STATION, "ab" * 32), ""])
    return damaged_bytes(whole.encode(), dice)


@contextmanager
def hub_targets(folder: Path) -> Iterator[list[Target]]:
    """Batches by envelope and by record, any message on any topic of ours, and topics."""
    end = HubEnd(folder / "cloud.db")
    batches = [pack_batch(STATION, EPOCH, [row], AT) for row in ROWS]
    batches += [pack_batch(STATION, EPOCH, ROWS[3:6], AT)]
    batches += [path.read_bytes() for path in sorted(PREVIOUS.glob("*.json"))]
    strays = [*batches, *(message.pack() for message in MESSAGES.values()), b"\x00" * 100]

    def batch(payload: bytes) -> bool:
        return end.feed(Message(topics.inspections(STATION), payload))

    def stray(payload: bytes) -> bool:
        names = sorted({topics.state(STATION), topics.want(STATION), "inspectd/v1/other/up/inspections", "", "a/b"})
        return end.feed(Message(names[len(payload) % len(names)], payload))

    def topic(name: bytes) -> bool:
        text = name.decode(errors="replace")
        try:
            parsed = topics.parse(text)
        except LinkError:
            return end.feed(Message(text.replace("\x00", ""), b"{}"))
        assert text == f"{topics.ROOT}/{parsed.station}/{parsed.direction}/{parsed.subject}"
        return True

    yield [
        Target("batch, damaged anywhere", batches, batch, share=2),
        Target("batch, damaged records", batches, batch, resealed, share=3),
        Target("any message elsewhere", strays, stray),
        Target("topic", batches, topic, _topic),
    ]
    end.close()
