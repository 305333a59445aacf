"""The station's end under damaged input: acknowledgements over a real outbox, and every message by itself."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from file_kit import LIMITS, ListedUploads, picture, sha256_of
from fuzz_kit import Target
from mutator import Mutator, damaged_bytes
from outboxes import EPOCH, STATION, SqliteOutbox, inspection, outcome
from schemas_kit import faults, validator
from wire_samples import MESSAGES

from cloud_sync.station.downlink import Downlink
from cloud_sync.station.files import FileSender
from cloud_sync.station.ledger import Ledger
from cloud_sync.station.sender import Sender
from cloud_sync.station.window import Window
from cloud_sync.wire.envelopes import Ack, pack_ack, to_ranges, unpack_ack
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.memory import MemoryLink
from cloud_sync.wire.memory_broker import MemoryBroker
from cloud_sync.wire.messages import BLOCK_BYTES, FileAck, Job, WireMessage
from cloud_sync.wire.outbox import Stream

_SEQS = range(1, 41)
_Rows = set[tuple[str, int]]


class StationEnd:
    """Settles acknowledgements and compares what is left with what they named."""

    def __init__(self, place: Path) -> None:
        self._outbox = SqliteOutbox(place)
        self._ledger = Ledger()
        self._sender = Sender(
            STATION, self._outbox, Window(MemoryLink(MemoryBroker(), STATION)), self._ledger, lambda: None
        )
        self._rows: _Rows = set()
        self._top_up()

    def feed(self, payload: bytes) -> bool:
        """Whether it was an acknowledgement."""
        epoch = self._outbox.epoch
        try:
            ack = unpack_ack(payload)
        except LinkError:
            return False
        self._sender.settle([ack])
        left = self._waiting()
        named = _named(json.loads(payload)) & self._rows
        assert left == self._rows - named
        assert (self._outbox.epoch == epoch) == (not ack.quarantined or ack.epoch != epoch)
        self._rows = left
        if len(left) < len(_SEQS):
            self._top_up()
        return True

    def check_untouched(self) -> None:
        """Whatever was refused has changed nothing."""
        assert self._waiting() == self._rows

    def close(self) -> None:
        """Compare for the last time."""
        self.check_untouched()
        self._outbox.close()

    def _top_up(self) -> None:
        wanted = [make(seq) for seq in _SEQS for make in (inspection, outcome)]
        self._outbox.add([row for row in wanted if (row.stream.value, row.seq) not in self._rows])
        self._rows = self._waiting()
        for stream in (Stream.INSPECTIONS, Stream.OUTCOMES):
            self._ledger.mark_sent(stream, EPOCH, list(_SEQS), 0.0)

    def _waiting(self) -> _Rows:
        return {(stream.value, row.seq) for stream in Stream for row in self._outbox.after(stream, 0, 1000)}


class FilesEnd:
    """A file that waits, and what the cloud says of it: only its own `complete` or `error` ends the wait."""

    def __init__(self) -> None:
        self._content = picture(2 * BLOCK_BYTES + 1000)
        self.digest = sha256_of(self._content)
        self._begin()

    def feed(self, payload: bytes) -> bool:
        """Whether it was a word of the cloud on files."""
        self._sender.work(self._now_s, _allowed)
        self._now_s += 400.0
        try:
            assert self._sender.hear("file-ack", payload)
        except LinkError:
            assert (self._uploads.settled, self._uploads.refused) == ([], {})
            return False
        said = json.loads(payload)
        error, complete = said.get("error"), said.get("complete", False)
        mine = said["file"] == self.digest
        assert not self._uploads.refused or (mine and error is not None)
        assert not self._uploads.settled or (mine and error is None and complete)
        if self._uploads.refused or self._uploads.settled:
            self._begin()
        return True

    def _begin(self) -> None:
        self._now_s = 0.0
        self._uploads = ListedUploads(self._content)
        self._sender = FileSender(STATION, self._uploads)
        self._sender.begin(LIMITS)
        self._sender.work(0.0, _allowed)


class ReleaseEnd:
    """An offered release: whatever comes, a file under its name has the content that was offered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._content = picture(2 * BLOCK_BYTES + 1000, seed=2)
        self.job = Job(
            job="r-7",
            kind="release",
            name="cells-v7.tar",
            size_bytes=len(self._content),
            sha256=sha256_of(self._content),
        )
        self._downlink = Downlink(STATION, folder)
        self._now_s = 0.0

    def input(self, seed: object, number: int) -> bytes:
        """A subject, a line end, and an offer or a block."""
        dice = random.Random(f"{seed}/{number}")
        if dice.random() < 0.3:
            return b"job\n" + Mutator(f"{seed}/{number}").input(number, [self.job.pack()])
        block = dice.randrange(3)
        content = self._content[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]
        subject = f"block/{self.job.name}/{block}".encode()
        if dice.random() < 0.2:
            content = damaged_bytes(content, dice)
        if dice.random() < 0.1:
            subject = damaged_bytes(subject, dice).replace(b"\n", b"")
        return subject + b"\n" + content

    def feed(self, content: bytes) -> bool:
        """Whether it was an offer or a block."""
        subject, _, payload = content.partition(b"\n")
        try:
            taken = self._downlink.hear(subject.decode(errors="replace"), payload)
        except LinkError:
            taken = False
        self._downlink.work(self._now_s, _allowed)
        self._now_s += 20.0
        whole = self._folder / self.job.name
        if whole.exists():
            assert sha256_of(whole.read_bytes()) in {self.job.sha256, *self._offered(payload)}
            whole.unlink()
            self._downlink.hear("job", b"")
        return taken

    @staticmethod
    def _offered(payload: bytes) -> set[str]:
        try:
            return {Job.unpack(payload).sha256}
        except LinkError:
            return set()


def _allowed(topic: str, payload: bytes) -> bool:
    """A message that our own documents allow."""
    assert faults(topic, payload) == []
    return True


def _named(ack: dict[str, Any]) -> _Rows:
    """What an acknowledgement names of the outbox's epoch, read without the code under test."""
    if ack["epoch"] != EPOCH:
        return set()
    return {(ack["stream"], seq) for first, last in ack["ranges"] for seq in _SEQS if first <= seq <= last}


def _message_target(name: str, message: WireMessage) -> Target:
    kind = type(message)

    def feed(payload: bytes) -> bool:
        try:
            made = kind.unpack(payload)
        except LinkError:
            return False
        assert kind.unpack(made.pack()) == made
        assert validator(name).is_valid(json.loads(payload)), "the published schema refuses what we accept"
        return True

    return Target(name.removesuffix(".v1.json"), [message.pack()], feed)


def _ack_input(seed: object, number: int) -> bytes:
    dice = random.Random(f"{seed}/{number}")
    settled = to_ranges(dice.sample(_SEQS, dice.randint(0, 6)))
    quarantined = to_ranges(dice.sample(_SEQS, 2)) if dice.random() < 0.1 else ()
    ack = Ack(dice.choice((Stream.INSPECTIONS, Stream.OUTCOMES)), dice.choice((EPOCH, "f" * 32)), settled, quarantined)
    return Mutator(f"{seed}/{number}").input(number, [pack_ack(ack)])


@contextmanager
def station_targets(folder: Path) -> Iterator[list[Target]]:
    """Acknowledgements, and each message that is no record."""
    end = StationEnd(folder / "outbox.db")
    messages = [_message_target(name, message) for name, message in MESSAGES.items()]
    files, release = FilesEnd(), ReleaseEnd(folder / "releases")
    words = [
        FileAck(file=files.digest, ranges=[(0, BLOCK_BYTES)]).pack(),
        FileAck(file=files.digest, ranges=[], complete=True).pack(),
        FileAck(file=files.digest, ranges=[], error="the hash is another").pack(),
    ]
    yield [
        Target("ack", [], end.feed, _ack_input),
        Target("file-ack over a file that waits", words, files.feed, share=0.5),
        Target("offer and blocks", [], release.feed, release.input, 0.5),
        *messages,
    ]
    end.close()
