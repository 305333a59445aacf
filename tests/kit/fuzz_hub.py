"""The collector's end under damaged input: any message on any topic, through its desks into a real store."""

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clouds import stored
from file_kit import picture, sha256_of
from fuzz_kit import Target
from mutator import Json, Mutator, canonical, damaged, damaged_bytes
from outboxes import AT, EPOCH, STATION, images, inspection, outcome
from schemas_kit import faults
from wire_samples import MESSAGES, feedback, loss, sample

from cloud_sync.hub.collecting import desks as plain_desks
from cloud_sync.hub.desk import Reply
from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.file_desks import file_desks
from cloud_sync.hub.files.releases import offer
from cloud_sync.hub.group import Read, read, sort, take
from cloud_sync.hub.intake import Intake
from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire import topics
from cloud_sync.wire.blobs import BLOCK_BYTES
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Message
from cloud_sync.wire.messages import FileFin, FileInit, JobState, Want
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import content_hash

_GROUP = 64
_DESK_TABLES = ("conditions", "files", "file_chunks", "releases", "jobs")  # what desks alone write
_PREVIOUS = Path(__file__).parents[1] / "cloud_sync" / "previous"
_TOPICS = {Stream.FEEDBACK: topics.feedback, Stream.SAMPLES: topics.samples}
_SCHEMAS = {Stream.FEEDBACK: b'"inspectd.feedback.v1"', Stream.SAMPLES: b'"inspectd.sample.v1"'}
ROWS = [make(seq) for make in (loss, inspection, outcome, images, feedback, sample) for seq in (1, 2, 3)]
PICTURE = picture(2 * BLOCK_BYTES + 1000)


class HubEnd:
    """Takes messages in groups, as the collector does, and compares the store with what must be in it."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "cloud.db"
        self._store = StoreWriter(str(self.place))
        self._blobs = file_desks(str(self.place), str(folder / "blobs"), CollectorMetrics())
        self._desks = [*plain_desks(), *self._blobs.__enter__()]
        self._reader = sqlite3.connect(self.place)
        self._group: list[Read] = []
        self._held: dict[tuple[str, int], str] = {}
        self._groups = 0
        for row in ROWS:
            self.feed(batch_of(row))
        self.commit()
        self.compare()

    def feed(self, message: Message) -> bool:
        """Whether anything of it was accepted as a record, or goes to a desk."""
        came = read(message)
        if came.intake is not None:
            _check(came.intake, message)
        self._group.append(came)
        if len(self._group) == _GROUP:
            self.commit()
        return came.intake is None or bool(came.intake.records)

    def feed_alone(self, message: Message) -> bool:
        """Whether a desk took it; one that did not has changed nothing but the dead letters."""
        self.commit()
        before = self._of_desks()
        self._group.append(read(message))
        dead = self.commit()
        assert dead == 0 or self._of_desks() == before
        for desk in self._desks:
            desk.work(_published)
        return dead == 0

    def commit(self) -> int:
        """Write the group; what was held must stay, what is new must be counted. Says how many dead letters it left."""
        group, self._group = self._group, []
        taken = self._store.commit(lambda connection: take(connection, sort(group, self._desks), 0))
        before = len(self._held)
        for record in (record for item in group if item.intake for record in item.intake.records):
            self._held.setdefault((record.key.stream, record.key.seq), content_hash(record.payload))
        assert taken.inserted.stored == len(self._held) - before
        assert [letter.reason for letter in taken.dead if letter.reason.startswith("the desk failed")] == []
        for reply in taken.replies:
            _published(reply)
        self._groups += bool(group)
        if self._groups % 20 == 0:
            self.compare()
        return len(taken.dead)

    def compare(self) -> None:
        """Read the records of the whole store."""
        assert stored(self.place) == self._held

    def close(self) -> None:
        """Commit and compare what is left."""
        self.commit()
        self.compare()
        self._reader.close()
        self._blobs.__exit__(None, None, None)
        self._store.close()

    def _of_desks(self) -> str:
        found = hashlib.sha256()
        for table in _DESK_TABLES:
            rows = self._reader.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our own tables
            found.update(repr(sorted(rows, key=repr)).encode())
        return found.hexdigest()


def batch_of(row: OutboxRow) -> Message:
    """A batch of one record, on its topic."""
    topic = _TOPICS.get(row.stream, topics.inspections)(STATION)
    return Message(topic, pack_batch(STATION, EPOCH, [row], AT))


def _published(reply: Reply) -> bool:
    """A reply that our own documents allow."""
    assert faults(reply.topic, reply.payload) == []
    return True


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


def _resealed(seed: object, number: int) -> bytes:
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


def _desk_samples() -> list[tuple[str, bytes]]:
    """What desks are sent: a word of state and health, a file from its first byte to its last, a release's blocks."""
    digest = sha256_of(PICTURE)
    size = len(PICTURE)
    init = FileInit(
        file=digest, size_bytes=size, media_type="image/png", kind="image", epoch=EPOCH, seq=1, camera="top"
    )
    chunks = [
        (topics.file_chunk(STATION, digest, at), PICTURE[at : at + BLOCK_BYTES]) for at in range(0, size, BLOCK_BYTES)
    ]
    return [
        (topics.state(STATION), MESSAGES["state.v1.json"].pack()),
        (topics.health(STATION), MESSAGES["health.v1.json"].pack()),
        (topics.file_init(STATION, digest), init.pack()),
        *chunks,
        (topics.file_fin(STATION, digest), FileFin(file=digest, size_bytes=size).pack()),
        (topics.want(STATION), Want(name="cells-v7.tar", offset=0, count=2).pack()),
    ]


def _desk_input(samples: Sequence[tuple[str, bytes]], seed: object, number: int) -> bytes:
    """A topic, a line end, and what comes there; either may be damaged."""
    dice = random.Random(f"{seed}/{number}")
    topic, payload = dice.choice(samples)
    if dice.random() < 0.7:
        payload = Mutator(f"{seed}/{number}").input(number, [payload])
    name = damaged_bytes(topic.encode(), dice) if dice.random() < 0.1 else topic.encode()
    return name.replace(b"\n", b"") + b"\n" + payload


def _topic_input(seed: object, number: int) -> bytes:
    dice = random.Random(f"{seed}/{number}")
    whole = dice.choice([topics.inspections(STATION), topics.state("a"), topics.file_init(STATION, "ab" * 32), ""])
    return damaged_bytes(whole.encode(), dice)


@contextmanager
def hub_targets(folder: Path) -> Iterator[list[Target]]:
    """Batches by envelope and by record, what desks take, and topics."""
    end = HubEnd(folder)
    release = folder / "cells-v7.tar"
    release.write_bytes(picture(3 * BLOCK_BYTES))
    ((_, job),) = offer(str(end.place), FolderBlobs(folder / "blobs"), release, [STATION])
    told = JobState(job=job.job, state="downloading", at=AT)
    samples = [*_desk_samples(), (topics.job_state(STATION, job.job), told.pack())]
    batches = [batch_of(row).payload for row in ROWS]
    batches += [path.read_bytes() for path in sorted(_PREVIOUS.glob("*.json"))]

    def batch(payload: bytes) -> bool:
        own = [topic for stream, topic in _TOPICS.items() if _SCHEMAS[stream] in payload]
        return end.feed(Message((own[0] if own else topics.inspections)(STATION), payload))

    def at_desk(content: bytes) -> bool:
        name, _, payload = content.partition(b"\n")
        return end.feed_alone(Message(name.decode(errors="replace").replace("\x00", ""), payload))

    def topic(name: bytes) -> bool:
        text = name.decode(errors="replace")
        try:
            parsed = topics.parse(text)
        except LinkError:
            end.feed(Message(text.replace("\x00", ""), b"{}"))
            return False
        assert text == f"{topics.ROOT}/{parsed.station}/{parsed.direction}/{parsed.subject}"
        return True

    yield [
        Target("batch, damaged anywhere", batches, batch, share=4),
        Target("batch, damaged records", batches, batch, _resealed, share=3),
        Target("state, health, files, wants, jobs", [], at_desk, lambda *which: _desk_input(samples, *which), 0.3),
        Target("topic", batches, topic, _topic_input),
    ]
    end.close()
