"""Chooses what to send next, and deletes what was acknowledged. No thread of its own.

- Nothing is deleted on the broker's word: only the collector's acknowledgement deletes, and only what it names.
- What to send is always read from the outbox: after a reconnect, a resend or a restart nothing comes from memory.
- Inspections go first, then outcomes, then images; a record too large to send holds up no other.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from cloud_sync.station.ledger import Ledger
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import BATCH_LIMIT_BYTES, Ack, pack_batch, split
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.outbox import Outbox, OutboxRow, Stream

_PAGE_ROWS = 256
_logger = logging.getLogger(__name__)

Publish = Callable[[str, bytes], bool]


@dataclass(slots=True)
class Counts:
    """What was done so far: records sent first, sent again, acknowledged, quarantined; tries of too large ones."""

    sent: int = 0
    resent: int = 0
    acknowledged: int = 0
    quarantined: int = 0
    too_large: int = 0


class Sender:
    """Reads the outbox, publishes batches, keeps the ledger. For one thread.

    Args:
        station: the station's id.
        outbox: what waits.
        publish: hands bytes to the link; False where there is no room.
        ledger: what is under way.
    """

    def __init__(self, station: str, outbox: Outbox, publish: Publish, ledger: Ledger) -> None:
        self.counts = Counts()
        self._station = station
        self._topic = topics.inspections(station)
        self._outbox = outbox
        self._publish = publish
        self._ledger = ledger
        self._limit_bytes = BATCH_LIMIT_BYTES
        self._cursors = dict.fromkeys(Stream, 0)

    def begin(self, payload_limit_bytes: int) -> None:
        """A new connection: whatever was under way is sent again, from the disk."""
        self._limit_bytes = min(BATCH_LIMIT_BYTES, payload_limit_bytes)
        self._ledger.forget()
        self._cursors = dict.fromkeys(Stream, 0)

    def settle(self, ack: Ack) -> None:
        """Delete what the collector has. Raises whatever the outbox raises, and can then be called again."""
        self._outbox.acknowledge(ack.stream, ack.epoch, ack.ranges)
        self.counts.acknowledged += self._ledger.settle(ack.stream, ack.ranges)
        for item in ack.quarantined:
            self.counts.quarantined += item.last - item.first + 1
            _logger.error("the collector held other %s under seq %d to %d", ack.stream, item.first, item.last)
        if ack.quarantined:
            self._outbox.renew(ack.epoch)

    def send_new(self, now_s: float) -> bool:
        """Send what was not sent yet; False if the link or the ledger had no room for all of it."""
        return all(self._send_stream(stream, now_s) for stream in Stream)

    def send_due(self, now_s: float) -> bool:
        """Send again what has waited too long for its acknowledgement; False if the link had no room for all of it."""
        return all(self._resend(stream, self._ledger.due(stream, now_s), now_s) for stream in Stream)

    def send_late(self, depth: int, now_s: float) -> bool:
        """Where more waits than is under way, send what came in below what was sent before; False as for `send_new`."""
        if depth > len(self._ledger):
            self._cursors = dict.fromkeys(Stream, 0)
        return self.send_new(now_s)

    def _send_stream(self, stream: Stream, now_s: float) -> bool:
        while self._ledger.room:
            page = self._outbox.after(stream, self._cursors[stream], _PAGE_ROWS)
            if not page:
                return True
            fresh = [row for row in page if not self._ledger.is_under_way(stream, row.seq)][: self._ledger.room]
            if not self._send(fresh, now_s):
                return False
            self._cursors[stream] = fresh[-1].seq if fresh and self._ledger.room == 0 else page[-1].seq
        return False

    def _resend(self, stream: Stream, due: list[int], now_s: float) -> bool:
        for rows, gone in self._read(stream, due):
            self._ledger.drop(stream, gone)
            if not self._send(rows, now_s):
                return False
        return True

    def _read(self, stream: Stream, seqs: list[int]) -> Iterator[tuple[list[OutboxRow], list[int]]]:
        """These rows, page by page, and those among them that the outbox holds no more."""
        while seqs:
            page = self._outbox.after(stream, seqs[0] - 1, _PAGE_ROWS)
            end = page[-1].seq if len(page) == _PAGE_ROWS else seqs[-1]
            wanted = {seq for seq in seqs if seq <= end}
            rows = [row for row in page if row.seq in wanted]
            yield rows, sorted(wanted - {row.seq for row in rows})
            seqs = [seq for seq in seqs if seq > end]

    def _send(self, rows: list[OutboxRow], now_s: float) -> bool:
        for run in _runs(rows, self._limit_bytes):
            if not self._send_batch(run):
                return False
            if self._ledger.is_under_way(run[0].stream, run[0].seq):
                self.counts.resent += len(run)
            else:
                self.counts.sent += len(run)
            self._ledger.mark_sent(run[0].stream, [row.seq for row in run], now_s)
        return True

    def _send_batch(self, run: list[OutboxRow]) -> bool:
        try:
            packed = pack_batch(self._station, run[0].epoch, run, datetime.now(UTC))
            return self._publish(self._topic, packed)
        except LinkError as error:
            self.counts.too_large += 1
            _logger.error("%s seq %d cannot be sent: %s", run[0].stream, run[0].seq, error)
            return True


def _runs(rows: list[OutboxRow], limit_bytes: int) -> Iterator[list[OutboxRow]]:
    """Rows cut where the epoch changes and where a batch is full."""
    for _, same in groupby(rows, lambda row: row.epoch):
        yield from split(same, limit_bytes)
