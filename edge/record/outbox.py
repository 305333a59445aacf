"""The outbox as the uplink sees it: read beside the writer, deleted through it."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream
from edge.domain.errors import StorageError
from edge.record.database import open_reader
from edge.record.recorder import Recorder
from edge.record.writable import check_writable


class SqliteOutbox:
    """Implements `cloud_sync.wire.outbox.Outbox` on the station's database; for the uplink's thread alone."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reader: sqlite3.Connection | None = None

    def after(self, stream: Stream, seq: int, limit: int) -> Sequence[OutboxRow]:
        """Unacknowledged rows above `seq`, in order; what they say is on disk. Raises StorageError."""
        rows = self._read(
            "SELECT seq, payload, epochs.epoch FROM outbox JOIN records USING (stream, seq)"
            " JOIN epochs ON epochs.id = outbox.epoch WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
            (stream.value, seq, limit),
        )
        if rows:
            self._check_kept()
        return [OutboxRow(stream, number, payload, epoch) for number, payload, epoch in rows]

    def acknowledge(self, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:
        """Delete exactly these rows; rows of another epoch stay. Raises StorageError."""
        if ranges:
            self._recorder.forget_acknowledged(stream, epoch, ranges)

    def bury(self, rows: Sequence[OutboxRow], reason: str) -> None:
        """Move rows to the dead letters. Raises StorageError."""
        self._recorder.bury(rows, reason)

    def renew(self, epoch: str) -> None:
        """Begin a new epoch if this is the current one. Raises StorageError."""
        self._recorder.renew_epoch(epoch)

    def depths(self) -> Mapping[Stream, int]:
        """How many rows of each stream wait, as the database counted them. Raises StorageError."""
        counted = dict(self._read("SELECT name, n FROM counts WHERE name LIKE 'outbox:%'", ()))
        return {stream: counted.get(f"outbox:{stream.value}", 0) for stream in Stream}

    def close(self) -> None:
        """Let go of the database; the next read opens it again."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _check_kept(self) -> None:
        """A row can be read between its commit and the writer's check behind it: the cloud must not know it alone."""
        try:
            check_writable(self._recorder.path.parent)
        except OSError as error:
            raise StorageError(f"the disk of {self._recorder.path} takes no changes: {error}") from error

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            if self._reader is None:
                self._reader = open_reader(self._recorder.path)
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise StorageError(f"cannot read the outbox: {error}") from error
