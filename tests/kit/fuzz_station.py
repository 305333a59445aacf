"""The station's end under damaged input: acknowledgements over a real outbox, and every message by itself."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fuzz_kit import Target
from mutator import Mutator
from outboxes import EPOCH, STATION, SqliteOutbox, inspection, outcome
from schemas_kit import validator
from wire_samples import MESSAGES

from cloud_sync.station.ledger import Ledger
from cloud_sync.station.sender import Sender
from cloud_sync.wire.envelopes import Ack, pack_ack, to_ranges, unpack_ack
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import WireMessage
from cloud_sync.wire.outbox import Stream

_SEQS = range(1, 41)
_Rows = set[tuple[str, int]]


class StationEnd:
    """Settles acknowledgements and compares what is left with what they named."""

    def __init__(self, place: Path) -> None:
        self._outbox = SqliteOutbox(place)
        self._sender = Sender(STATION, self._outbox, lambda _topic, _payload: True, Ledger())
        self._rows: _Rows = set()
        self._top_up()

    def feed(self, payload: bytes) -> bool:
        """Whether it was an acknowledgement."""
        epoch = self._outbox.epoch
        try:
            ack = unpack_ack(payload)
        except LinkError:
            return False
        self._sender.settle(ack)
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
        self._sender.send_new(0.0)

    def _waiting(self) -> _Rows:
        return {(stream.value, row.seq) for stream in Stream for row in self._outbox.after(stream, 0, 1000)}


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

    return Target(name.removesuffix(".v1.json"), [message.pack()], feed, share=0.5)


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
    yield [Target("ack", [b"{}"], end.feed, _ack_input), *messages]
    end.close()
