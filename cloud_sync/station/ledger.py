"""Which records are under way and when to send them again. Pure: times come in as arguments, nothing is read or sent.

- A record is under way from its first sending until its acknowledgement; a PUBACK changes nothing here.
- It is due again `resend_after_s` after it was sent, and each time twice as long after that.
- At most `capacity` records are under way, so that months of backlog cost no memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cloud_sync.wire.backoff import doubled_s
from cloud_sync.wire.outbox import SeqRange, Stream

_NEVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class _Sent:
    """What the records of one batch have in common."""

    epoch: str
    due_s: float
    times: int


@dataclass(slots=True)
class Ledger:
    """The records under way.

    Args:
        resend_after_s: the first wait for an acknowledgement, seconds.
        resend_most_s: the longest, seconds.
        capacity: how many records may be under way.
    """

    resend_after_s: float = 30.0
    resend_most_s: float = 300.0
    capacity: int = 10_000
    _sent: dict[Stream, dict[int, _Sent]] = field(default_factory=lambda: {stream: {} for stream in Stream})

    def __len__(self) -> int:
        return sum(len(sent) for sent in self._sent.values())

    @property
    def room(self) -> int:
        """How many more records may be under way."""
        return max(0, self.capacity - len(self))

    def under_way(self, stream: Stream) -> int:
        """How many records of a stream were sent and are not acknowledged."""
        return len(self._sent[stream])

    def is_under_way(self, stream: Stream, seq: int) -> bool:
        """Whether the record was sent and is not acknowledged."""
        return seq in self._sent[stream]

    def mark_sent(self, stream: Stream, epoch: str, seqs: Sequence[int], now_s: float) -> None:
        """These, of one batch, were just sent, for the first time or again."""
        sent = self._sent[stream]
        times = 1 + min((sent[seq].times if seq in sent else 0 for seq in seqs), default=0)
        due_s = now_s + doubled_s(self.resend_after_s, times, self.resend_most_s)
        sent.update(dict.fromkeys(seqs, _Sent(epoch, due_s, times)))

    def hold(self, stream: Stream, epoch: str, seqs: Iterable[int]) -> None:
        """These count as under way, and are never due: somebody else sends them."""
        self._sent[stream].update(dict.fromkeys(seqs, _Sent(epoch, _NEVER_S, 0)))

    def settle(self, stream: Stream, epoch: str, ranges: Iterable[SeqRange]) -> int:
        """These need no more sending; says how many of them were under way."""
        sent = self._sent[stream]
        settled = [seq for item in ranges for seq in _within(sent, item) if sent[seq].epoch == epoch]
        self.drop(stream, settled)
        return len(settled)

    def drop(self, stream: Stream, seqs: Iterable[int]) -> None:
        """These are in the outbox no more."""
        for seq in seqs:
            self._sent[stream].pop(seq, None)

    def due(self, stream: Stream, now_s: float) -> list[int]:
        """The records to send again now, ascending."""
        return sorted(seq for seq, sent in self._sent[stream].items() if sent.due_s <= now_s)

    def forget(self) -> None:
        """Nothing is under way any more: a new connection starts from the disk."""
        for sent in self._sent.values():
            sent.clear()


def _within(sent: dict[int, _Sent], item: SeqRange) -> list[int]:
    if item.last - item.first < len(sent):
        return [seq for seq in range(item.first, item.last + 1) if seq in sent]
    return [seq for seq in sent if item.first <= seq <= item.last]
