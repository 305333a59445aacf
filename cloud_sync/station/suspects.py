"""Which records are suspected of breaking the connection, and which of them are found guilty. Pure: it sends nothing.

A link breaks for many reasons, and the records that were under way are guilty of hardly any. So:
- Batches that were unanswered when two connections in a row broke are suspects: each is then sent alone, with nothing
  else under way, after everything else had its turn.
  A try that did not even connect says nothing of any record: a broker that a record crashed is away for a while.
- A suspect that is answered is innocent. One during whose sending the connection breaks is cut in halves.
- A single record is guilty after three such breaks, and only if meanwhile the broker answered other records on the same
  topic: where it takes none, the way is wrong and not the record. Then it is tried ever more seldom.
- Each break while others were under way takes one of those three back: such a link breaks by itself.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cloud_sync.station.window import Batch
from cloud_sync.wire.backoff import doubled_s
from cloud_sync.wire.outbox import Stream

STRIKES = 3
_FIRST_WAIT_S = 1.0
_MOST_WAIT_S = 300.0

Key = tuple[Stream, str, int]


@dataclass(slots=True)
class _Group:
    batch: Batch
    breaks: int = 0
    not_before_s: float = 0.0


@dataclass(slots=True)
class Suspects:
    """Groups of records that are sent alone. A batch's `seqs` name the records of a group."""

    _groups: deque[_Group] = field(default_factory=deque)
    _unanswered: set[Key] = field(default_factory=set)
    _passed: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return sum(len(group.batch.seqs) for group in self._groups)

    @property
    def batches(self) -> list[Batch]:
        """Who is suspected."""
        return [group.batch for group in self._groups]

    def next(self, now_s: float) -> Batch | None:
        """Whom to send alone now."""
        return next((group.batch for group in self._groups if group.not_before_s <= now_s), None)

    def passed(self, batch: Batch, topic: str) -> None:
        """The broker took these."""
        if self._groups:
            self._passed.add(topic)
            self.acquit(batch)
        if self._unanswered:
            self._unanswered.difference_update(_keys(batch))

    def acquit(self, batch: Batch) -> None:
        """These are suspected no more: they were taken, or are gone."""
        self._groups = deque(group for group in self._groups if group.batch != batch)

    def replace(self, batch: Batch, what_is_left: Batch) -> None:
        """Some of these are in the outbox no more."""
        for group in self._groups:
            if group.batch == batch:
                group.batch = what_is_left

    def refused(self, batch: Batch) -> None:
        """The broker refuses something in these: each half is tried alone."""
        self.acquit(batch)
        self._suspect(_halves(batch))

    def broke(self, unanswered: Sequence[Batch]) -> None:
        """A connection broke while these were under way, none of them alone."""
        if not unanswered:  # nothing was sent, as while a broker is down
            return
        for group in self._groups:
            group.breaks = max(0, group.breaks - 1)
        again = [batch for batch in unanswered if not self._unanswered.isdisjoint(_keys(batch))]
        self._unanswered = {key for batch in unanswered if batch not in again for key in _keys(batch)}
        self._suspect(again)

    def broke_alone(self, batch: Batch, topic: str, now_s: float) -> bool:
        """A connection broke while this one alone was under way; True if it is guilty, and suspected no more."""
        group = next((group for group in self._groups if group.batch == batch), None)
        if group is None:
            return False
        if len(batch.seqs) > 1:
            self.refused(batch)
            return False
        group.breaks += 1
        if group.breaks >= STRIKES and topic in self._passed:
            self.acquit(batch)
            return True
        self._groups.remove(group)
        self._groups.append(group)  # the others first: they may be what tells a bad record from a bad way
        if group.breaks >= STRIKES:
            group.not_before_s = now_s + doubled_s(_FIRST_WAIT_S, group.breaks, _MOST_WAIT_S)
        return False

    def _suspect(self, batches: Sequence[Batch]) -> None:
        if not self._groups:
            self._passed.clear()
        self._groups.extend(_Group(batch) for batch in batches)


def _halves(batch: Batch) -> list[Batch]:
    middle = (len(batch.seqs) + 1) // 2
    parts = [batch.seqs[:middle], batch.seqs[middle:]]
    return [Batch(batch.stream, batch.epoch, part) for part in parts if part]


def _keys(batch: Batch) -> Iterable[Key]:
    return [(batch.stream, batch.epoch, seq) for seq in batch.seqs]
