"""Chooses which records to send next, and deletes what was acknowledged. No thread of its own.

- Nothing is deleted on the broker's word: only the collector's acknowledgement deletes, and only what it names.
- What to send is always read from the outbox: after a reconnect, a resend or a restart nothing comes from memory.
- Streams go in their order: verdicts first, what a person said of them after.
- A record that can never be sent goes to the dead letters; until it is found out, it holds up no other.
- While a backlog drains, each row is read about once per connection: no more is asked for than there is room to send.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from cloud_sync.station.ledger import Ledger
from cloud_sync.station.refusals import Meaning, meaning_of
from cloud_sync.station.settling import cut, merged
from cloud_sync.station.suspects import STRIKES, Suspects
from cloud_sync.station.window import Batch, Window
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import BATCH_LIMIT_BYTES, Ack, pack_batch, split
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.outbox import Outbox, OutboxRow, Stream

_PAGE_ROWS = 1024
_LEAST_PAGE_ROWS = 64
_LEAST_BATCH_BYTES = 4096
_SETTLED_AT_ONCE = 500  # rows a commit, for which a verdict's commit may have to wait
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What was done so far: records sent first, sent again, acknowledged, quarantined, buried."""

    sent: int = 0
    resent: int = 0
    acknowledged: int = 0
    quarantined: int = 0
    buried: int = 0


class Sender:
    """Reads the outbox, publishes batches, keeps the ledger. For one thread.

    Args:
        station: the station's id.
        outbox: what waits.
        window: where batches are published.
        ledger: what is under way.
        on_renewed: told after the outbox was asked to begin a new epoch.
    """

    def __init__(
        self, station: str, outbox: Outbox, window: Window, ledger: Ledger, on_renewed: Callable[[], None]
    ) -> None:
        self.counts = Counts()
        self.denied: dict[str, str] = {}
        self.suspects = Suspects()
        self._station = station
        self._topics = dict.fromkeys(Stream, topics.inspections(station)) | {
            Stream.FEEDBACK: topics.feedback(station),
            Stream.SAMPLES: topics.samples(station),
        }
        self._outbox = outbox
        self._window = window
        self._ledger = ledger
        self._on_renewed = on_renewed
        self._limit_bytes = BATCH_LIMIT_BYTES
        self._cursors = dict.fromkeys(Stream, 0)
        self._batch_rows = dict.fromkeys(Stream, _LEAST_PAGE_ROWS)
        self._alone: Batch | None = None
        self._owes_flow = True
        self._guilty: deque[tuple[Batch, str]] = deque()

    @property
    def is_alone(self) -> bool:
        """Whether a suspect is under way, which nothing else may accompany."""
        return self._alone is not None

    def begin(self, payload_limit_bytes: int) -> None:
        """A new connection: whatever was under way is sent again, from the disk."""
        self._limit_bytes = min(BATCH_LIMIT_BYTES, payload_limit_bytes)
        self._ledger.forget()
        for batch in [*self.suspects.batches, *(batch for batch, _ in self._guilty)]:
            self._ledger.hold(batch.stream, batch.epoch, batch.seqs)
        self._cursors = dict.fromkeys(Stream, 0)
        self._owes_flow = True

    def lost(self, unanswered: Sequence[Batch], why: str, now_s: float) -> None:
        """The connection broke while these were under way."""
        alone, self._alone = self._alone, None
        if alone is None or alone not in unanswered:
            self.suspects.broke(unanswered)
        elif self.suspects.broke_alone(alone, self._topics[alone.stream], now_s):
            self._guilty.append((alone, f"the connection broke {STRIKES} times while it was sent alone: {why}"))

    def answered(self, batch: Batch, topic: str, refusal: str | None, now_s: float) -> None:
        """The broker took a batch, or says why not. Raises LinkError where that is a fault to be reported."""
        was_alone = batch == self._alone
        if was_alone:
            self._alone, self._owes_flow = None, True
        if refusal is None:
            self._taken(batch, topic, now_s, was_alone=was_alone)
        elif (meaning := meaning_of(refusal)) is Meaning.NEVER:
            self._refused(batch, refusal, was_alone=was_alone)
        else:
            self._put_off(batch, now_s, was_alone=was_alone)
            if meaning is Meaning.DENIED and self.denied.get(topic) == refusal:
                return  # said before: once is loud enough
            if meaning is Meaning.DENIED:
                self.denied[topic] = refusal
            raise LinkError(f"the broker refused a batch on {topic}: {refusal}; nothing is given up")

    def settle(self, acks: Sequence[Ack]) -> None:
        """Delete what the collector has. Raises whatever the outbox raises, and can then be called again."""
        for (stream, epoch), ranges in merged(acks).items():
            for piece in cut(ranges, _SETTLED_AT_ONCE):
                self._outbox.acknowledge(stream, epoch, piece)
                self.counts.acknowledged += self._ledger.settle(stream, epoch, piece)
        for ack in acks:
            self._note_quarantined(ack)
        for epoch in {ack.epoch for ack in acks if ack.quarantined}:
            self.renew(epoch)

    def renew(self, epoch: str) -> None:
        """Begin a new epoch if this one is the current one. Raises whatever the outbox raises."""
        self._outbox.renew(epoch)
        self._on_renewed()

    def send(self, now_s: float, depths: Mapping[Stream, int] | None) -> bool:
        """Send what is due; with depths, also again what waited too long, and what came in below what was sent.

        False where something is left that there was no room for.
        """
        self._bury_guilty()
        if self.is_alone:
            return False
        suspect = self.suspects.next(now_s)
        if suspect is None or self._owes_flow:
            self._owes_flow = False
            return self._send_all(now_s, depths)
        if self._window.is_empty:
            self._send_alone(suspect)
        return False

    def _note_quarantined(self, ack: Ack) -> None:
        """Count them, and say it in one line however many ranges they lie in."""
        if not ack.quarantined:
            return
        records = sum(item.last - item.first + 1 for item in ack.quarantined)
        self.counts.quarantined += records
        first, last = min(item.first for item in ack.quarantined), max(item.last for item in ack.quarantined)
        _logger.error("the collector held %d other %s between seq %d and %d", records, ack.stream, first, last)

    def _send_all(self, now_s: float, depths: Mapping[Stream, int] | None) -> bool:
        if depths is not None and not self._send_due(now_s):
            return False
        if not self._send_new(now_s):
            return False
        late = [stream for stream in Stream if depths and depths.get(stream, 0) > self._ledger.under_way(stream)]
        self._cursors.update(dict.fromkeys(late, 0))
        return all(self._send_stream(stream, now_s) for stream in late)

    def _send_new(self, now_s: float) -> bool:
        return all(self._send_stream(stream, now_s) for stream in Stream)

    def _send_due(self, now_s: float) -> bool:
        return all(self._resend(stream, self._ledger.due(stream, now_s), now_s) for stream in Stream)

    def _send_stream(self, stream: Stream, now_s: float) -> bool:
        """False if the link or the ledger had no room for all of it."""
        while (room := self._ledger.room) and self._window.room:
            limit = self._page_rows(stream)
            page = self._outbox.after(stream, self._cursors[stream], limit)
            fresh = [row for row in page if not self._ledger.is_under_way(stream, row.seq)]
            for run in self._cut(stream, fresh[:room]):
                if not self._send_run(run, now_s):
                    return False
                self._cursors[stream] = run[-1].seq
            if len(fresh) > room:
                return False
            if len(page) < limit:
                return True
            self._cursors[stream] = page[-1].seq
        return False

    def _page_rows(self, stream: Stream) -> int:
        wanted = self._window.room * (self._batch_rows[stream] + 1)
        return min(_PAGE_ROWS, max(_LEAST_PAGE_ROWS, wanted))

    def _cut(self, stream: Stream, rows: list[OutboxRow]) -> Iterator[list[OutboxRow]]:
        """Rows cut where the epoch changes and where a batch is full."""
        for _, same in groupby(rows, lambda row: row.epoch):
            runs = split(same, self._limit_bytes)
            if len(runs) > 1:
                self._batch_rows[stream] = len(runs[0])
            yield from runs

    def _resend(self, stream: Stream, due: list[int], now_s: float) -> bool:
        for rows, gone in self._read(stream, due):
            self._ledger.drop(stream, gone)
            for run in self._cut(stream, rows):
                if not self._send_run(run, now_s):
                    return False
        return True

    def _read(self, stream: Stream, seqs: Sequence[int]) -> Iterator[tuple[list[OutboxRow], list[int]]]:
        """These rows, page by page, and those among them that the outbox holds no more."""
        while seqs:
            limit = self._page_rows(stream)
            page = self._outbox.after(stream, seqs[0] - 1, limit)
            end = page[-1].seq if len(page) == limit else seqs[-1]
            wanted = {seq for seq in seqs if seq <= end}
            rows = [row for row in page if row.seq in wanted]
            yield rows, sorted(wanted - {row.seq for row in rows})
            seqs = [seq for seq in seqs if seq > end]

    def _send_run(self, run: list[OutboxRow], now_s: float) -> bool:
        stream, epoch, seqs = run[0].stream, run[0].epoch, tuple(row.seq for row in run)
        again = self._ledger.is_under_way(stream, seqs[0])
        if not self._window.room:
            return False
        try:
            if self._publish(run) is None:
                return False
        except LinkError as error:
            self._ledger.hold(stream, epoch, seqs)
            self._refused(Batch(stream, epoch, seqs), str(error), was_alone=len(run) == 1)
            return True
        if again:
            self.counts.resent += len(run)
        else:
            self.counts.sent += len(run)
        self._ledger.mark_sent(stream, epoch, seqs, now_s)
        return True

    def _publish(self, run: Sequence[OutboxRow]) -> Batch | None:
        stream, epoch = run[0].stream, run[0].epoch
        packed = pack_batch(self._station, epoch, run, datetime.now(UTC))
        batch = Batch(stream, epoch, tuple(row.seq for row in run), len(packed))
        return batch if self._window.publish(self._topics[stream], packed, batch) else None

    def _send_alone(self, suspect: Batch) -> None:
        rows = [row for page, _ in self._read(suspect.stream, suspect.seqs) for row in page]
        rows = [row for row in rows if row.epoch == suspect.epoch]
        if not rows:
            self._ledger.drop(suspect.stream, suspect.seqs)
            self.suspects.acquit(suspect)
            return
        try:
            self._alone = self._publish(rows)
            if self._alone is not None:
                self.suspects.replace(suspect, self._alone)
        except LinkError as error:
            self._refused(suspect, str(error), was_alone=True)

    def _taken(self, batch: Batch, topic: str, now_s: float, *, was_alone: bool) -> None:
        self.denied.pop(topic, None)
        self.suspects.passed(batch, topic)
        if was_alone:
            self.counts.sent += len(batch.seqs)
            self._ledger.mark_sent(batch.stream, batch.epoch, batch.seqs, now_s)

    def _refused(self, batch: Batch, refusal: str, *, was_alone: bool) -> None:
        """Something in it can never be sent: halve it, until one record alone is left."""
        if len(batch.seqs) == 1 and was_alone:
            self.suspects.acquit(batch)
            self._guilty.append((batch, refusal))
            return
        if batch.size_bytes:
            self._limit_bytes = max(_LEAST_BATCH_BYTES, min(self._limit_bytes, batch.size_bytes // 2))
        self._ledger.hold(batch.stream, batch.epoch, batch.seqs)
        self.suspects.refused(batch)

    def _put_off(self, batch: Batch, now_s: float, *, was_alone: bool) -> None:
        """The broker does not take it now: it comes again in its time."""
        if was_alone:
            self.suspects.acquit(batch)
            self._ledger.mark_sent(batch.stream, batch.epoch, batch.seqs, now_s)

    def _bury_guilty(self) -> None:
        while self._guilty:
            batch, reason = self._guilty[0]
            rows = [row for page, _ in self._read(batch.stream, batch.seqs) for row in page if row.epoch == batch.epoch]
            if rows:
                _logger.error("%s seq %d is a dead letter: %s", batch.stream, rows[0].seq, reason)
                self._outbox.bury(rows, reason)
            self.counts.buried += len(rows)
            self._ledger.drop(batch.stream, batch.seqs)
            self._guilty.popleft()
