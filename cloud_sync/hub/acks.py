"""Acknowledgements on their way to the stations. Pure: it sends nothing.

Only what is committed comes in here, so an acknowledgement is true for ever: it may wait, be merged or be sent twice.
One that gets lost is made again when the station sends the record again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cloud_sync.hub.store.entries import Key
from cloud_sync.wire.envelopes import Ack, to_ranges
from cloud_sync.wire.outbox import Stream

_SEQS_PER_ACK = 2000
_HEAD_BYTES = 256  # of a message: all but its numbers
_SEQ_BYTES = 72  # at most: two ranges of 16 digits each way, since a number in quarantine stands there twice


@dataclass(slots=True)
class _Seqs:
    settled: set[int] = field(default_factory=set)
    quarantined: set[int] = field(default_factory=set)


@dataclass(slots=True)
class PendingAcks:
    """What the stations are still to be told, merged by station, stream and epoch.

    Args:
        capacity: how many sequence numbers to hold; what is beyond is dropped, and made again at the next resend.
    """

    capacity: int = 200_000
    _waiting: dict[tuple[str, Stream, str], _Seqs] = field(default_factory=dict)
    _held: int = 0

    def add(self, settled: Iterable[Key], quarantined: Iterable[Key]) -> None:
        """These are committed; of them, these are in quarantine."""
        for key in settled:
            if self._held >= self.capacity:
                break
            seqs = self._of(key).settled
            if key.seq in seqs:
                continue
            seqs.add(key.seq)
            self._held += 1
        for key in quarantined:
            self._of(key).quarantined.add(key.seq)

    @property
    def held(self) -> int:
        """How many sequence numbers wait."""
        return self._held

    def first(self, limit_bytes: int | None = None) -> tuple[str, Ack] | None:
        """The acknowledgement that has waited longest, and its station; it stays until `sent`.

        Args:
            limit_bytes: what the connection takes in one message; None: any size.
        """
        count = _SEQS_PER_ACK if limit_bytes is None else _seqs_in(limit_bytes)
        for (station, stream, epoch), seqs in self._waiting.items():
            some = set(sorted(seqs.settled)[:count])
            return station, Ack(stream, epoch, to_ranges(some), to_ranges(some & seqs.quarantined))
        return None

    def sent(self, station: str, ack: Ack) -> None:
        """This one is on its way."""
        place = station, ack.stream, ack.epoch
        seqs = self._waiting[place]
        done = {seq for item in ack.ranges for seq in range(item.first, item.last + 1)}
        self._held -= len(done & seqs.settled)
        seqs.settled -= done
        seqs.quarantined -= done
        if not seqs.settled:
            del self._waiting[place]

    def _of(self, key: Key) -> _Seqs:
        return self._waiting.setdefault((key.station, key.stream, key.epoch), _Seqs())


def _seqs_in(limit_bytes: int) -> int:
    return max(1, min(_SEQS_PER_ACK, (limit_bytes - _HEAD_BYTES) // _SEQ_BYTES))
