"""The outbox as the uplink sees it: read beside the writer, deleted through it."""

import sqlite3
from collections.abc import Sequence

from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream
from edge.domain.errors import StorageError
from edge.record.database import open_reader
from edge.record.recorder import Recorder


class SqliteOutbox:
    """Implements `cloud_sync.wire.outbox.Outbox` on the station's database; for the uplink's thread alone."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reader: sqlite3.Connection | None = None

    @property
    def epoch(self) -> str:
        """The database's random name."""
        return self._recorder.epoch

    def after(self, stream: Stream, seq: int, limit: int) -> Sequence[OutboxRow]:
        """Unacknowledged rows above `seq`, in order. Raises StorageError."""
        rows = self._read(
            "SELECT seq, payload FROM outbox JOIN records USING (stream, seq)"
            " WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
            (stream.value, seq, limit),
        )
        return [OutboxRow(stream, int(number), bytes(payload)) for number, payload in rows]

    def acknowledge(self, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:
        """Delete exactly these rows; nothing when the epoch is another database's. Raises StorageError."""
        if epoch == self.epoch and ranges:
            self._recorder.forget_acknowledged(stream, ranges)

    def depth(self) -> int:
        """How many rows wait. Raises StorageError."""
        return int(self._read("SELECT count(*) FROM outbox", ())[0][0])

    def close(self) -> None:
        """Let go of the database; the next read opens it again."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[int, bytes]]:
        try:
            if self._reader is None:
                self._reader = open_reader(self._recorder.path)
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise StorageError(f"cannot read the outbox: {error}") from error
