"""An outbox for tests: real SQLite, the promise of the Protocol and no more."""

import sqlite3
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream
from cloud_sync.wire.records import (
    FeedbackRecord,
    ImagesRecord,
    InspectionRecord,
    LossRecord,
    OutcomeRecord,
    canonical_json,
    content_hash,
)

EPOCH = "0123456789abcdef" * 2
STATION = "press-3"
AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


class SqliteOutbox:
    """Rows in a database file; `refuse` makes every call fail, as a broken disk does."""

    def __init__(self, path: Path, epoch: str = EPOCH) -> None:
        self.epoch = epoch
        self.refuse = False
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS outbox"
            " (stream TEXT, seq INTEGER, payload BLOB, epoch TEXT, reason TEXT, PRIMARY KEY (stream, seq))"
        )

    def add(self, rows: Sequence[OutboxRow]) -> None:
        with self._lock:
            self._database.execute("BEGIN")
            self._database.executemany(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, NULL)",
                [(row.stream, row.seq, row.payload, row.epoch) for row in rows],
            )
            self._database.execute("COMMIT")

    def after(self, stream: Stream, seq: int, limit: int) -> list[OutboxRow]:
        self._check()
        with self._lock:
            found = self._database.execute(
                "SELECT seq, payload, epoch FROM outbox WHERE stream = ? AND seq > ? AND reason IS NULL"
                " ORDER BY seq LIMIT ?",
                (stream, seq, limit),
            ).fetchall()
        return [OutboxRow(stream, found_seq, payload, epoch) for found_seq, payload, epoch in found]

    def acknowledge(self, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:
        self._check()
        with self._lock:
            self._database.execute("BEGIN")
            self._database.executemany(
                "DELETE FROM outbox WHERE stream = ? AND seq BETWEEN ? AND ? AND epoch = ?",
                [(stream, item.first, item.last, epoch) for item in ranges],
            )
            self._database.execute("COMMIT")

    def bury(self, rows: Sequence[OutboxRow], reason: str) -> None:
        self._check()
        with self._lock:
            self._database.executemany(
                "UPDATE outbox SET reason = ? WHERE stream = ? AND seq = ?",
                [(reason, row.stream, row.seq) for row in rows],
            )

    def renew(self, epoch: str) -> None:
        self._check()
        if epoch == self.epoch:
            self.epoch = uuid.uuid4().hex

    def depths(self) -> Mapping[Stream, int]:
        self._check()
        with self._lock:
            found = self._database.execute(
                "SELECT stream, count(*) FROM outbox WHERE reason IS NULL GROUP BY stream"
            ).fetchall()
        return dict.fromkeys(Stream, 0) | {Stream(stream): count for stream, count in found}

    def count(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def buried(self) -> dict[tuple[str, int], str]:
        with self._lock:
            found = self._database.execute("SELECT stream, seq, reason FROM outbox WHERE reason IS NOT NULL")
            return {(stream, seq): reason for stream, seq, reason in found}

    def close(self) -> None:
        self._database.close()

    def _check(self) -> None:
        if self.refuse:
            raise OSError("the test's disk refuses")


def inspection(seq: int, *, station: str = STATION, epoch: str = EPOCH, part_id: str = "") -> OutboxRow:
    record = InspectionRecord(
        station=station,
        epoch=epoch,
        seq=seq,
        part_id=part_id or f"part-{seq} Größe",
        product="cell",
        triggered_at=AT,
        verdict=("PASS", "REJECT", "UNDECIDED")[seq % 3],
        reasons=[],
        views=[],
        recipe_version="r1",
        latency_ms={"infer": 0.1 + seq / 7, "decide": 1e-7 * seq},
        image="pending",
        replayed=False,
    )
    return OutboxRow(Stream.INSPECTIONS, seq, canonical_json(record), epoch)


def outcome(seq: int) -> OutboxRow:
    record = OutcomeRecord(
        station=STATION, epoch=EPOCH, seq=seq, part_id=f"part-{seq}", outcome="told", told_verdict="PASS", told_ms=12.5
    )
    return OutboxRow(Stream.OUTCOMES, seq, canonical_json(record), EPOCH)


def images(seq: int) -> OutboxRow:
    record = ImagesRecord(station=STATION, epoch=EPOCH, seq=seq, part_id=f"part-{seq}", images={}, dropped=["top"])
    return OutboxRow(Stream.IMAGES, seq, canonical_json(record), EPOCH)


def feedback(seq: int) -> OutboxRow:
    record = FeedbackRecord(
        station=STATION,
        epoch=EPOCH,
        seq=seq,
        part_id=f"part-{seq}",
        inspection_epoch=EPOCH,
        inspection_seq=seq,
        verdict="REJECT",
        is_right=False,
        label="scratch",
        by="Kim",
        at=AT,
    )
    return OutboxRow(Stream.FEEDBACK, seq, canonical_json(record), EPOCH)


def loss(seq: int, records: int) -> OutboxRow:
    record = LossRecord(
        station=STATION,
        epoch=EPOCH,
        seq=seq,
        stream="images",
        of_epoch=EPOCH,
        ranges=[(1, records)],
        records=records,
        verdicts={},
        why="the disk is full",
        at=AT,
    )
    return OutboxRow(Stream.LOSSES, seq, canonical_json(record), EPOCH)


def hashes(rows: Sequence[OutboxRow]) -> dict[tuple[str, int], str]:
    return {(row.stream, row.seq): content_hash(row.payload) for row in rows}
